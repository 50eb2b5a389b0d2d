"""Outcomes meet the slates that they belong to, by event time. It teaches nobody; that is ``learning``.

An interaction that names a slate of its user belongs to it; else to the user's slate that was last seen, if that shows
the item and is no older than the window; else to the slate served last, as the next thing that its user wanted. A slate
is answered by what comes after it, and beyond the window by the first such interaction only.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from models.interest.evidence import touches
from models.interest.settings import InterestSettings
from models.kinds import WEIGHTS, Kind
from models.learn.groups import I16, Groups
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
    """The list had been shown, and this candidate learned as not wanted."""
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
        rewards: dict[str, float] = dict(learn.rewards.items())
        self._rewards = {kind: rewards.get(kind.name.lower(), 0.0) for kind in Kind}
        self._dismissal = max(self._rewards[Kind.CLICK], 1.0)
        self._sampled = int(learn.challenger_share * SAMPLE_BITS)

    def join(self, events: Iterable[tuple[int, AnyEvent]]) -> Joined:
        """Labels of (partition, event), each event new and in the order of arrival."""
        labels: list[Label] = []
        lists: list[_List] = []
        for partition, event in events:
            user = xxh3_64_intdigest(event.user_id.encode())
            if user in self._pending.latest:
                found = self._labels(partition, event, user)
                labels += found
                lists += [self._list(label) for label in found if _teaches(label)]
        return _gathered(labels, lists, self._pending.slots.x[:0], self._sampled)

    def _labels(self, partition: int, event: AnyEvent, user: int) -> list[Label]:
        if isinstance(event, Impression):
            return self._shown(partition, event, user)
        if isinstance(event, Dismiss):
            return self._wanted(partition, event, user, event.item_id, Kind.DISMISS, self._dismissal)
        found = []
        for touch in touches(event, self._interest):
            reward = self._rewards[touch.kind]
            if touch.kind is Kind.DWELL:
                reward *= touch.weight / WEIGHTS[Kind.DWELL]
            if reward > 0.0:
                found += self._wanted(partition, event, user, touch.item_id, touch.kind, reward)
        return found

    def _shown(self, partition: int, event: Impression, user: int) -> list[Label]:
        pending = self._pending
        items = [self._index(item) for item in event.item_ids]
        name = event.slate_id or event.event_id
        slot = self._named(name, user)
        if slot == NONE:
            slot = pending.latest[user]
            if event.slate_id or not self._answers(slot, event.time_ms):
                return []
            slot = pending.shown_list(slot, _hash(name), items, event.time_ms)
        else:
            places = [p for p in (pending.place(slot, item) for item in items) if p < pending.served[slot]]
            before = int(pending.slots.shown[slot]) if pending.was_shown[slot] else 0
            told = max(before, max(places, default=NONE) + 1)
            if told == 0:
                return []
            pending.slots.shown[slot] = told
        if slot == NONE:
            return []
        first = not pending.was_shown[slot]
        pending.was_shown[slot] = True
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
        pending.answered[slot] = True
        corrects = attributed and bool(pending.was_shown[slot])
        place = pending.place(slot, item)
        if place >= 0:
            before = float(pending.slots.rewarded[slot, place])
            if kind is Kind.DISMISS:
                taught, now = reward if before >= 0.0 else 0.0, -reward
            else:
                taught, now = reward - max(before, 0.0), max(before, reward)
            pending.slots.rewarded[slot, place] = now
            pending.chosen[slot, place] |= attributed and kind is not Kind.DISMISS
            if taught <= 0.0:
                return []
            reward, corrects = taught, corrects and before == 0.0
        return [Label(slot, place, kind, item, reward, attributed, corrects, user, partition, event.time_ms)]

    def _slot(self, event: AnyEvent, user: int, item: int) -> tuple[int, bool]:
        """The slate that the event answers, and whether the item was chosen from it."""
        pending = self._pending
        slate_id = event.slate_id if isinstance(event, ItemFeedback | Browse) else None
        if slate_id and (slot := self._named(slate_id, user)) != NONE:
            return slot, 0 <= pending.place(slot, item) < pending.slots.shown[slot]
        seen = pending.seen.get(user, NONE)
        if (
            seen != NONE
            and 0 <= event.time_ms - pending.time_ms[seen] <= self._window_ms
            and self._chosen(seen, item)
        ):
            return seen, True
        latest = pending.latest[user]
        return (latest, False) if self._answers(latest, event.time_ms) else (NONE, False)

    def _chosen(self, slot: int, item: int) -> bool:
        """Whether an interaction that names no slate is with what was chosen from this one.

        A shop that names the slates it shows also names those that are chosen from: only what follows is left unnamed.
        """
        place = self._pending.place(slot, item)
        if not 0 <= place < self._pending.slots.shown[slot]:
            return False
        return bool(self._pending.chosen[slot, place] or not self._pending.ours[slot])

    def _answers(self, slot: int, time_ms: int) -> bool:
        """Whether what happens now can be the answer to the slate in the slot."""
        after_ms = time_ms - self._pending.time_ms[slot]
        if after_ms < 0:
            return False
        return bool(after_ms <= self._window_ms or not self._pending.answered[slot])

    def _named(self, slate_id: str, user: int) -> int:
        """The slot of the user's slate of that name."""
        slot = self._pending.by_slate.get(_hash(slate_id), NONE)
        return slot if slot != NONE and self._pending.user_of[slot] == user else NONE

    def _list(self, label: Label) -> "_List":
        slots, slot = self._pending.slots, label.slot
        n = (slots.shown if label.attributed else slots.n)[slot]
        return _List(slots.x[slot].copy(), int(n), label.attributed and bool(self._pending.was_shown[slot]))


class _List(NamedTuple):
    """As it is now: a later event may change its slot."""

    x: I16
    n: int
    seen: bool


def _teaches(label: Label) -> bool:
    return label.place >= 0 or label.kind is Kind.IMPRESSION


def _gathered(labels: list[Label], lists: list[_List], none: I16, sampled: int) -> Joined:
    of = [i for i, label in enumerate(labels) if _teaches(label)]
    taught = [labels[i] for i in of]
    groups = Groups(
        x=np.stack([each.x for each in lists]) if lists else none,
        n=np.array([each.n for each in lists], np.int32),
        target=np.array([label.place for label in taught], np.int32),
        weight=np.array(
            [-label.reward if label.kind is Kind.DISMISS else label.reward for label in taught],
            np.float32,
        ),
        learned=np.array([label.corrects for label in taught], np.uint8),
        seen=np.array([each.seen for each in lists], np.uint8),
        chances=np.ones((len(lists), none.shape[1]), np.float32),
        sampled=np.array([label.user % SAMPLE_BITS < sampled for label in taught], np.uint8),
        kind=np.array([label.kind for label in taught], np.uint8),
    )
    return Joined(labels, groups, of)


def _hash(slate_id: str) -> int:
    return xxh3_64_intdigest(slate_id.encode())
