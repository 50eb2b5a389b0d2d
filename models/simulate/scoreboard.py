"""How often the latest slate held what a shopper looked at next, beside two yardsticks, test-then-learn.

A look counts when its user had a slate by then, and when no slate of ours brought it about: a click on a
recommendation would otherwise prove itself right. It is scored first and only then counted into popularity.
The first yardstick is the list of the most popular items so far, the same for everyone; the second, only where
there is a simulation to ask, its oracle. Looks at items that the user had not looked at lately are counted once
more by themselves: slates leave out what was just viewed, so a return to it is a miss by design.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_USERS: Final = 200_000
MAX_REMEMBERED: Final = 50
"""Items that a user looked at last; any other is new."""


class Rates(NamedTuple):
    """Hit rates at k over the looks counted so far; None where nothing was counted."""

    n_looks: int
    k: int
    ours: float | None
    popular: float | None
    oracle: float | None


class Popular:
    """The k items looked at most often; on a tie the one that got there first stays."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._counts: dict[str, int] = {}
        self._top: dict[str, int] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._top

    def count(self, item_id: str) -> None:
        """One more look at the item."""
        n = self._counts[item_id] = self._counts.get(item_id, 0) + 1
        if item_id in self._top or len(self._top) < self._k:
            self._top[item_id] = n
            return
        last = min(self._top, key=self._top.__getitem__)
        if n > self._top[last]:
            del self._top[last]
            self._top[item_id] = n


class _Hits:
    """Hits of each list over some of the looks."""

    def __init__(self) -> None:
        self._n = self._ours = self._popular = self._n_asked = self._oracle = 0

    def add(self, *, ours: bool, popular: bool, oracle: int) -> None:
        self._n += 1
        self._ours += ours
        self._popular += popular
        self._n_asked += oracle >= 0
        self._oracle += oracle == 1

    def rates(self, k: int) -> Rates:
        return Rates(
            n_looks=self._n,
            k=k,
            ours=_share(self._ours, self._n),
            popular=_share(self._popular, self._n),
            oracle=_share(self._oracle, self._n_asked),
        )


class _User:
    """A user's latest slate, and what they looked at last."""

    def __init__(self) -> None:
        self.slate: frozenset[str] | None = None
        self.seen: deque[str] = deque(maxlen=MAX_REMEMBERED)


class Scoreboard:
    """Bounded by ``max_users``, the one heard of least recently first out, and by the number of items."""

    def __init__(self, k: int, max_users: int = MAX_USERS) -> None:
        self._k, self._max_users = k, max_users
        self._users: OrderedDict[str, _User] = OrderedDict()
        self._popular = Popular(k)
        self._all, self._new = _Hits(), _Hits()

    def publish(self, user_id: str, item_ids: Sequence[str]) -> None:
        """A slate became readable; its first k items replace the user's earlier ones."""
        self._user(user_id).slate = frozenset(item_ids[: self._k])

    def look(self, user_id: str, item_id: str, *, from_slate: bool, oracle: int = -1) -> None:
        """A user looks at an item; ``oracle`` is 1 for its hit, 0 for its miss, -1 when it was not asked."""
        user = self._user(user_id)
        if user.slate is not None and not from_slate:
            ours, popular = item_id in user.slate, item_id in self._popular
            self._all.add(ours=ours, popular=popular, oracle=oracle)
            if item_id not in user.seen:
                self._new.add(ours=ours, popular=popular, oracle=oracle)
        user.seen.append(item_id)
        self._popular.count(item_id)

    def rates(self) -> Rates:
        """Over all looks so far."""
        return self._all.rates(self._k)

    def rates_of_new(self) -> Rates:
        """Over looks at items that the user had not looked at lately."""
        return self._new.rates(self._k)

    def _user(self, user_id: str) -> _User:
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User()
            if len(self._users) > self._max_users:
                self._users.popitem(last=False)
        self._users.move_to_end(user_id)
        return user


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
