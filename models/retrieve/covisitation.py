"""Items that follow one another within sessions, with direction and decay.

It keeps pairs, not sessions: what the sessions of two items have in common beyond the pair is
``session_knn``'s.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.kinds import WEIGHT_OF_CODE
from models.retrieve.compiled import compiled, held_bytes, packed
from models.retrieve.contract import F32, F64, I32, U8, U64, Candidates, Interactions, Queries
from models.retrieve.leaderboards import (
    LN2,
    Leaderboards,
    add,
    blended,
    clear_rows,
    empty_leaderboards,
    empty_scratch,
)
from models.retrieve.leaderboards import drop_items as drop_from_boards
from models.retrieve.position_decay import by_position
from models.retrieve.sessions import Sessions, drop_items, empty_sessions, place, remember
from models.retrieve.settings import CovisitationSettings
from models.retrieve.top_k import marked


class Changed(NamedTuple):
    """Items whose neighbours changed, each at most once, in the order of their first change."""

    flag: U8
    """(I,) 1 while the item waits in the queue."""
    queue: I32
    """(I,)"""
    length: I32
    """(1,)"""


@compiled
def mark(changed: Changed, item: int) -> None:
    """Put ``item`` into the queue unless it waits there."""
    if changed.flag[item] == 0:
        changed.flag[item] = 1
        changed.queue[changed.length[0]] = item
        changed.length[0] += 1


@compiled
def learn(
    b: Leaderboards,
    s: Sessions,
    changed: Changed,
    user: U64,
    session: U64,
    item: I32,
    weight: F32,
    time_s: F64,
    idle_s: float,
    backward: float,
    rate: float,
) -> None:
    """Pair each of n interactions with the last items of its session, nearer ones more, then remember it."""
    for r in range(item.shape[0]):
        if item[r] < 0 or item[r] >= b.totals.shape[0]:
            continue
        slot = place(s, session[r], user[r], time_s[r], idle_s)
        if slot < 0:
            continue
        distance = 0
        for j in range(s.length[slot] - 1, -1, -1):
            before = s.items[slot, j]
            if before == item[r]:
                continue
            distance += 1
            pair = weight[r] / distance
            add(b, before, item[r], pair, time_s[r], rate)
            add(b, item[r], before, pair * backward, time_s[r], rate)
            mark(changed, before)
        if distance > 0:
            mark(changed, item[r])
        remember(s, slot, item[r])


class Covisitation:
    """score(j) = sum over the session's items i of weight(i) C(i, j) / (C(i) + smoothing).

    C(i, j) grows by weight / d whenever j is interacted with d items after i in a session, and by
    ``backward`` times that when it is the other way round; it halves every ``half_life_s``. C(i) is the sum
    of C(i, j) over all j. With one item asked about and no smoothing this is the sequential rule of Ludewig
    and Jannach (UMUAI 2018), decayed.
    """

    name = "covisitation"

    def __init__(self, settings: CovisitationSettings, n_items: int) -> None:
        self._settings = settings
        self._rate = LN2 / settings.half_life_s
        self._by_position = by_position(settings.position_decay, settings.query_items)
        self._boards = empty_leaderboards(n_items, settings.neighbours)
        self._sessions = empty_sessions(settings.n_sessions, settings.window)
        self._changed = Changed(
            np.zeros(n_items, np.uint8), np.zeros(n_items, np.int32), np.zeros(1, np.int32)
        )
        self._scratch = empty_scratch(n_items)

    def update(self, batch: Interactions) -> None:
        """Count the pairs that each interaction makes with those before it in its session."""
        learn(
            self._boards,
            self._sessions,
            self._changed,
            cast(U64, packed(batch.user, np.uint64)),
            cast(U64, packed(batch.session, np.uint64)),
            cast(I32, packed(batch.item, np.int32)),
            WEIGHT_OF_CODE[batch.kind & 15],
            cast(F64, packed(batch.time_s, np.float64)),
            self._settings.idle_s,
            self._settings.backward,
            self._rate,
        )

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """Neighbours of the items of each user's session; ``because`` is the item that gave most."""
        asked = queries.items[:, : self._settings.query_items]
        n = (asked >= 0).sum(axis=1)
        weights = queries.weights[:, : asked.shape[1]] * self._by_position[n, : asked.shape[1]]
        return self._blend(asked, weights, queries.now_s, k)

    def related(self, items: I32, k: int) -> tuple[I32, F32]:
        """The (n, k) neighbours of n items, best first, -1 padded, and their shares of the item's pairs."""
        found = self._blend(
            items[:, None], np.ones((len(items), 1), np.float32), np.zeros(len(items)), k, 0.0
        )
        return found.items, found.scores

    def changed(self, limit: int) -> I32:
        """Up to ``limit`` items whose neighbours changed since they were last named, in order of change."""
        waiting = int(self._changed.length[0])
        named = self._changed.queue[: min(limit, waiting)].copy()
        self._changed.queue[: waiting - named.size] = self._changed.queue[named.size : waiting].copy()
        self._changed.length[0] = waiting - named.size
        self._changed.flag[named] = 0
        return named

    def forget(self, items: I32) -> None:
        """Drop the items' neighbours, drop them as neighbours, and drop them from open sessions."""
        gone = marked(items, len(self._scratch.score))
        waiting = self._changed.queue[: self._changed.length[0]]
        hit = drop_from_boards(self._boards, gone)
        clear_rows(self._boards, gone[:-1])
        drop_items(self._sessions, gone)
        self._wait(np.concatenate([waiting, np.setdiff1d(hit, waiting)]), gone)

    @property
    def size_bytes(self) -> int:
        """Memory held, all of it from the start."""
        return held_bytes(self._boards, self._sessions, self._changed, self._scratch, (self._by_position,))

    def _blend(
        self, rows: I32, weights: F32, now_s: F64, k: int, smoothing: float | None = None
    ) -> Candidates:
        smoothing = self._settings.smoothing if smoothing is None else smoothing
        return Candidates(
            *blended(self._boards, self._scratch, rows, weights, now_s, smoothing, self._rate, k)
        )

    def _wait(self, queue: NDArray[np.integer], gone: NDArray[np.bool_]) -> None:
        queue = queue[~gone[queue]]
        self._changed.queue[: queue.size] = queue
        self._changed.length[0] = queue.size
        self._changed.flag[:] = 0
        self._changed.flag[queue] = 1
