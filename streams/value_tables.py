"""What sources of data are worth, as tables of the terminal."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich import box
from rich.table import Table

from models.evaluate.intervals import Interval
from models.value.seen import OFF_POLICY
from models.value.weaker import Marginal
from schemas.value import Value, ValueReport
from streams.evaluation_report.words import printable
from streams.inventory.words import age, number, size
from streams.value_points import PointValues

BAR: Final = 20
"""Characters of the longest bar."""
GIB: Final = float(1 << 30)
Z: Final = 1.96
"""Standard errors on both sides of an interval of 95%."""


def values(
    found: ValueReport, apart: Sequence[Marginal], metric: str, shadow: ValueReport | None = None
) -> Table:
    """A row for each source, the most valuable first; what is lost to learning without it, of a log or live."""
    withheld = {
        each.source: _interval(each.lost.interval) for each in _of(apart, metric) if each.change == "withheld"
    } | {each.player: _left_out(each) for each in seen_by(shadow) if each.metric == metric}
    shown = Table(title=f"Value of each {found.of}: {title(metric, found.k)}", title_justify="left")
    shown.add_column(found.of)
    shown.add_column("value", justify="right")
    shown.add_column("")
    shown.add_column("left out", justify="right")
    if withheld:
        shown.add_column("left out of learning", justify="right")
    rows = sorted((each for each in found.values if each.metric == metric), key=lambda each: -each.value)
    most = max((abs(each.value) for each in rows), default=0.0)
    for each in rows:
        row = [each.player, _error(each), bar(each.value, most), _left_out(each)]
        shown.add_row(*row, *([withheld.get(each.player, "")] if withheld else []))
    return shown


def title(metric: str, k: int) -> str:
    """The metric; slates are as long as they were shown, lists are cut at ``k``."""
    return metric if metric in OFF_POLICY else f"{metric}@{k}"


def summary(found: ValueReport, metric: str) -> str:
    """With all and with none; recall, precision and F1 follow from the hit rate, as one item of a list is wanted."""
    both, none = found.all_in.get(metric, 0.0), found.none_in.get(metric, 0.0)
    hit = {each.player: each.value for each in found.values if each.metric == "hit_rate"}
    recall = found.all_in.get("hit_rate", 0.0)
    best = max(hit, key=lambda source: hit[source], default="")
    return (
        f"{metric} with all {both:.4f}, with none {none:.4f}; {found.n:,} lists. At {found.k} places, "
        f"recall {recall:.4f}, precision {recall / found.k:.4f}, F1 {2 * recall / (found.k + 1):.4f}; "
        f"most of it comes from {best}."
    )


def seen_by(shadow: ValueReport | None) -> list[Value]:
    """What shadow learners tell of the sources that they have seen anything of."""
    return [each for each in shadow.values if each.left_out_error] if shadow else []


def check(tau: float | None, shadow: ValueReport) -> str:
    """Whether sources are missed by the ranking in the order in which learning misses them."""
    by = f"by {shadow.n:,} trials of shadow learners"
    if tau is None:
        return f"Left out of learning {by}; too few sources to compare orders."
    same = "agree" if tau > 1.0 - 1e-9 else "agree in part" if tau > 0.0 else "do not agree"
    return f"Left out of learning {by}; both orders {same}, Kendall's tau {tau:+.2f}."


def seen_slates(found: ValueReport) -> str:
    """What was seen and clicked, and what the estimates for the order by all are; why there are none."""
    seen = found.seen
    if seen is None:
        return "Click-through and conversion are not estimated: no impression says that a slate was seen."
    observed, estimated = seen.n_clicks / seen.n_seen, found.all_in.get("click_through", 0.0)
    bought, would_buy = seen.n_purchases / seen.n_seen, found.all_in.get("conversion", 0.0)
    return (
        f"{seen.n_seen:,} slates seen: click-through {observed:.4f}, conversion {bought:.4f}; in the order by all "
        f"{estimated:.4f} and {would_buy:.4f}, by {seen.valued_share:.3g} of what was taken, worth "
        f"{seen.effective_clicks:,.0f} clicks that count alike; {seen.limited_share:.1%} count the most they may."
    )


def costs(found: ValueReport, metric: str) -> Table | None:
    """What each source took, and what that brought; None where no cost was told."""
    if not found.costs:
        return None
    value = {each.player: each.value for each in found.values if each.metric == metric}
    n_slates = sum(each.n_slates for each in found.costs)
    live = any(each.latency_s is not None for each in found.costs)
    shown = Table(title=f"Cost of each source, and {metric} for it", title_justify="left")
    shown.add_column("source", no_wrap=True)
    for name in ("events", "bytes", "seconds", "memory", *(["wait"] if live else []), "a second", "a GiB"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.box, shown.pad_edge, shown.padding = box.SIMPLE_HEAD, False, (0, 1, 0, 0)
    for each in found.costs:
        gained = value.get(each.player, 0.0) * n_slates
        wait = "" if each.latency_s is None else f"{1000 * each.latency_s:,.0f} ms"
        shown.add_row(
            each.player,
            number(each.n_events),
            size(each.n_bytes),
            number(each.cpu_s),
            size(each.memory_bytes),
            *([wait] if live else []),
            _over(gained, each.cpu_s),
            _over(gained, each.n_bytes / GIB),
        )
    return shown


def weaker(apart: Sequence[Marginal], metric: str, k: int) -> Table | None:
    """A row for each delay or share, one curve a source; None where nothing was made late or thinned."""
    rows = [each for each in _of(apart, metric) if each.change != "withheld"]
    if not rows:
        return None
    most = max(abs(each.lost.interval.mean) for each in rows)
    shown = Table(title=f"Lost where a source is late, or thinned: {metric}@{k}", title_justify="left")
    for name in ("source", "is"):
        shown.add_column(name)
    shown.add_column("lost", justify="right")
    shown.add_column("")
    for source, curve in groupby(rows, key=lambda each: each.source):
        for n, each in enumerate(curve):
            lost = each.lost.interval
            shown.add_row("" if n else source, is_how(each), _interval(lost), bar(lost.mean, most))
        shown.add_section()
    return shown


def points(found: PointValues, n: int) -> Table:
    """The ``n`` most valuable, and the ``n`` least."""
    shown = Table(title=f"{found.of.capitalize()}, worth in 1,000 questions", title_justify="left")
    shown.add_column(found.of.removesuffix("s"))
    for name in ("value", "sessions"):
        shown.add_column(name, justify="right")
    best, worst = found.points[:n], found.points[n:][-n:]
    for some in (best, worst):
        for each in some:
            shown.add_row(printable(each.name), f"{each.value:+.4f}", f"{each.n_sessions:,}")
        shown.add_section()
    return shown


def removals(found: PointValues) -> Table:
    """What changes where points are taken away."""
    measures = list(dict.fromkeys(each.measure for each in found.removals))
    shown = Table(title=f"Without some {found.of}", title_justify="left")
    shown.add_column("without")
    for name in (found.of, *measures):
        shown.add_column(name, justify="right")
    for (which, share), group in groupby(found.removals, key=lambda each: (each.which, each.share)):
        rows = list(group)
        cells = [_interval(each.change) for each in rows]
        shown.add_row(f"{which} {share:.0%}", f"{rows[0].n_removed:,}", *cells)
    return shown


def is_how(each: Marginal) -> str:
    """In words."""
    if each.change == "withheld":
        return "missing"
    return f"{age(each.at)} late" if each.change == "late" else f"{each.at:.3g} of it"


def of_metric(each: Marginal, metric: str) -> bool:
    """Whether it is what was lost of the metric."""
    return each.lost.measure.startswith(f"{'hr' if metric == 'hit_rate' else metric}@")


def bar(value: float, most: float) -> str:
    """As long as its share of the ``most``; a hollow one is below 0."""
    n = round(BAR * abs(value) / most) if most else 0
    return ("█" if value >= 0 else "░") * n


def _over(gained: float, cost: float) -> str:
    return number(gained / cost) if cost else ""


def _of(apart: Sequence[Marginal], metric: str) -> list[Marginal]:
    return [each for each in apart if of_metric(each, metric)]


def _error(each: Value) -> str:
    return f"{each.value:+.4f} ± {Z * each.value_error:.4f}"


def _left_out(each: Value) -> str:
    return f"{each.left_out:+.4f} ± {Z * each.left_out_error:.4f}"


def _interval(interval: Interval) -> str:
    return f"{interval.mean:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
