"""Outcomes meet the slates that they belong to, by event time. It teaches nobody; that is ``learning``.

An interaction that names a slate belongs to it; else to the user's slate that was last seen, if that shows the item and
is no older than the window; else to the slate served last, as the next thing that its user wanted. A slate is answered
by what comes after it, and beyond the window by the first such interaction only.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from models.interest.evidence import touches
from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.learn.groups import Groups
from models.learn.pending import NONE, Pending
from models.learn.settings import LearnSettings
from schemas.events import AnyEvent, Browse, Dismiss, Impression, ItemFeedback

SAMPLE_BITS: Final = 1 << 32

I64 = NDArray[np.int64]


class Label(NamedTuple):
    """What came of one candidate, or of a whole list that was shown."""

    slot: int
    place: int
    """Of the candidate in its slot; -1 where it was no candidate, or the list was only shown."""
    kind: Kind
    item: int
    """Index of what was wanted or dismissed, -1 for none or an unknown one."""
    reward: float
    """What the kind of interaction counts, less what was learned for this candidate before."""
    attributed: bool
    """The slate was seen, and the item chosen from it."""
    corrects: bool
    """The list had been shown, and learned as not wanted."""
    user: int
    partition: int
    time_ms: int


class Joined(NamedTuple):
    """Labels, and the lists that scorers learn from: those whose item was a candidate, and those only shown."""

    labels: list[Label]
    groups: Groups
    of: list[int]
    """Position of each group's label."""


class Joiner:
    """Looks outcomes up among the pending slates."""

    def __init__(
        self,
        pending: Pending,
        learn: LearnSettings,
        interest: InterestSettings,
        index: Callable[[str], int],
    ) -> None:
        self._pending, self._interest, self._index = pending, interest, index
        self._window_ms = int(learn.window_s * 1000.0)
        self._rewards = {kind: learn.rewards.get(kind.name.lower(), 0.0) for kind in Kind}
        self._dismissal = max(self._rewards[Kind.CLICK], 1.0)
        self._sampled = int(learn.challenger_share * SAMPLE_BITS)

    def join(self, events: Iterable[tuple[int, AnyEvent]]) -> Joined:
        """Labels of (partition, event), each event new and in the order of arrival."""
        labels: list[Label] = []
        for partition, event in events:
            user = xxh3_64_intdigest(event.user_id.encode())
            if user in self._pending.latest:
                labels += self._labels(partition, event, user)
        return self._gathered(labels)

    def _labels(self, partition: int, event: AnyEvent, user: int) -> list[Label]:
        if isinstance(event, Impression):
            return self._shown(partition, event, user)
        if isinstance(event, Dismiss):
            return self._wanted(partition, event, user, event.item_id, Kind.DISMISS, self._dismissal)
        found = []
        for touch in touches(event, self._interest):
            reward = self._rewards[touch.kind]
            if touch.kind is Kind.DWELL:
                reward *= touch.weight
            if reward > 0.0:
                found += self._wanted(partition, event, user, touch.item_id, touch.kind, reward)
        return found

    def _shown(self, partition: int, event: Impression, user: int) -> list[Label]:
        pending = self._pending
        items = [self._index(item) for item in event.item_ids]
        slate = _hash(event.slate_id) if event.slate_id else _hash(event.event_id)
        slot = pending.by_slate.get(slate, NONE)
        if slot == NONE:
            slot = pending.latest[user]
            if not self._answers(slot, event.time_ms) or event.slate_id:
                return []
            slot = pending.shown_list(slot, slate, items, event.time_ms)
        else:
            n = pending.slots.shown[slot]
            places = [p for p in (pending.place(slot, item) for item in items) if 0 <= p < n]
            pending.slots.shown[slot] = max(places, default=-1) + 1
        if slot == NONE or pending.slots.shown[slot] == 0:
            return []
        first = pending.seen.get(user) != slot
        pending.seen[user] = slot
        label = Label(slot, NONE, Kind.IMPRESSION, NONE, 1.0, True, False, user, partition, event.time_ms)
        return [label] if first else []

    def _wanted(
        self, partition: int, event: AnyEvent, user: int, item_id: str, kind: Kind, reward: float
    ) -> list[Label]:
        item = self._index(item_id)
        slot, attributed = self._slot(event, user, item)
        if slot == NONE:
            return []
        pending = self._pending
        place = pending.place(slot, item)
        if place >= 0:
            before = float(pending.slots.rewarded[slot, place])
            pending.slots.rewarded[slot, place] = max(before, reward)
            reward -= max(before, 0.0) if kind is not Kind.DISMISS else 0.0
            if reward <= 0.0:
                return []
        corrects = attributed and pending.seen.get(user) == slot
        return [Label(slot, place, kind, item, reward, attributed, corrects, user, partition, event.time_ms)]

    def _slot(self, event: AnyEvent, user: int, item: int) -> tuple[int, bool]:
        """The slate that the event answers, and whether the item was chosen from it."""
        pending = self._pending
        slate_id = event.slate_id if isinstance(event, ItemFeedback | Browse) else None
        if slate_id and (slot := pending.by_slate.get(_hash(slate_id), NONE)) != NONE:
            return slot, 0 <= pending.place(slot, item) < pending.slots.shown[slot]
        seen = pending.seen.get(user, NONE)
        if (
            seen != NONE
            and 0 <= event.time_ms - pending.time_ms[seen] <= self._window_ms
            and 0 <= pending.place(seen, item) < pending.slots.shown[seen]
        ):
            return seen, True
        latest = pending.latest[user]
        return (latest, False) if self._answers(latest, event.time_ms) else (NONE, False)

    def _answers(self, slot: int, time_ms: int) -> bool:
        """Whether what happens now can be the answer to the slate in the slot."""
        after_ms = time_ms - self._pending.time_ms[slot]
        if after_ms < 0:
            return False
        return bool(after_ms <= self._window_ms or not self._pending.slots.rewarded[slot].any())

    def _gathered(self, labels: list[Label]) -> Joined:
        of = [i for i, label in enumerate(labels) if label.place >= 0 or label.kind is Kind.IMPRESSION]
        taught = [labels[i] for i in of]
        slots = np.array([label.slot for label in taught], np.int64)
        seen = np.array([label.attributed for label in taught], np.bool_)
        pending = self._pending.slots
        groups = Groups(
            x=pending.x[slots],
            n=np.where(seen, pending.shown[slots], pending.n[slots]),
            target=np.array([label.place for label in taught], np.int32),
            weight=np.array(
                [-label.reward if label.kind is Kind.DISMISS else label.reward for label in taught],
                np.float32,
            ),
            learned=np.array([label.corrects for label in taught], np.uint8),
            sampled=np.array([label.user % SAMPLE_BITS < self._sampled for label in taught], np.uint8),
        )
        return Joined(labels, groups, of)


def _hash(slate_id: str) -> int:
    return xxh3_64_intdigest(slate_id.encode())
