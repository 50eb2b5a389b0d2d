"""Scores of quality by dimension: those of the newest reports on a source, or what a sample can tell.

The weights are those of ``models.quality``, so that the overall scores of all assets compare.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from models.quality.report import WEIGHTS
from schemas.inventory import Column
from schemas.quality import QualityReport, Scores

NO_TIME: Final = -1


def of_reports(reports: Iterable[QualityReport]) -> dict[str, Scores]:
    """By source, the means over the partitions of its newest window, weighted by their records."""
    newest: dict[str, dict[str, QualityReport]] = {}
    for each in reports:
        held = newest.setdefault(each.source, {})
        if held and each.window_end_ms > next(iter(held.values())).window_end_ms:
            held.clear()
        if not held or each.window_end_ms == next(iter(held.values())).window_end_ms:
            held[each.report_id] = each
    return {source: _mean(list(held.values())) for source, held in newest.items()}


def of_sample(
    found: Sequence[Column],
    values: Sequence[bytes | None],
    n_unreadable: int,
    lags_ms: Sequence[int],
    *,
    timely_ms: float,
    future_ms: float,
) -> Scores | None:
    """What a sample tells: consistency it cannot, for that takes other sources.

    ``lags_ms`` are record timestamps less event times. Completeness is of all columns alike.
    """
    there = [each for each in values if each]
    if not there:
        return None
    timely = sum(-future_ms <= lag <= timely_ms for lag in lags_ms)
    return _scores(
        {
            "completeness": 1 - sum(each.null_share for each in found) / len(found) if found else None,
            "validity": 1 - n_unreadable / len(there),
            "uniqueness": len(set(there)) / len(there),
            "timeliness": timely / len(lags_ms) if lags_ms else None,
            "consistency": None,
        }
    )


def in_ms(unit: str) -> Callable[[float], int]:
    """How to make a number of that format a time in milliseconds."""
    factor = {"epoch_s": 1_000.0, "epoch_us": 0.001}.get(unit, 1.0)
    return lambda value: round(value * factor)


def _mean(reports: Sequence[QualityReport]) -> Scores:
    def mean(name: str) -> float | None:
        told = [
            (score, each.n_events) for each in reports if (score := getattr(each.scores, name)) is not None
        ]
        weight = sum(n for _, n in told)
        return sum(score * n for score, n in told) / weight if weight else None

    return _scores({name: mean(name) for name in WEIGHTS})


def _scores(found: Mapping[str, float | None]) -> Scores:
    known = {name: score for name, score in found.items() if score is not None}
    weight = sum(WEIGHTS[name] for name in known)
    overall = sum(WEIGHTS[name] * score for name, score in known.items()) / weight if known else None
    return Scores(
        **{name: None if score is None else round(score, 6) for name, score in found.items()},
        overall=None if overall is None else round(overall, 6),
    )
