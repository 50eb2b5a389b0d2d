"""Slates that were served and wait for what comes of them: the best candidates with their features.

When all slots are taken, a slate makes room whose user has a newer one and is not known to have seen it, the oldest
such; where there is none, the oldest of all. Kept in memory only: a worker that starts again, or takes over a
partition, learns from the slates that it serves itself.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.learn.groups import I16, SCALE
from models.rank.diversify import best_rows
from models.rank.merge import I64, Merged
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32

NONE: Final = -1


class Slots(NamedTuple):
    """M slates with up to K candidates of F features; those shown come first, in the order of the slate."""

    x: I16
    """(M, K, F) features over ``SCALE``."""
    items: I32
    """(M, K) -1 padded."""
    n: I32
    """(M,) candidates kept."""
    shown: I32
    """(M,) how many of them are the slate, or what is known to have been shown of it."""
    rewarded: F32
    """(M, K) what was learned for each candidate before."""


class Pending:
    """Found by slate, by the user's latest, and by the user's latest that was seen."""

    def __init__(self, n_slots: int, kept: int, n_features: int) -> None:
        self.slots = Slots(
            np.zeros((n_slots, kept, n_features), np.int16),
            np.full((n_slots, kept), -1, np.int32),
            np.zeros(n_slots, np.int32),
            np.zeros(n_slots, np.int32),
            np.zeros((n_slots, kept), np.float32),
        )
        self.time_ms = np.zeros(n_slots, np.int64)
        self.served: I32 = np.zeros(n_slots, np.int32)
        """(M,) how long the slate is, whatever is known to have been shown of it."""
        self.was_shown = np.zeros(n_slots, np.bool_)
        """(M,) whether the slate is known to have been shown."""
        self.answered = np.zeros(n_slots, np.bool_)
        """(M,) whether anything came of the slate."""
        self.ours = np.zeros(n_slots, np.bool_)
        """(M,) whether it is a slate that was served, and no list of the shop's own."""
        self.chosen = np.zeros((n_slots, kept), np.bool_)
        """(M, K) whether the candidate was chosen from the list as it was shown."""
        self.slate_of: list[int | None] = [None] * n_slots
        self.user_of = [0] * n_slots
        self.by_slate: dict[int, int] = {}
        self.latest: dict[int, int] = {}
        self.seen: dict[int, int] = {}
        self._by_age: OrderedDict[int, None] = OrderedDict()
        self._superseded: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.by_slate)

    def put(
        self,
        slates: list[int],
        users: list[int],
        time_ms: NDArray[np.int64],
        merged: Merged,
        values: F32,
        scores: F32,
        rows: I64,
    ) -> None:
        """Keep N slates: ``rows`` (N, S) of the candidates, -1 padded, with ``values`` (n, F) and ``scores`` (n,)."""
        at = np.empty(len(slates), np.int64)
        for row, (slate, user) in enumerate(zip(slates, users, strict=True)):
            slot = at[row] = self._take()
            self._name(slot, slate, user)
            if (before := self.latest.get(user)) is not None:
                self._superseded[before] = None
            self.latest[user] = slot
        self.time_ms[at] = time_ms
        self.ours[at], self.chosen[at] = True, False
        _keep(merged.starts, merged.items, values, scores, rows, at, *self.slots)
        self.served[at] = self.slots.shown[at]

    def shown_list(self, slot: int, slate: int, items: list[int], time_ms: int) -> int:
        """A slot for a list of the shop's own: those of its ``items`` that were candidates of ``slot``.

        -1 where none of them was.
        """
        places = [place for item in dict.fromkeys(items) if (place := self.place(slot, item)) >= 0]
        if not places:
            return NONE
        self._by_age.move_to_end(slot)
        to = self._take()
        slots = self.slots
        slots.x[to, : len(places)] = slots.x[slot, places]
        slots.items[to, : len(places)] = slots.items[slot, places]
        slots.items[to, len(places) :] = -1
        slots.n[to] = slots.shown[to] = self.served[to] = len(places)
        slots.rewarded[to] = 0.0
        self.time_ms[to] = time_ms
        self.ours[to], self.chosen[to] = False, False
        self._name(to, slate, self.user_of[slot])
        return to

    def place(self, slot: int, item: int) -> int:
        """Where in the slot the item is, -1 when it is not."""
        return _place(self.slots.items[slot], int(self.slots.n[slot]), item)

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        self.slots.items[np.isin(self.slots.items, items)] = -1

    @property
    def size_bytes(self) -> int:
        """Memory held at most; pages are only taken as the slots fill."""
        of_slots = self.time_ms, self.served, self.was_shown, self.answered, self.ours, self.chosen
        return sum(column.nbytes for column in (*self.slots, *of_slots))

    def _take(self) -> int:
        slot = self._room()
        self._by_age[slot] = None
        slate, user = self.slate_of[slot], self.user_of[slot]
        if slate is not None:
            if self.by_slate.get(slate) == slot:
                del self.by_slate[slate]
            for index in (self.latest, self.seen):
                if index.get(user) == slot:
                    del index[user]
        return slot

    def _room(self) -> int:
        if len(self._by_age) < len(self.slate_of):
            return len(self._by_age)
        while self._superseded:
            slot, _ = self._superseded.popitem(last=False)
            if not (self.was_shown[slot] or self.answered[slot]):
                del self._by_age[slot]
                return slot
        slot, _ = self._by_age.popitem(last=False)
        self._superseded.pop(slot, None)
        return slot

    def _name(self, slot: int, slate: int, user: int) -> None:
        self.slate_of[slot], self.user_of[slot] = slate, user
        self.was_shown[slot] = self.answered[slot] = False
        self.by_slate[slate] = slot


@compiled
def _keep(
    starts: I64,
    items: I32,
    values: F32,
    scores: F32,
    rows: I64,
    at: I64,
    x: I16,
    kept_items: I32,
    n_kept: I32,
    n_shown: I32,
    rewarded: F32,
) -> None:
    width = x.shape[1]
    pool = np.empty(width, np.int64)
    kept = np.empty(width, np.int64)
    for u in range(len(at)):
        n = 0
        while n < min(rows.shape[1], width) and rows[u, n] >= 0:
            kept[n] = rows[u, n]
            n += 1
        shown = n
        for i in range(best_rows(starts[u], starts[u + 1], items, scores, pool)):
            if n < width and not _among(kept, shown, pool[i]):
                kept[n] = pool[i]
                n += 1
        slot = at[u]
        n_kept[slot], n_shown[slot] = n, shown
        rewarded[slot, :] = 0.0
        kept_items[slot, n:] = -1
        for i in range(n):
            kept_items[slot, i] = items[kept[i]]
            for f in range(values.shape[1]):
                x[slot, i, f] = np.int16(np.round(values[kept[i], f] / SCALE))


@compiled
def _place(items: I32, n: int, item: int) -> int:
    for place in range(n):
        if items[place] == item and item >= 0:
            return place
    return NONE


@compiled
def _among(values: I64, n: int, value: int) -> bool:
    return np.any(values[:n] == value)  # type: ignore[return-value]
