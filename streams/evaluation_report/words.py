"""What a report says, on the terminal and on the page alike: figures as text, verdicts, remarks.

Shares are told in percent, differences in percentage points.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Final

from models.evaluate.intervals import Interval
from models.evaluate.measures import MEASURES
from models.evaluate.result import Difference, Evaluation, Scores

LABELS: Final = {
    "hr": "HR",
    "mrr": "MRR",
    "ndcg": "NDCG",
    "recall": "recall",
    "precision": "precision",
    "f1": "F1",
}
"""How each of ``MEASURES`` is called."""


class Verdict(Enum):
    """What an interval of a difference says: a mark, and a word."""

    BETTER = ("▲", "better")
    OPEN = ("·", "open")
    WORSE = ("▼", "worse")

    @property
    def mark(self) -> str:
        """One character, so that colour is never all there is."""
        return self.value[0]

    @property
    def word(self) -> str:
        """In a word."""
        return self.value[1]


def verdict(interval: Interval) -> Verdict:
    """Open where the interval includes 0."""
    if interval.low > 0.0:
        return Verdict.BETTER
    return Verdict.WORSE if interval.high < 0.0 else Verdict.OPEN


def printable(text: object) -> str:
    """Without control characters, which would move a cursor or break a page."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(text))


def label(measure: str) -> str:
    """``hr@20`` as ``HR@20``."""
    name, at, k = measure.partition("@")
    return f"{LABELS.get(name, name)}{at}{k}"


def at_largest_k(evaluation: Evaluation) -> list[str]:
    """The measures that tables show, such as ``hr@20``."""
    return [f"{measure}@{max(evaluation.ks)}" for measure in MEASURES]


def decimals(shares: Iterable[float]) -> int:
    """How many a column needs: two where all of it is small."""
    return 1 if max(shares, default=0.0) >= 0.1 else 2


def decimals_of(scores: Iterable[Scores], measure: str) -> int:
    """Of a column with one row a recommender."""
    return decimals(of_one.overall[measure].mean for of_one in scores)


def percent(share: float, places: int = 1) -> str:
    """``65.0``"""
    return f"{100.0 * share:.{places}f}"


def plus_minus(interval: Interval, places: int = 1) -> str:
    """``65.0 ±0.6``, with half the width of the interval."""
    return f"{percent(interval.mean, places)} ±{percent((interval.high - interval.low) / 2.0, places)}"


def low_to_high(interval: Interval, places: int = 1) -> str:
    """``64.4 to 65.6``"""
    return f"{percent(interval.low, places)} to {percent(interval.high, places)}"


def points(difference: float) -> str:
    """``+3.21``, in percentage points."""
    return f"{100.0 * difference:+.2f}"


def points_between(interval: Interval) -> str:
    """``+2.60 to +3.81``"""
    return f"{points(interval.low)} to {points(interval.high)}"


def facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The head of a report: name and value."""
    changed = ", ".join(f"{name} = {value}" for name, value in evaluation.settings.items())
    return [
        ("log", printable(evaluation.log)),
        ("protocol", printable(evaluation.protocol)),
        ("trials", f"{evaluation.n_trials:,} by {evaluation.n_users:,} users"),
        ("events", f"{evaluation.n_events:,} with {evaluation.n_items:,} items"),
        ("left out", f"{evaluation.from_share:.0%} of the log, at its start: learned, not counted"),
        ("settings changed", printable(changed) or "none"),
        ("speed", f"{evaluation.events_per_s:,.0f} events a second, all recommenders together"),
    ]


def no_trials(evaluation: Evaluation) -> str:
    """Why there is nothing to show, and the way out."""
    why = (
        "Nothing was tried: a trial is an event with an item, by a user who had an event before it, "
        f"and the {evaluation.n_events:,} events that were read hold none that counts."
    )
    if evaluation.from_share > 0.0:
        return f"{why} Leave out less of the log, as in --from 0, or give a longer one."
    return f"{why} See that --mapping takes users and items from the right columns, or give a longer log."


def remarks(evaluation: Evaluation) -> Iterator[str]:
    """The differences in plain sentences, first of all where another recommender wins."""
    first = printable(evaluation.scores[0].name)
    of = {each: list(_by_other(evaluation.differences, each)) for each in Verdict}
    for other, group in of[Verdict.WORSE]:
        yield f"{other} wins against {first} on {', '.join(map(_by_how_much, group))}."
    if not of[Verdict.WORSE]:
        yield f"Nothing wins against {first} on any of these measures."
    for other, group in of[Verdict.OPEN]:
        yield f"{other} and {first} are not told apart on {', '.join(label(each.measure) for each in group)}."


def _by_other(differences: Iterable[Difference], wanted: Verdict) -> Iterator[tuple[str, list[Difference]]]:
    of_verdict = (each for each in differences if verdict(each.interval) is wanted)
    for other, group in groupby(of_verdict, key=attrgetter("b")):
        yield printable(other), list(group)


def _by_how_much(each: Difference) -> str:
    """Seen from the other."""
    mean, low, high = (
        percent(-bound, 2) for bound in (each.interval.mean, each.interval.high, each.interval.low)
    )
    return f"{label(each.measure)} by {mean} points ({low} to {high})"
