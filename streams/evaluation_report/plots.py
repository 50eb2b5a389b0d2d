"""The plots of the page, each with the sentence that tells the same."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from models.evaluate.measures import MEASURES
from models.evaluate.result import Difference, Evaluation, Scores
from streams.evaluation_report import svg, words
from streams.evaluation_report.markup import Html
from streams.evaluation_report.words import Verdict, label, percent, printable

MAX_NAME: Final = 28
ROW: Final = 0.32
"""Inches a row."""
AROUND: Final = 0.75
"""Inches for the axis below."""
COLOURS: Final = {Verdict.BETTER: svg.BETTER, Verdict.OPEN: svg.OPEN, Verdict.WORSE: svg.WORSE}
LEGEND: Final[dict[str, Any]] = {
    "loc": "lower center",
    "bbox_to_anchor": (0.5, 1.0),
    "ncols": 2,
    "fontsize": 10,
}
BESIDE: Final[dict[str, Any]] = {"textcoords": "offset points", "va": "center"}
BEHIND: Final[dict[str, Any]] = {"facecolor": svg.SURFACE, "edgecolor": "none", "pad": 1}
LATEST_MS: Final = 7_258_118_400_000
"""Year 2200: a log whose times are wrong still gets its plot, though not a calendar beyond reason."""
DASHES: Final = ("-", "--", ":", "-.")


def by_recommender(evaluation: Evaluation, measure: str) -> Html:
    """A dot with its interval for each recommender."""
    key = f"{measure}@{max(evaluation.ks)}"
    shown = [scores.overall[key] for scores in evaluation.scores]
    places = words.decimals_of(evaluation.scores, key)

    def draw(axes: Axes) -> None:
        for row, interval in enumerate(shown):
            colour = svg.SERIES[0] if row == 0 else svg.MUTED
            axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, linewidth=2)
            axes.plot([100 * interval.mean], [row], "o", color=colour, markersize=7)
            text = words.plus_minus(interval, places)
            axes.annotate(text, (100 * interval.high, row), (8, 0), bbox=BEHIND, **BESIDE)
        _rows(axes, [_short(scores.name) for scores in evaluation.scores], f"{label(key)}, percent")
        _from_zero(axes, 1.6 * max(100 * interval.high for interval in shown))

    says = _says(
        f"{label(key)} by recommender, percent, with 95% intervals",
        (
            f"{scores.name} {percent(interval.mean, places)}, {words.low_to_high(interval, places)}"
            for scores, interval in zip(evaluation.scores, shown, strict=True)
        ),
    )
    return svg.drawing(f"by-{measure}", says, _height(len(shown)), draw)


def over_time(evaluation: Evaluation, measure: str) -> Html:
    """A line for each recommender, a point at the middle of each stretch of the log."""
    key = f"{measure}@{max(evaluation.ks)}"

    def draw(axes: Axes) -> None:
        for n, scores in enumerate(evaluation.scores):
            middle = [(point.from_ms + point.to_ms) // 2 for point in scores.over_time]
            time = np.clip(middle, 0, LATEST_MS).astype("datetime64[ms]")
            axes.plot(time, [100 * point.values[key] for point in scores.over_time], **_line(n))
        locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        _lines(axes, evaluation, f"{label(key)}, percent", "time, UTC")

    says = _says(
        f"{label(key)} over the log, percent, from the first stretch to the last",
        (
            f"{scores.name} {percent(scores.over_time[0].values[key])} to "
            f"{percent(scores.over_time[-1].values[key])}"
            for scores in evaluation.scores
            if scores.over_time
        ),
    )
    return svg.drawing(f"time-{measure}", says, 3.8, draw)


def over_ks(evaluation: Evaluation, measure: str) -> Html:
    """A line for each recommender, a point at each k."""

    def draw(axes: Axes) -> None:
        for n, scores in enumerate(evaluation.scores):
            values = [100 * scores.overall[f"{measure}@{k}"].mean for k in evaluation.ks]
            axes.plot(evaluation.ks, values, **_line(n))
        axes.set_xticks(evaluation.ks)
        _lines(axes, evaluation, f"{words.LABELS[measure]}, percent", "k, length of the list")

    says = _says(
        f"{words.LABELS[measure]} by the length of the list, percent",
        (
            f"{scores.name} "
            + ", ".join(f"{percent(scores.overall[f'{measure}@{k}'].mean)} at {k}" for k in evaluation.ks)
            for scores in evaluation.scores
        ),
    )
    return svg.drawing(f"ks-{measure}", says, 3.8, draw)


def sources(scores: Scores) -> Html:
    """Two bars for each source: its share of the hits, and of the places."""
    names = list(dict.fromkeys([*scores.hits_by_source, *scores.offered_by_source]))
    hits = [100 * scores.hits_by_source.get(name, 0.0) for name in names]
    offered = [100 * scores.offered_by_source.get(name, 0.0) for name in names]

    def draw(axes: Axes) -> None:
        rows = np.arange(len(names))
        axes.barh(rows - 0.19, hits, 0.34, color=svg.SERIES[0], label="of the hits")
        axes.barh(rows + 0.19, offered, 0.34, color=svg.SERIES[7], label="of the places offered")
        _rows(axes, list(map(_short, names)), "share, percent")
        axes.legend(**LEGEND)

    says = _says(
        f"sources of {scores.name}, percent of the hits and of the places offered",
        (f"{name} {hit:.1f} and {of:.1f}" for name, hit, of in zip(names, hits, offered, strict=True)),
    )
    return svg.drawing("sources", says, _height(2 * len(names)) + 0.4, draw)


def slices(evaluation: Evaluation) -> Html:
    """A bar for each slice of the first recommender, and a line for all trials."""
    scores, key = evaluation.scores[0], f"{MEASURES[0]}@{max(evaluation.ks)}"
    names = [f"{each.dimension}: {each.value}" for each in scores.slices]
    lines = [f"{_short(each.dimension)}:\n{_short(each.value)}" for each in scores.slices]
    values = [100 * each.values[key] for each in scores.slices]

    def draw(axes: Axes) -> None:
        axes.barh(range(len(names)), values, 0.6, color=svg.SERIES[0])
        for row, value in enumerate(values):
            axes.annotate(f"{value:.1f}", (value, row), (5, 0), bbox=BEHIND, **BESIDE)
        axes.axvline(100 * scores.overall[key].mean, color=svg.MUTED, linestyle="--", label="all trials")
        _rows(axes, lines, f"{label(key)}, percent")
        _from_zero(axes, 1.2 * max(values))
        axes.legend(**LEGEND)

    says = _says(
        f"{label(key)} of {scores.name} by slice, percent",
        (f"{name} {value:.1f}" for name, value in zip(names, values, strict=True)),
    )
    return svg.drawing("slices", says, _height(1.6 * len(names)) + 0.4, draw)


def forest(measure: str, differences: Sequence[Difference]) -> Html:
    """The paired differences of one measure around 0; open ones are hollow."""

    def draw(axes: Axes) -> None:
        axes.axvline(0.0, color=svg.MUTED, linewidth=1)
        for row, each in enumerate(differences):
            verdict, of = words.verdict(each.interval), each.interval
            colour = COLOURS[verdict]
            filled = "none" if verdict is Verdict.OPEN else colour
            axes.plot([100 * of.low, 100 * of.high], [row, row], color=colour, linewidth=2)
            axes.plot([100 * of.mean], [row], "o", color=colour, markersize=7, markerfacecolor=filled)
        _rows(axes, [_short(each.b) for each in differences], f"{label(measure)}, percentage points")

    says = _says(
        f"{label(measure)}: how far {differences[0].a} is above each other, percentage points",
        (
            f"{each.b} {words.points(each.interval.mean)}, {words.points_between(each.interval)}, "
            f"{words.verdict(each.interval).word}"
            for each in differences
        ),
    )
    return svg.drawing(f"forest-{measure.replace('@', '-')}", says, _height(len(differences)), draw)


def _rows(axes: Axes, names: Sequence[str], of: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(of)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _lines(axes: Axes, evaluation: Evaluation, of: str, along: str) -> None:
    axes.set_ylabel(of)
    axes.set_xlabel(along)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    names = [_short(scores.name) for scores in evaluation.scores]
    axes.legend(axes.get_lines(), names, **LEGEND)


def _line(n: int) -> dict[str, Any]:
    """The first stands out; dashes tell those apart that share a colour."""
    return {
        "color": svg.SERIES[n % len(svg.SERIES)],
        "linestyle": DASHES[n // len(svg.SERIES) % len(DASHES)],
        "linewidth": 3.0 if n == 0 else 1.6,
        "marker": "o",
        "markersize": 5 if n == 0 else 3,
        "zorder": 3 if n == 0 else 2,
    }


def _from_zero(axes: Axes, end: float) -> None:
    """Room for figures up to ``end``, and no tick above 100 percent."""
    end = end or 1.0
    axes.set_xlim(0, end)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= min(end, 100.0)])


def _height(rows: float) -> float:
    return AROUND + ROW * rows


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _says(what: str, each: Iterable[str]) -> str:
    return f"{what}. {'; '.join(each)}."
