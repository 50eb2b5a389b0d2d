"""An evaluation as one page of HTML: no script, and nothing that is fetched."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from typing import Final

import numpy as np

from models.evaluate.result import Difference, Evaluation, Scores
from streams.evaluation_report import plots, words
from streams.evaluation_report.markup import Html, join, tag
from streams.evaluation_report.words import label, percent

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
SHOWN: Final = ("hr", "mrr")
"""What is plotted."""

MEANINGS: Final = (
    ("trial", "an event with an item, by a user to whom a list had been offered before"),
    ("HR@k", "share of the trials in which one of the first k places held an item of the event"),
    ("MRR@k", "mean of 1 / rank of the first such place, 0 where there is none"),
    ("NDCG@k", "gain of the places by 1 / log2(1 + rank), as a share of the best order"),
    ("recall, precision, F1", "share of the event's items found, share of the k places, harmonic mean"),
    ("coverage", "share of the items of the log that were offered at all"),
    ("Gini", "of how often each item was offered: 0 all alike, 1 one item only"),
    ("novelty", "mean self-information of the items offered, in bits: rarer items have more"),
    ("diversity", "share of the pairs of items offered that are of different categories"),
    ("interval", "95%, by a bootstrap over users; differences are paired: the same users for both"),
)


def page(evaluation: Evaluation) -> str:
    """From the doctype to the end."""
    title = join("Evaluation of ", evaluation.log)
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("title", title),
        tag("style", Html(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))),
    )
    body = join(
        tag("header", tag("h1", title), _pairs(words.facts(evaluation))),
        tag("main", *_sections(evaluation)),
        tag("footer", _hidden("What the figures mean", _pairs(MEANINGS))),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _sections(evaluation: Evaluation) -> Iterator[Html]:
    if evaluation.scores:
        yield _section("Overall", *_overall(evaluation))
        if evaluation.differences:
            yield _section("Differences", *_differences(evaluation))
        yield _section("Over time", *_over_time(evaluation))
        yield _section("By length of the list", *_over_ks(evaluation))
        yield _section("Sources", *_sources(evaluation.scores[0]))
        yield _section("Slices", *_slices(evaluation))
    else:
        yield tag("p", words.no_trials(evaluation), class_="empty")
    if evaluation.notes:
        yield _section("Notes", tag("ul", *(tag("li", note) for note in evaluation.notes)))


def _overall(evaluation: Evaluation) -> Iterator[Html]:
    yield _plots(
        (f"{words.LABELS[measure]} at {max(evaluation.ks)}", plots.by_recommender(evaluation, measure))
        for measure in SHOWN
    )
    measures = words.at_largest_k(evaluation)
    places = {measure: words.decimals_of(evaluation.scores, measure) for measure in measures}
    yield _table(
        "Percent, with 95% intervals",
        ["recommender", *map(label, measures)],
        (
            [
                scores.name,
                *(_with_interval(scores, measure, places[measure]) for measure in measures),
            ]
            for scores in evaluation.scores
        ),
    )
    yield _table(
        "What was offered",
        ["recommender", "coverage, percent", "Gini", "novelty, bits", "diversity"],
        (
            [
                scores.name,
                percent(scores.coverage),
                f"{scores.gini:.3f}",
                f"{scores.novelty_bits:.2f}",
                f"{scores.diversity:.3f}",
            ]
            for scores in evaluation.scores
        ),
    )


def _with_interval(scores: Scores, measure: str, places: int) -> Html:
    interval = scores.overall[measure]
    return join(percent(interval.mean, places), tag("small", words.low_to_high(interval, places)))


def _differences(evaluation: Evaluation) -> Iterator[Html]:
    yield tag("ul", *(tag("li", remark) for remark in words.remarks(evaluation)))
    by_measure = attrgetter("measure")
    yield _plots(
        (f"{evaluation.scores[0].name} less the others, {label(measure)}", plots.forest(measure, list(group)))
        for measure, group in groupby(sorted(evaluation.differences, key=by_measure), key=by_measure)
    )
    yield _table(
        f"{evaluation.scores[0].name} less the others, percentage points",
        ["other", "measure", "difference", "95% interval", "verdict"],
        map(_difference, evaluation.differences),
    )


def _difference(each: Difference) -> list[str]:
    verdict = words.verdict(each.interval)
    return [
        each.b,
        label(each.measure),
        words.points(each.interval.mean),
        words.points_between(each.interval),
        tag("span", f"{verdict.mark} {verdict.word}", class_=verdict.word),
    ]


def _over_time(evaluation: Evaluation) -> Iterator[Html]:
    measures = [f"{measure}@{max(evaluation.ks)}" for measure in SHOWN]
    yield _plots((label(f), plots.over_time(evaluation, m)) for f, m in zip(measures, SHOWN, strict=True))
    for measure in measures:
        yield _hidden(f"{label(measure)} as a table", _times(evaluation, measure))


def _times(evaluation: Evaluation, measure: str) -> Html:
    stretches = zip(*(scores.over_time for scores in evaluation.scores), strict=True)
    return _table(
        f"{label(measure)}, percent; times in UTC",
        ["from", "to", "trials", *(scores.name for scores in evaluation.scores)],
        (
            [
                _time(points[0].from_ms),
                _time(points[0].to_ms),
                f"{points[0].n:,}",
                *(percent(point.values[measure]) for point in points),
            ]
            for points in stretches
        ),
    )


def _over_ks(evaluation: Evaluation) -> Iterator[Html]:
    if len(evaluation.ks) == 1:
        yield tag("p", f"Only k = {evaluation.ks[0]} was asked for; --ks 5,10,20 would show a curve.")
        return
    yield _plots((words.LABELS[m], plots.over_ks(evaluation, m)) for m in SHOWN)
    measures = [f"{measure}@{k}" for measure in SHOWN for k in evaluation.ks]
    rows = (
        [scores.name, *(_with_interval(scores, m, words.decimals_of(evaluation.scores, m)) for m in measures)]
        for scores in evaluation.scores
    )
    yield _hidden(
        "The same as a table",
        _table("Percent, with 95% intervals", ["recommender", *map(label, measures)], rows),
    )


def _sources(scores: Scores) -> Iterator[Html]:
    names = list(dict.fromkeys([*scores.hits_by_source, *scores.offered_by_source]))
    if not names:
        yield tag("p", f"{scores.name} does not tell its sources.")
        return
    yield _plots(
        [(f"What brings the hits of {scores.name}, and what fills its places", plots.sources(scores))]
    )
    yield _hidden(
        "The same as a table",
        _table(
            "Percent; an item counts for the source that brought it most",
            ["source", "of the hits", "of the places offered"],
            (
                [
                    name,
                    percent(scores.hits_by_source.get(name, 0.0)),
                    percent(scores.offered_by_source.get(name, 0.0)),
                ]
                for name in names
            ),
        ),
    )


def _slices(evaluation: Evaluation) -> Iterator[Html]:
    first, measures = evaluation.scores[0], words.at_largest_k(evaluation)
    yield _plots([(f"{label(measures[0])} of {first.name} by slice", plots.slices(evaluation))])
    yield _table(
        f"Slices of {first.name}, percent",
        ["by", "value", "trials", *map(label, measures)],
        (
            [each.dimension, each.value, f"{each.n:,}", *(percent(each.values[m]) for m in measures)]
            for each in first.slices
        ),
        n_texts=2,
    )
    if len(evaluation.scores) > 1:
        for measure in measures[: len(SHOWN)]:
            yield _hidden(
                f"{label(measure)} of all recommenders by slice", _slices_of_all(evaluation, measure)
            )


def _slices_of_all(evaluation: Evaluation, measure: str) -> Html:
    alike = zip(*(scores.slices for scores in evaluation.scores), strict=True)
    return _table(
        f"{label(measure)}, percent",
        ["by", "value", *(scores.name for scores in evaluation.scores)],
        ([of[0].dimension, of[0].value, *(percent(each.values[measure]) for each in of)] for of in alike),
        n_texts=2,
    )


def _section(title: str, *inside: Html) -> Html:
    name = title.lower().replace(" ", "-")
    return tag("section", tag("h2", title, id=name), *inside, aria_labelledby=name)


def _plots(captioned: Iterable[tuple[str, Html]]) -> Html:
    figures = (tag("figure", tag("figcaption", caption), plot) for caption, plot in captioned)
    return tag("div", *figures, class_="plots")


def _hidden(title: str, inside: Html) -> Html:
    return tag("details", tag("summary", title), inside)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in pairs))


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], n_texts: int = 1) -> Html:
    """The first ``n_texts`` columns hold words, the others figures."""
    head = tag("tr", *(_column(n, name, n_texts) for n, name in enumerate(columns)))
    body = (tag("tr", *(_cell(n, value, n_texts) for n, value in enumerate(row))) for row in rows)
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="table", role="region", aria_label=caption, tabindex="0")


def _column(n: int, name: str, n_texts: int) -> Html:
    return tag("th", name, scope="col", class_="text" if n < n_texts else "figure")


def _cell(n: int, value: str, n_texts: int) -> Html:
    if n == 0:
        return tag("th", value, scope="row")
    return tag("td", value, class_="text" if n < n_texts else "figure")


def _time(time_ms: int) -> str:
    """To the minute; of any year, for the times of a log may be wrong."""
    return str(np.datetime_as_string(np.datetime64(time_ms, "ms"), unit="m")).replace("T", " ")
