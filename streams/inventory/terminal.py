"""An inventory on a terminal: one line an asset, then what deserves a look."""

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.inventory import Asset
from streams.evaluation_report.words import printable
from streams.inventory import Inventory, words

_NARROW: Final = 100
"""Columns of a terminal below which the least of the figures are left out."""
_WIDE: Final = frozenset({"partitions", "bytes a day"})


def table(inventory: Inventory, width: int) -> RenderableType:
    """All of it but columns and the graph, which JSON and the page show."""
    parts: list[RenderableType] = [_assets(inventory.assets, width)]
    parts += [_unknown(each) for each in inventory.unknown]
    for title, lines in (
        ("personal data", list(_personal(inventory.assets))),
        ("not seen", inventory.notes),
    ):
        if lines:
            parts.append(Group(Text(title, style="bold"), *(Text(f"- {printable(line)}") for line in lines)))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def _assets(assets: list[Asset], width: int) -> Table:
    out = Table(
        title=Text(words.count(assets), style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    out.padding = (0, 1, 0, 0)
    left_out = _WIDE if width < _NARROW else frozenset()
    longest = max((len(each.asset) for each in assets), default=0)
    out.add_column("asset", overflow="fold", min_width=min(longest, width // 4))
    out.add_column("holds", no_wrap=True)
    for name in _figures(None):
        if name not in left_out:
            out.add_column(name, justify="right", no_wrap=True)
    out.add_column("feeds", overflow="fold", min_width=8)
    for each in assets:
        out.add_row(
            Text(printable(each.asset), style="" if each.known else "yellow"),
            words.holds(each),
            *(figure for name, figure in _figures(each).items() if name not in left_out),
            Text(", ".join(name.removeprefix("recommendations.") for name in each.reaches)),
        )
    return out


def _figures(asset: Asset | None) -> dict[str, str]:
    """By the head of their column; empty ones for the heads alone."""
    if asset is None:
        return dict.fromkeys(
            ("partitions", "records", "per s", "bytes a day", "newest", "quality", "lag"), ""
        )
    overall = asset.scores.overall if asset.scores else None
    return {
        "partitions": str(asset.n_partitions),
        "records": words.number(asset.n_records),
        "per s": words.number(asset.records_per_s),
        "bytes a day": words.size(asset.cost.bytes_per_day),
        "newest": words.age(asset.freshness_s),
        "quality": words.percent(overall),
        "lag": words.number(words.lag(asset)) if asset.readers else words.NOTHING,
    }


def _unknown(asset: Asset) -> RenderableType:
    lines = [Text(f"{printable(asset.asset)} is not in the catalogue", style="bold yellow")]
    about = [
        f"{each.path} {each.type}" + (f" ({each.format})" if each.format else "")
        for each in asset.columns[:12]
    ]
    if about:
        more = f" and {len(asset.columns) - 12} more" if len(asset.columns) > 12 else ""
        lines.append(Text(printable(f"columns: {', '.join(about)}{more}")))
    told = [f"{name}: {value}" for name, value in (("key", asset.key), ("time", asset.time_column)) if value]
    if told:
        lines.append(Text(printable("; ".join(told))))
    if asset.readers:
        lines.append(Text(printable(f"read by {', '.join(each.group for each in asset.readers)}")))
    if asset.proposal:
        lines.append(Text(printable(words.proposed(asset.proposal))))
        lines += [Text(printable(f"    {line}")) for line in (asset.proposal.mapping or "").splitlines()]
    return Group(*lines)


def _personal(assets: list[Asset]) -> Iterator[str]:
    for asset in assets:
        if found := list(words.personal(asset)):
            yield f"{asset.asset}: {', '.join(found)}"
