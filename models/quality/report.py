"""From profiles to a report: the judgement. What the report is used for is up to its readers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Final, NamedTuple

from models.quality.codec import encode_profile
from models.quality.fields import SHAPES
from models.quality.lag import quantile_s
from models.quality.profile import Profile, merge
from schemas.quality import FieldQuality, QualityReport, Scores

WEIGHTS: Final[Mapping[str, float]] = {
    "completeness": 0.2,
    "validity": 0.3,
    "uniqueness": 0.15,
    "timeliness": 0.2,
    "consistency": 0.15,
}
"""Of each dimension in the overall score; one with nothing to judge by is left out.

A rejected record is lost to everything downstream, so validity weighs most; the others degrade a
recommendation without preventing it.
"""


def report(profiles: Sequence[Profile]) -> QualityReport:
    """The report on one window of one source over all partitions given; ValueError when they do not merge."""
    if not profiles:
        raise ValueError("a report needs at least one profile")
    total = reduce(merge, profiles)
    asked = _asked(total)
    partitions = "+".join(map(str, total.partitions))
    return QualityReport(
        report_id=f"{total.source}-{partitions}-{total.start_ms}",
        source=total.source,
        window_start_ms=total.start_ms,
        window_end_ms=total.end_ms,
        partitions=total.partitions,
        n_events=total.n_events,
        n_accepted=total.n_accepted,
        n_rejected=total.n_rejected,
        n_duplicates=total.n_duplicates,
        n_late=total.n_late,
        rejected=_by_name(total.rejected),
        kinds=_by_name(total.shapes),
        fields=_fields(total, asked),
        unknown_fields=_by_name(total.unknown_fields),
        events_per_s=total.n_events * 1000 / total.width_ms,
        lag_p50_s=quantile_s(total.lag, 0.5),
        lag_p99_s=quantile_s(total.lag, 0.99),
        scores=_scores(total, asked),
        recipes=_by_name(total.recipes),
        cleaned=_by_name(total.cleaned),
        sketches=encode_profile(total),
    )


class Measurement(NamedTuple):
    """One gauge: ``field`` is empty for the whole source, a reason for ``rejected``."""

    dimension: str
    field: str
    value: float


def measurements(quality: QualityReport) -> Iterator[Measurement]:
    """The report as flat gauges, nulls left out. Fields and reasons are those we know, so labels are few."""
    scores = quality.scores
    whole = {
        "volume": quality.events_per_s,
        "completeness": scores.completeness,
        "validity": scores.validity,
        "uniqueness": scores.uniqueness,
        "timeliness": scores.timeliness,
        "consistency": scores.consistency,
        "overall": scores.overall,
        "late": _share(quality.n_late, quality.n_accepted),
        "lag_p50_seconds": quality.lag_p50_s,
        "lag_p99_seconds": quality.lag_p99_s,
    }
    yield from (Measurement(name, "", value) for name, value in whole.items() if value is not None)
    for reason, n in quality.rejected.items():
        yield Measurement("rejected", reason, n / quality.n_events)
    for step, n in quality.cleaned.items():
        yield Measurement("cleaned", step, n / quality.n_accepted)
    for path, field in quality.fields.items():
        if field.completeness is not None:
            yield Measurement("completeness", path, field.completeness)
        if field.validity is not None:
            yield Measurement("validity", path, field.validity)


def _share(n: int, of: int) -> float | None:
    return n / of if of else None


def _by_name(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


class _Asked(NamedTuple):
    """How many structs have each path, and how many have it as an optional field."""

    any: dict[str, int]
    optional: dict[str, int]


def _asked(total: Profile) -> _Asked:
    asked = _Asked({}, {})
    for name, n in total.shapes.items():
        shape = SHAPES.get(name)
        if shape is None:
            continue
        for path in shape.paths:
            asked.any[path] = asked.any.get(path, 0) + n
        for _, path, _ in shape.optional:
            asked.optional[path] = asked.optional.get(path, 0) + n
    return asked


def _fields(total: Profile, asked: _Asked) -> dict[str, FieldQuality]:
    return {
        path: FieldQuality(
            completeness=_share(n_optional - total.absent.get(path, 0), n_optional),
            validity=_share(n, n + total.invalid.get(path, 0)),
        )
        for path in sorted(asked.any.keys() | total.invalid.keys())
        for n, n_optional in [(asked.any.get(path, 0), asked.optional.get(path, 0))]
    }


def _scores(total: Profile, asked: _Asked) -> Scores:
    n_values = sum(asked.optional.values())
    found = {
        "completeness": _share(n_values - sum(total.absent.values()), n_values),
        "validity": _share(total.n_accepted, total.n_events),
        "uniqueness": _share(total.n_accepted - total.n_duplicates, total.n_accepted),
        "timeliness": _share(total.n_timely, total.n_accepted),
        "consistency": _share(
            total.n_item_known + total.n_viewed, total.n_item_checked + total.n_view_checked
        ),
    }
    return Scores(**found, overall=_overall(found))


def _overall(scores: Mapping[str, float | None]) -> float | None:
    known = {name: score for name, score in scores.items() if score is not None}
    weight = sum(WEIGHTS[name] for name in known)
    return sum(WEIGHTS[name] * score for name, score in known.items()) / weight if known else None
