"""The result of an evaluation: what the table, the JSON file and the HTML report are made from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from models.evaluate.intervals import Interval, intervals
from models.evaluate.measures import MEASURES, measured
from models.evaluate.trials import F64, Bool, Events, Found
from models.kinds import Kind

SEED: Final = 7
N_BINS: Final = 20
"""Points of a curve over time, each of as many trials."""

Values = dict[str, float]
"""By measure, such as ``hr@20``."""


class Slice(Struct, frozen=True):
    """Some of the trials, alike in one respect."""

    dimension: str
    """``kind``, ``user``, ``item``, ``repeat``, ``own transition``, ``source``."""
    value: str
    n: int
    values: Values
    """At the largest k."""


class Point(Struct, frozen=True):
    """A stretch of the log."""

    from_ms: int
    to_ms: int
    n: int
    values: Values


class Scores(Struct, frozen=True):
    """One recommender."""

    name: str
    overall: dict[str, Interval]
    """By measure and k."""
    slices: list[Slice]
    over_time: list[Point]
    coverage: float
    """Share of the items of the log that were offered at all."""
    gini: float
    """Of how often each item of the log was offered: 0 all alike, 1 one item only."""
    novelty_bits: float
    diversity: float
    hits_by_source: dict[str, float]
    """Share of the hits by what brought the item most."""
    offered_by_source: dict[str, float]


class Difference(Struct, frozen=True):
    """How much ``a`` is above ``b``, on the same draws of users."""

    a: str
    b: str
    measure: str
    interval: Interval


class Evaluation(Struct, frozen=True):
    """All of it."""

    protocol: str
    log: str
    settings: dict[str, object]
    """Those that differ from the defaults."""
    n_events: int
    n_trials: int
    n_users: int
    n_items: int
    from_share: float
    """Share of the log at its start that is learned and not counted."""
    ks: list[int]
    scores: list[Scores]
    """The first is the one that is compared with the others."""
    differences: list[Difference]
    events_per_s: float
    notes: list[str]


def scores(
    name: str, events: Events, found: Found, keep: Bool, n_items_of_log: int, ks: Sequence[int]
) -> Scores:
    """Of the trials that ``keep`` (n,) marks."""
    at_k = {k: measured(found.ranks, events.column("n_items"), k)[keep] for k in ks}
    user = events.column("user")[keep]
    overall = {
        f"{measure}@{k}": interval
        for k, values in at_k.items()
        for measure, interval in zip(MEASURES, intervals(values, user, SEED), strict=True)
    }
    values = at_k[max(ks)]
    hits = Counter(
        source for source, kept in zip(found.source, keep.tolist(), strict=True) if kept and source
    )
    counts = np.zeros(max(n_items_of_log, len(found.offered)))
    counts[: len(found.offered)] = sorted(found.offered.values(), reverse=True)
    return Scores(
        name=name,
        overall=overall,
        slices=list(_slices(events, keep, values, max(ks))),
        over_time=list(_over_time(events, keep, values, max(ks))),
        coverage=min(1.0, len(found.offered) / max(1, n_items_of_log)),
        gini=gini(counts),
        novelty_bits=float(np.mean(np.array(found.novelty)[keep])) if found.novelty else 0.0,
        diversity=float(np.mean(np.array(found.diversity)[keep])) if found.diversity else 0.0,
        hits_by_source=_shares(hits),
        offered_by_source=_shares(found.offered_source),
    )


def differences(
    names: Sequence[str], events: Events, found: Sequence[Found], keep: Bool, k: int
) -> list[Difference]:
    """Of the first against each other, for HR, MRR and NDCG."""
    user = events.column("user")[keep]
    values = [measured(each.ranks, events.column("n_items"), k)[keep][:, :3] for each in found]
    return [
        Difference(names[0], name, f"{measure}@{k}", interval)
        for name, theirs in zip(names[1:], values[1:], strict=True)
        for measure, interval in zip(MEASURES, intervals(values[0] - theirs, user, SEED), strict=False)
    ]


def gini(counts: F64) -> float:
    """Gini coefficient of ``counts`` (n,)."""
    ordered, n = np.sort(counts), len(counts)
    total = ordered.sum()
    if total <= 0.0:
        return 0.0
    return float((2.0 * np.arange(1, n + 1) - n - 1.0) @ ordered / (n * total))


def _slices(events: Events, keep: Bool, values: F64, k: int) -> Iterator[Slice]:
    kinds = events.column("kind")[keep]
    for kind in np.unique(kinds).tolist():
        yield _slice("kind", Kind(kind).name.lower(), kinds == kind, values, k)
    for dimension, name, yes, no in (
        ("user", "is_returning", "returning", "in the first session"),
        ("item", "is_new_item", "new within a day", "known"),
        ("repeat", "is_repeat", "seen in this session", "not seen in this session"),
        ("own transition", "is_own_transition", "made before in this session", "others"),
    ):
        flags = events.column(name)[keep]
        for value, rows in ((yes, flags), (no, ~flags)):
            if rows.any():
                yield _slice(dimension, value, rows, values, k)


def _slice(dimension: str, value: str, rows: Bool, values: F64, k: int) -> Slice:
    return Slice(dimension, value, int(rows.sum()), _means(values[rows], k))


def _over_time(events: Events, keep: Bool, values: F64, k: int) -> Iterator[Point]:
    time_ms = events.column("time_ms")[keep]
    for rows in np.array_split(np.arange(len(values)), min(N_BINS, len(values))):
        if len(rows):
            yield Point(int(time_ms[rows[0]]), int(time_ms[rows[-1]]), len(rows), _means(values[rows], k))


def _means(values: F64, k: int) -> Values:
    means = values.mean(axis=0).tolist()
    return {f"{measure}@{k}": mean for measure, mean in zip(MEASURES, means, strict=True)}


def _shares(counts: Counter[str]) -> Values:
    total = max(1, counts.total())
    return {name: n / total for name, n in counts.most_common()}
