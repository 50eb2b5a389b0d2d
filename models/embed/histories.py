"""The past of the latest users, to make examples of: what a slate would have read just before an interaction.

It does not know what serving alone knows: dismissals, how long an item was looked at, how well it was rated.
"""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.embed.sequences import EVIDENCE_ABOVE, Examples, Sequences
from models.interest.settings import InterestSettings
from models.kinds import WEIGHT_OF_CODE
from models.retrieve.compiled import compiled, held_bytes
from models.retrieve.contract import F32, F64, I32, U8, U64, Interactions


class Past(NamedTuple):
    """S users with their last R interactions, oldest first."""

    n: I32
    """(S,) interactions kept."""
    item: I32
    """(S, R) -1 when it was forgotten."""
    time_s: F64
    session: U64
    """(S, R) as in ``Interactions``."""
    weight: F32


class Histories:
    """At most ``max_users``, the least recently seen makes room; of each the interactions that a state keeps."""

    def __init__(self, max_users: int, length: int, interest: InterestSettings) -> None:
        self._length = length
        self._idle_s = interest.idle_s
        self._width = min(interest.session_width, length)
        self._history = min(interest.history_width, length)
        kept = (max_users, interest.max_interactions)
        self._past = Past(
            np.zeros(max_users, np.int32),
            np.zeros(kept, np.int32),
            np.zeros(kept),
            np.zeros(kept, np.uint64),
            np.zeros(kept, np.float32),
        )
        self._slots: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def examples(self, batch: Interactions) -> Examples:
        """One example for each interaction that has a past, in order; takes each in after it was read.

        A straggler is given what came before it by event time.
        """
        n = len(batch.item)
        slot, arrives = self._places(batch.user)
        items = np.full((n, self._length), -1, np.int32)
        age_s = np.zeros(items.shape, np.float32)
        evidence = np.zeros(items.shape, np.uint8)
        stay_s = np.full(n, np.nan, np.float32)
        _follow(
            self._past,
            slot,
            arrives,
            np.ascontiguousarray(batch.item, np.int32),
            np.ascontiguousarray(batch.time_s, np.float64),
            np.ascontiguousarray(batch.session, np.uint64),
            WEIGHT_OF_CODE[batch.kind & 15],
            self._idle_s,
            self._history,
            self._width,
            EVIDENCE_ABOVE,
            items,
            age_s,
            evidence,
            stay_s,
        )
        kept = np.flatnonzero((items[:, 0] >= 0) & (batch.item >= 0))
        sequences = Sequences(items[kept], age_s[kept], evidence[kept], batch.term[kept], batch.segment[kept])
        return Examples(sequences, batch.item[kept], batch.kind[kept], stay_s[kept])

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        held = self._past.item[: len(self._slots)]
        held[np.isin(held, items)] = -1

    @property
    def size_bytes(self) -> int:
        """Memory held at most; pages are only taken as users come."""
        return held_bytes(self._past)

    def _places(self, users: U64) -> tuple[I32, NDArray[np.bool_]]:
        """(n,) the user's slot, and whether the user arrives in it with this interaction."""
        slot, arrives = np.empty(len(users), np.int32), np.zeros(len(users), np.bool_)
        slots, n_slots = self._slots, len(self._past.n)
        for i, user in enumerate(users.tolist()):
            at = slots.get(user)
            if at is None:
                arrives[i] = True
                at = len(slots) if len(slots) < n_slots else slots.popitem(last=False)[1]
                slots[user] = at
            else:
                slots.move_to_end(user)
            slot[i] = at
        return slot, arrives


@compiled
def _follow(
    past: Past,
    slot: I32,
    arrives: NDArray[np.bool_],
    item: I32,
    time_s: F64,
    session: U64,
    weight: F32,
    idle_s: float,
    history: int,
    width: int,
    above: F32,
    items: I32,
    age_s: F32,
    evidence: U8,
    stay_s: F32,
) -> None:
    for i in range(len(slot)):
        s = slot[i]
        if arrives[i]:
            past.n[s] = 0
        if item[i] < 0:
            continue
        at = past.n[s]
        while at > 0 and past.time_s[s, at - 1] > time_s[i]:
            at -= 1
        if at > 0 and past.item[s, at - 1] >= 0 and time_s[i] - past.time_s[s, at - 1] <= idle_s:
            stay_s[i] = time_s[i] - past.time_s[s, at - 1]
        _recall(past, s, at, time_s[i], idle_s, history, width, above, items[i], age_s[i], evidence[i])
        at = _room(past, s, at)
        if at >= 0:
            past.item[s, at] = item[i]
            past.time_s[s, at] = time_s[i]
            past.session[s, at] = session[i]
            past.weight[s, at] = weight[i]


@compiled
def _recall(
    past: Past,
    s: int,
    n: int,
    now_s: float,
    idle_s: float,
    history: int,
    width: int,
    above: F32,
    items: I32,
    age_s: F32,
    evidence: U8,
) -> None:
    """Read the first ``n`` interactions of user ``s`` backwards, as ``models.interest.queries`` does at ``now_s``."""
    later_s, later_session, under_way, n_found, newest_s = now_s, np.uint64(0), True, 0, 0.0
    for r in range(n - 1, -1, -1):
        if later_session != 0 and past.session[s, r] != 0:
            under_way = under_way and later_session == past.session[s, r]
        else:
            under_way = under_way and later_s - past.time_s[s, r] <= idle_s
        later_s, later_session = past.time_s[s, r], past.session[s, r]
        item = past.item[s, r]
        if item < 0:
            continue
        at = 0
        while at < n_found and items[at] != item:
            at += 1
        if at == history:
            continue
        if at == n_found:
            if at == 0:
                newest_s = later_s
            items[at], age_s[at] = item, newest_s - later_s
            n_found += 1
        if under_way and at < width:
            level = 0
            while level < len(above) and past.weight[s, r] > above[level]:
                level += 1
            evidence[at] = max(evidence[at], level)


@compiled
def _room(past: Past, s: int, at: int) -> int:
    """Make room before place ``at``, dropping the oldest when full; where it is then, -1 when itself the oldest."""
    n, kept = past.n[s], past.item.shape[1]
    if n < kept:
        for r in range(n, at, -1):
            _move(past, s, r - 1, r)
        past.n[s] += 1
        return at
    for r in range(1, at):
        _move(past, s, r, r - 1)
    return at - 1


@compiled
def _move(past: Past, s: int, here: int, there: int) -> None:
    past.item[s, there] = past.item[s, here]
    past.time_s[s, there] = past.time_s[s, here]
    past.session[s, there] = past.session[s, here]
    past.weight[s, there] = past.weight[s, here]
