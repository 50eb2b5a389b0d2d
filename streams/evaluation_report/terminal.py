"""An evaluation on a terminal: plain tables, no wider than 80 columns for names of usual length."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from models.evaluate.result import Evaluation
from streams.evaluation_report import words
from streams.evaluation_report.words import Verdict, printable

STYLES: Final = {Verdict.BETTER: "green", Verdict.OPEN: "dim", Verdict.WORSE: "red"}
N_OF_SLICES: Final = 4
"""Measures shown of a slice: HR, MRR, NDCG, recall."""


def table(evaluation: Evaluation) -> RenderableType:
    """All of it but the curves, which the page shows."""
    parts: list[RenderableType] = [_head(evaluation)]
    if evaluation.scores:
        parts += [_overall(evaluation), _offered(evaluation)]
        parts += _differences(evaluation) if evaluation.differences else []
        parts.append(_slices(evaluation))
    else:
        parts.append(Text(words.no_trials(evaluation), style="yellow"))
    if evaluation.notes:
        parts.append(_lines("notes", map(printable, evaluation.notes)))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def _head(evaluation: Evaluation) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, value in words.facts(evaluation):
        grid.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
    return grid


def _overall(evaluation: Evaluation) -> Table:
    measures = words.at_largest_k(evaluation)
    out = _table(f"at {max(evaluation.ks)}, percent ± half of the 95% interval", "recommender")
    for measure in measures:
        out.add_column(words.LABELS[measure.partition("@")[0]], justify="right", no_wrap=True)
    places = {measure: words.decimals_of(evaluation.scores, measure) for measure in measures}
    for scores in evaluation.scores:
        figures = [words.plus_minus(scores.overall[measure], places[measure]) for measure in measures]
        out.add_row(Text(printable(scores.name)), *figures)
    return out


def _offered(evaluation: Evaluation) -> Table:
    out = _table("what was offered", "recommender")
    for name in ("coverage %", "Gini", "novelty bits", "diversity"):
        out.add_column(name, justify="right", no_wrap=True)
    for scores in evaluation.scores:
        out.add_row(
            Text(printable(scores.name)),
            words.percent(scores.coverage),
            f"{scores.gini:.3f}",
            f"{scores.novelty_bits:.2f}",
            f"{scores.diversity:.3f}",
        )
    return out


def _differences(evaluation: Evaluation) -> list[RenderableType]:
    out = _table(f"{printable(evaluation.scores[0].name)} less the others, percentage points", "other")
    out.add_column("measure", no_wrap=True)
    for name in ("difference", "95% interval"):
        out.add_column(name, justify="right", no_wrap=True)
    out.add_column("verdict", no_wrap=True)
    for other, group in groupby(evaluation.differences, key=attrgetter("b")):
        for n, each in enumerate(group):
            verdict = words.verdict(each.interval)
            out.add_row(
                Text("" if n else printable(other)),
                words.label(each.measure),
                words.points(each.interval.mean),
                words.points_between(each.interval),
                Text(f"{verdict.mark} {verdict.word}", style=STYLES[verdict]),
            )
    return [out, _lines("where it stands", words.remarks(evaluation))]


def _slices(evaluation: Evaluation) -> Table:
    scores, measures = evaluation.scores[0], words.at_largest_k(evaluation)[:N_OF_SLICES]
    out = _table(f"slices of {printable(scores.name)}, percent at {max(evaluation.ks)}", "by")
    out.add_column("value")
    for name in ("trials", *(words.LABELS[measure.partition("@")[0]] for measure in measures)):
        out.add_column(name, justify="right", no_wrap=True)
    for dimension, group in groupby(scores.slices, key=attrgetter("dimension")):
        for n, each in enumerate(group):
            out.add_row(
                Text("" if n else printable(dimension)),
                Text(printable(each.value)),
                f"{each.n:,}",
                *(words.percent(each.values[measure]) for measure in measures),
            )
    return out


def _table(title: str, first: str) -> Table:
    out = Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False
    )
    out.add_column(first, overflow="fold")
    return out


def _lines(title: str, lines: Iterator[str]) -> RenderableType:
    return Group(Text(title, style="bold"), *(Text(f"- {line}") for line in lines))
