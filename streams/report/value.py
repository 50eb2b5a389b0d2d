"""What sources of data are worth, cost, and lose where they are late or thinned."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from models.value.weaker import Marginal
from schemas.value import SourceCost, Value, ValueReport
from streams import value_tables
from streams.evaluation_report import svg
from streams.evaluation_report.markup import Html, tag
from streams.inventory.words import age, number, size
from streams.report.gathered import Gathered, Valued
from streams.report.parts import beside, figure, figures, name, section, table, text
from streams.value_tables import GIB, Z, is_how, of_metric

METRIC: Final = "ndcg"
ROW: Final = 0.34
AROUND: Final = 0.8
LABELS: Final = {
    "ndcg": "NDCG",
    "hit_rate": "hit rate",
    "mrr": "MRR",
    "click_through": "click-through",
    "conversion": "conversion",
}


def sections(found: Gathered, marginals: Sequence[Marginal]) -> Iterator[Html]:
    """Of running workers; the curves come from a log."""
    if found.values:
        yield section("Value", *_values(found))
    source = found.values.get("source")
    if source and source.costs:
        yield section("Cost", _costs(source))
    curves = [each for each in marginals if each.change != "withheld" and of_metric(each, METRIC)]
    if curves:
        yield section("Freshness and volume", *_curves(curves))


def _values(found: Gathered) -> Iterator[Html]:
    if source := found.values.get("source"):
        yield tag("p", value_tables.summary(source, METRIC))
        yield tag("p", value_tables.seen_slates(source))
    drawn = [(f"Value of each {of}", _bars(report)) for of, report in found.values.items()]
    if len(found.valued) > 1:
        drawn.append(("Over event time, UTC", _over_time(found.valued)))
    yield figures(drawn)
    yield beside(_table(of, report) for of, report in found.values.items())


def _bars(report: ValueReport) -> Html:
    """A bar with its interval for each player, the most valuable on top."""
    rows = _ranked(report)

    def draw(axes: Axes) -> None:
        for row, each in enumerate(rows):
            error = Z * each.value_error
            colour = svg.SERIES[0] if each.value >= 0 else svg.WORSE
            axes.barh(row, each.value, 0.6, color=colour)
            axes.plot([each.value - error, each.value + error], [row, row], color=svg.INK, linewidth=1.5)
            at = (max(each.value + error, 0.0), row)
            axes.annotate(f"{each.value:+.4f}", at, (5, 0), textcoords="offset points", va="center")
        axes.axvline(0.0, color=svg.MUTED, linewidth=1)
        most = max((each.value + Z * each.value_error for each in rows), default=0.0)
        least = min((each.value - Z * each.value_error for each in rows), default=0.0)
        axes.set_xlim(min(least, 0.0) * 1.1, 1.35 * most if most > 0.0 else 1.0)
        axes.set_yticks(range(len(rows)), [each.player for each in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(f"share of the {LABELS[METRIC]}@{report.k} gained")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")

    says = f"Value of each {report.of}, {LABELS[METRIC]}. " + "; ".join(
        f"{each.player} {each.value:+.4f} plus or minus {Z * each.value_error:.4f}" for each in rows
    )
    return svg.drawing(f"value-{report.of}", says, AROUND + ROW * len(rows), draw)


def _over_time(valued: Sequence[Valued]) -> Html:
    """A line for each source that was worth anything."""
    names = [
        each.player for each in _ranked(valued[-1].report) if any(_of(v, each.player) != 0.0 for v in valued)
    ]

    def draw(axes: Axes) -> None:
        time = np.array([each.end_ms for each in valued]).astype("datetime64[ms]")
        for n, player in enumerate(names):
            axes.plot(time, [_of(each, player) for each in valued], color=svg.SERIES[n % len(svg.SERIES)],
                      marker="o", markersize=3, label=player)  # fmt: skip
        locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        _framed(axes, "", f"{LABELS[METRIC]} gained")

    says = "Value of each source over time. " + "; ".join(
        f"{player} from {_of(valued[0], player):+.4f} to {_of(valued[-1], player):+.4f}" for player in names
    )
    return svg.drawing("value-time", says, 3.8, draw)


def _framed(axes: Axes, along: str, of: str) -> None:
    axes.set_xlabel(along)
    axes.set_ylabel(of)
    axes.grid(axis="y")
    legend: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3, "fontsize": 10}
    axes.legend(**legend)


def _table(of: str, report: ValueReport) -> Html:
    measures = list(dict.fromkeys(each.metric for each in report.values))
    by = {(each.player, each.metric): each for each in report.values}
    rows = (
        [
            name(player.player),
            *(figure(*_with_error(by.get((player.player, m)), "value")) for m in measures),
            figure(*_with_error(by.get((player.player, METRIC)), "left_out")),
        ]
        for player in _ranked(report)
    )
    caption = f"By {of}: {report.n:,} lists valued, {report.k} places; 95% intervals"
    return table(caption, [of, *(LABELS.get(m, m) for m in measures), f"{LABELS[METRIC]} lost without"], rows)


def _with_error(value: Value | None, which: str) -> tuple[str, Html]:
    if value is None:
        return "", tag("small", "")
    error = Z * float(getattr(value, f"{which}_error"))
    return f"{float(getattr(value, which)):+.4f}", tag("small", f"± {error:.4f}")


def _costs(report: ValueReport) -> Html:
    head = ("source", "events", "bytes", "seconds", "memory", "wait", "NDCG a second", "NDCG a GiB")
    caption = "What each source took, and its share of the gain, summed over all slates, for it"
    return table(caption, head, (_cost(report, each) for each in report.costs))


def _cost(report: ValueReport, each: SourceCost) -> Sequence[Html]:
    value = {v.player: v.value for v in report.values if v.metric == METRIC}.get(each.player, 0.0)
    gained = value * sum(cost.n_slates for cost in report.costs)
    return [
        name(each.player),
        figure(number(each.n_events)),
        figure(size(each.n_bytes)),
        figure(number(each.cpu_s)),
        figure(size(each.memory_bytes)),
        figure("-" if each.latency_s is None else f"{1000 * each.latency_s:,.0f} ms"),
        figure(number(gained / each.cpu_s) if each.cpu_s else "-"),
        figure(number(gained * GIB / each.n_bytes) if each.n_bytes else "-"),
    ]


def _curves(marginals: Sequence[Marginal]) -> Iterator[Html]:
    def change(each: Marginal) -> str:
        return each.change

    drawn = [
        (
            "Lost where a source is late" if kind == "late" else "Lost where a source is thinned",
            _curve(list(of), kind),
        )
        for kind, of in groupby(sorted(marginals, key=change), key=change)
    ]
    yield figures(drawn)
    rows = (
        [name(each.source), text(is_how(each)), figure(f"{each.lost.interval.mean:+.4f}"),
         figure(f"{each.lost.interval.low:+.4f} to {each.lost.interval.high:+.4f}")]
        for each in marginals
    )  # fmt: skip
    yield table(
        f"{marginals[0].lost.measure} lost, learned anew from a log", ["source", "is", "lost", "95%"], rows, 2
    )


def _curve(marginals: Sequence[Marginal], kind: str) -> Html:
    sources = list(dict.fromkeys(each.source for each in marginals))
    steps = sorted({each.at for each in marginals}, reverse=kind != "late")

    def draw(axes: Axes) -> None:
        for n, source in enumerate(sources):
            mine = [each for each in marginals if each.source == source]
            at = [steps.index(each.at) for each in mine]
            colour = svg.SERIES[n % len(svg.SERIES)]
            for place, each in zip(at, mine, strict=True):
                bounds = [each.lost.interval.low, each.lost.interval.high]
                axes.plot([place, place], bounds, color=colour, linewidth=2)
            axes.plot(at, [each.lost.interval.mean for each in mine], color=colour, marker="o", label=source)
        names = [age(step) if kind == "late" else f"{step:.3g}" for step in steps]
        axes.set_xticks(range(len(steps)), names)
        axes.axhline(0.0, color=svg.MUTED, linewidth=1)
        _framed(axes, "late by" if kind == "late" else "share kept", f"{LABELS[METRIC]} lost")

    says = "; ".join(f"{each.source} {is_how(each)} {each.lost.interval.mean:+.4f}" for each in marginals)
    return svg.drawing(f"curve-{kind}", says, 3.6, draw)


def _ranked(report: ValueReport) -> list[Value]:
    return sorted((each for each in report.values if each.metric == METRIC), key=lambda each: -each.value)


def _of(valued: Valued, player: str) -> float:
    return next((e.value for e in valued.report.values if (e.player, e.metric) == (player, METRIC)), 0.0)
