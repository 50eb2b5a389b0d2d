"""How often the latest slate held what a shopper looked at next, beside two yardsticks, test-then-learn.

A look counts when its user had a slate by then, and when no slate of ours brought it about: a click on a
recommendation would otherwise prove itself right. It is scored first and only then counted into popularity.
The first yardstick is the list of the most popular items so far, the same for everyone; the second, only
where there is a simulation to ask, its oracle."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_USERS: Final = 200_000


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


class Scoreboard:
    """Bounded by ``max_users`` slates, the least recently refreshed first out, and the number of items."""

    def __init__(self, k: int, max_users: int = MAX_USERS) -> None:
        self._k, self._max_users = k, max_users
        self._slates: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._popular = Popular(k)
        self._n = self._ours = self._by_popularity = 0
        self._n_asked = self._oracle = 0

    def publish(self, user_id: str, item_ids: Sequence[str]) -> None:
        """A slate became readable; its first k items replace the user's earlier ones."""
        self._slates[user_id] = frozenset(item_ids[: self._k])
        self._slates.move_to_end(user_id)
        if len(self._slates) > self._max_users:
            self._slates.popitem(last=False)

    def look(self, user_id: str, item_id: str, *, from_slate: bool, oracle: int = -1) -> None:
        """A user looks at an item; ``oracle`` is 1 for its hit, 0 for its miss, -1 when it was not asked."""
        slate = self._slates.get(user_id)
        if slate is not None and not from_slate:
            self._n += 1
            self._ours += item_id in slate
            self._by_popularity += item_id in self._popular
            self._n_asked += oracle >= 0
            self._oracle += oracle == 1
        self._popular.count(item_id)

    def rates(self) -> Rates:
        """The figures so far."""
        return Rates(
            n_looks=self._n,
            k=self._k,
            ours=_share(self._ours, self._n),
            popular=_share(self._by_popularity, self._n),
            oracle=_share(self._oracle, self._n_asked),
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
