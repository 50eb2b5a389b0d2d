"""Who gets the credit: joins what shoppers did to the items they had been shown.

What names a slate is credited to that slate's showing of the item; what names none, such as an order, to the latest
showing of the item to that user. Either way only within a window of event time, and each kind once a showing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from models.evaluate.trials import F64
from models.kinds import Kind

REWARDED: Final = (
    Kind.VIEW,
    Kind.CLICK,
    Kind.CART,
    Kind.WISHLIST,
    Kind.PURCHASE,
    Kind.DISMISS,
    Kind.RATING,
)
"""Kinds that may earn something."""


class Showing(NamedTuple):
    """An item at a place of a slate that was seen."""

    slate_id: str
    user_id: str
    item_id: str
    shown_ms: int


class Reaction(NamedTuple):
    """What a shopper did with an item."""

    user_id: str
    item_id: str
    kind: Kind
    time_ms: int
    slate_id: str | None
    worth: float
    """What the reward of its kind is multiplied by: 1, or of a rating how good it was."""


class Credit(NamedTuple):
    """(n, K) by showing and kind of reward."""

    gains: F64
    gained_ms: F64
    """Infinite where nothing was gained."""
    n_credited: int
    """Reactions that found their showing, those that repeat one included."""


def attribute(
    showings: Sequence[Showing],
    reactions: Iterable[Reaction],
    rewards: Mapping[Kind, float],
    window_ms: int,
) -> Credit:
    """Reactions in the order of time to showings; columns in the order of ``rewards``."""
    column = {kind: k for k, kind in enumerate(rewards)}
    gains = np.zeros((len(showings), len(column)))
    gained_ms = np.full(gains.shape, np.inf)
    find = _Finder(showings, window_ms)
    n_credited = 0
    for each in reactions:
        row = find(each) if each.kind in column else None
        if row is None:
            continue
        n_credited += 1
        cell = row, column[each.kind]
        if gained_ms[cell] == np.inf:
            gains[cell], gained_ms[cell] = rewards[each.kind] * each.worth, each.time_ms
    return Credit(gains, gained_ms, n_credited)


class _Finder:
    """Finds the showing that a reaction is to."""

    def __init__(self, showings: Sequence[Showing], window_ms: int) -> None:
        self._showings = showings
        self._window_ms = window_ms
        self._of_slate = {(each.slate_id, each.item_id): row for row, each in enumerate(showings)}
        self._of_user: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for row, each in enumerate(showings):
            self._of_user[each.user_id, each.item_id].append((each.shown_ms, row))
        for shown in self._of_user.values():
            shown.sort()

    def __call__(self, reaction: Reaction) -> int | None:
        row = (
            self._of_slate.get((reaction.slate_id, reaction.item_id))
            if reaction.slate_id
            else self._latest(reaction)
        )
        if row is None or self._showings[row].user_id != reaction.user_id:
            return None
        age_ms = reaction.time_ms - self._showings[row].shown_ms
        return row if 0 <= age_ms <= self._window_ms else None

    def _latest(self, reaction: Reaction) -> int | None:
        shown = self._of_user.get((reaction.user_id, reaction.item_id), [])
        at = bisect_right(shown, reaction.time_ms, key=lambda each: each[0])
        return shown[at - 1][1] if at else None
