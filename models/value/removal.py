"""Whether values of points are right: without the worst nothing is lost, without the best more than without any.

Neighbours are learned anew from what remains, and asked questions that the values have not seen.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models.evaluate.intervals import Interval, intervals
from models.evaluate.measures import MEASURES, measured
from models.evaluate.trials import F64
from models.retrieve.contract import F32, I32, U8, U64, Interactions, Queries
from models.retrieve.session_knn import SessionKnn
from models.retrieve.settings import SessionKnnSettings
from models.value.points import I64, Sessions

Bool = NDArray[np.bool_]
SHARES: Final = (0.01, 0.02, 0.05)
"""Of the points, taken away."""
N_RANDOM: Final = 3
"""Draws of points taken away at random."""
TOGETHER: Final = 512
SEED: Final = 7


class Removal(Struct, frozen=True):
    """What taking points away changed; above 0 is better than before."""

    which: str
    """``lowest``, ``random`` or ``highest``."""
    share: float
    n_removed: int
    measure: str
    change: Interval


class Questions(NamedTuple):
    """Q prefixes of sessions and the item that was wanted next."""

    items: I32
    """(Q, L) newest first, -1 padded."""
    wanted: I32
    """(Q,)"""
    user: I64
    """(Q,)"""


def questions(sessions: Sessions, asked: I64, length: int) -> Questions:
    """Of the sessions ``asked`` (T,), each from its second item on."""
    rows, wanted, user = [], [], []
    for session in asked.tolist():
        items = sessions.items[sessions.starts[session] : sessions.starts[session + 1]]
        for at in range(1, len(items)):
            row = np.full(length, -1, np.int32)
            newest = items[max(0, at - length) : at][::-1]
            row[: len(newest)] = newest
            rows.append(row)
            wanted.append(items[at])
            user.append(sessions.user[session])
    items_of = np.stack(rows) if rows else np.empty((0, length), np.int32)
    return Questions(items_of, np.array(wanted, np.int32), np.array(user, np.int64))


def curve(
    sessions: Sessions,
    n_known: int,
    point: I32,
    value: F64,
    asked: Questions,
    settings: SessionKnnSettings,
    k: int,
) -> Iterator[Removal]:
    """``point`` (n,) tells what each item of the first ``n_known`` sessions belongs to, ``value`` (P,) its worth."""
    whole = _tried(sessions, n_known, np.ones(len(point), np.bool_), asked, settings, k)
    present = np.unique(point)
    order = present[np.argsort(value[present], kind="stable")]
    rng = np.random.default_rng(SEED)
    for share in SHARES:
        n = max(1, round(share * len(order)))
        draws = [rng.choice(order, n, replace=False) for _ in range(N_RANDOM)]
        for which, removed in (("lowest", [order[:n]]), ("random", draws), ("highest", [order[-n:]])):
            tried = [_tried(sessions, n_known, ~np.isin(point, each), asked, settings, k) for each in removed]
            change = np.mean(tried, axis=0) - whole
            for name, interval in zip(MEASURES[:3], intervals(change, asked.user, SEED), strict=True):
                yield Removal(which, share, n, f"{name}@{k}", interval)


def _tried(
    sessions: Sessions, n_known: int, kept: Bool, asked: Questions, settings: SessionKnnSettings, k: int
) -> F64:
    """(Q, 3) of neighbours that learned from what is ``kept`` (n,)."""
    source = SessionKnn(settings, len(sessions.names))
    source.update(_interactions(sessions, n_known, kept))
    ranks: list[tuple[int, ...]] = []
    for start in range(0, len(asked.wanted), TOGETHER):
        part = slice(start, start + TOGETHER)
        found = source.candidates(_queries(asked.items[part]), k).items
        hits = found == asked.wanted[part, None]
        ranks += [(int(row.argmax()) + 1,) if row.any() else () for row in hits]
    return measured(ranks, np.ones(len(ranks), np.int64), k)[:, :3]


def _interactions(sessions: Sessions, n_known: int, kept: Bool) -> Interactions:
    lengths = np.diff(sessions.starts[: n_known + 1])
    session = np.repeat(np.arange(1, n_known + 1, dtype=np.uint64), lengths)[kept]
    n = len(session)
    return Interactions(
        user=session,
        session=session,
        item=sessions.items[: sessions.starts[n_known]][kept],
        kind=cast(U8, np.ones(n, np.uint8)),
        time_s=np.repeat(sessions.start_ms[:n_known] / 1000.0, lengths)[kept],
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


def _queries(items: I32) -> Queries:
    """By items alone, of users that nobody knows."""
    n = len(items)
    no_ints, no_floats = np.empty((n, 0), np.int32), np.empty((n, 0), np.float32)
    nobody = cast(U64, np.full(n, np.iinfo(np.uint64).max, np.uint64))
    unknown = np.full(n, -1, np.int32)
    return Queries(
        now_s=np.zeros(n),
        user=nobody,
        items=items,
        weights=cast(F32, np.ones(items.shape, np.float32)),
        history=no_ints,
        history_age_s=no_floats,
        history_times=no_ints,
        category=no_ints,
        category_weight=no_floats,
        brand=no_ints,
        brand_weight=no_floats,
        log_price=np.full(n, np.nan, np.float32),
        term=no_ints,
        term_weight=no_floats,
        segment=unknown,
        query=unknown,
    )
