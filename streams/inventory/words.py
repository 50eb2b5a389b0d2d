"""What an inventory says, on the terminal and on the page alike: figures as text."""

from collections.abc import Iterator, Sequence
from typing import Final

from schemas import headers
from schemas.inventory import Asset, Proposal

NOTHING: Final = "-"
_STEPS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def number(n: float | None) -> str:
    """With a unit above 10,000: ``12.3k``."""
    if n is None:
        return NOTHING
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(n) >= (1e4 if unit == "k" else factor):
            return f"{n / factor:.3g}{unit}" if abs(n) < 1000 * factor else f"{n / factor:.0f}{unit}"
    return f"{n:.3g}" if isinstance(n, float) and abs(n) < 100 else f"{n:.0f}"


def size(n_bytes: float | None) -> str:
    """In binary units: ``1.5 MiB``."""
    if n_bytes is None:
        return NOTHING
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if n_bytes >= 1 << shift:
            return f"{n_bytes / (1 << shift):.1f} {unit}"
    return f"{n_bytes:.0f} B"


def age(seconds: float | None) -> str:
    """In its largest unit: ``3 min``."""
    if seconds is None:
        return NOTHING
    return next((f"{seconds / step:.0f} {unit}" for step, unit in _STEPS if seconds >= step), "<1 s")


def kept(retention_ms: int | None) -> str:
    """How long records are kept."""
    if retention_ms is None:
        return NOTHING
    return "for ever" if retention_ms < 0 else age(retention_ms / 1000)


def percent(share: float | None) -> str:
    """One digit after the point, none for all and nothing."""
    if share is None:
        return NOTHING
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{share:.1%}"


def lag(asset: Asset) -> int:
    """Of all its readers together."""
    return sum(each.lag for each in asset.readers)


def count(assets: Sequence[Asset]) -> str:
    """How many of each kind."""
    n = sum(each.kind == "table" for each in assets)
    return f"{_of(len(assets) - n, 'topic')}, {_of(n, 'table')}"


def _of(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def holds(asset: Asset) -> str:
    """What its values are; of a table that it is one."""
    return asset.content if asset.kind == "topic" else "table"


def owner(asset: Asset) -> str:
    """Who is to be asked."""
    return asset.owner or "unknown"


def personal(asset: Asset) -> Iterator[str]:
    """Columns with personal data: the path, the kind, and the share of values where the values show it."""
    for each in asset.columns:
        if each.personal:
            share = "" if each.personal_share is None else f" {percent(each.personal_share)} of values"
            yield f"{each.path} ({each.personal}{share})"


def proposed(proposal: Proposal) -> str:
    """What a proposal would do, in a sentence."""
    n = sum(proposal.events.values())
    events = ", ".join(f"{topic} {count}" for topic, count in sorted(proposal.events.items()))
    how = {
        "canonical": "as they are: produce them to the topics named, keyed by user_id",
        "ga4": "from GA4: produce them to the topics named, keyed by user, with the header "
        f"{_header(headers.GA4_JSON)}",
        "segment": "from Segment: produce them to the topics named, keyed by user, with the header "
        f"{_header(headers.SEGMENT_JSON)}",
        "mapping": "by this mapping, as `rillet connect --mapping` takes it",
    }[proposal.vocabulary]
    return f"{n} of {n + proposal.n_refused} sampled records become events ({events}), {how}"


def _header(content_type: str) -> str:
    return f"{headers.CONTENT_TYPE}: {content_type}"
