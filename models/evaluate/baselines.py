"""Baselines to stand beside: each in a few lines of plain Python, online, ties to the item that came first.

Popularity; session reminder; Markov (the items that followed the last one); sequential rules (SR: items that came up to
ten steps later, by 1 / steps) as in Ludewig and Jannach, "Evaluation of session-based recommendation algorithms" (UMUAI
2018); V-SKNN online, the same paper. All keep repeated views and filter nothing.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from math import log
from typing import Final

from models.evaluate.prequential import goes_on, wanted
from models.evaluate.recommender import Offer
from schemas.events import AnyEvent

MAX_STEPS: Final = 10
MAX_VISITS: Final = 200_000
"""Sessions that are remembered, the latest."""


class Visit:
    """A user's session: its items in order, repeats kept."""

    __slots__ = ("items", "last_ms", "number", "session_id")

    def __init__(self, number: int, event: AnyEvent) -> None:
        self.number = number
        self.session_id = event.session_id
        self.last_ms = event.time_ms
        self.items: list[str] = []


class Baseline:
    """Cuts sessions and keeps what is not learned yet; a subclass has ``_count`` and ``_offer``."""

    name = ""
    cleans = False

    def __init__(self, k: int = 20, idle_s: float = 1_800.0) -> None:
        self._k = k
        self._idle_ms = idle_s * 1000.0
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._later: list[tuple[Visit, int, str]] = []
        self._n_visits = 0

    def drops(self, event: AnyEvent) -> bool:  # noqa: ARG002
        """See ``Recommender``: it has no recipe."""
        return False

    def meanwhile(self, now_ms: int) -> tuple[()]:  # noqa: ARG002
        """See ``Recommender``: nothing is late."""
        return ()

    def follow(self, events: Sequence[AnyEvent], *, learn: bool) -> list[Offer | None]:
        """See ``Recommender``."""
        visits = [self._take(event) for event in events]
        if learn:
            self.catch_up()
        return [Offer(self._offer(visit), []) for visit in visits]

    def wanted(self, event: AnyEvent) -> list[str]:
        """See ``Recommender``."""
        return wanted(event)

    def catch_up(self) -> None:
        """See ``Recommender``."""
        for visit, at, item in self._later:
            self._count(visit, at, item)
        self._later.clear()

    def train(self, events: Sequence[AnyEvent]) -> None:
        """See ``Recommender``."""
        for event in events:
            self._take(event)
        self.catch_up()

    def settle(self) -> None:
        """See ``Recommender``: one pass was enough."""

    def _take(self, event: AnyEvent) -> Visit:
        visit = self._visits.get(event.user_id)
        if visit is None or not goes_on(visit, event, self._idle_ms):
            visit = self._visits[event.user_id] = Visit(self._n_visits, event)
            self._n_visits += 1
            if len(self._visits) > MAX_VISITS:
                self._visits.popitem(last=False)
        self._visits.move_to_end(event.user_id)
        visit.last_ms = event.time_ms
        for item in wanted(event):
            self._later.append((visit, len(visit.items), item))
            visit.items.append(item)
        return visit

    def _best(self, scores: Mapping[str, float]) -> list[str]:
        return nlargest(self._k, scores, key=scores.__getitem__)

    def _count(self, visit: Visit, at: int, item: str) -> None:
        """Learn that ``item`` is at place ``at`` of the visit."""

    def _offer(self, visit: Visit) -> list[str]:
        raise NotImplementedError


class Popularity(Baseline):
    """The items interacted with most, the same for everyone."""

    name = "popularity"

    def __init__(self, k: int = 20, idle_s: float = 1_800.0) -> None:
        super().__init__(k, idle_s)
        self._counts: Counter[str] = Counter()
        self._top: list[str] = []

    def _count(self, visit: Visit, at: int, item: str) -> None:  # noqa: ARG002
        self._counts[item] += 1
        if item not in self._top:
            self._top.append(item)
        self._top.sort(key=self._counts.__getitem__, reverse=True)
        del self._top[self._k :]

    def _offer(self, visit: Visit) -> list[str]:  # noqa: ARG002
        return list(self._top)


class Reminder(Baseline):
    """The session's own items, the latest first."""

    name = "session reminder"

    def _offer(self, visit: Visit) -> list[str]:
        return list(dict.fromkeys(reversed(visit.items)))[: self._k]


class Markov(Baseline):
    """The items that followed the session's last one most often."""

    name = "markov"

    def __init__(self, k: int = 20, idle_s: float = 1_800.0) -> None:
        super().__init__(k, idle_s)
        self._next: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def _count(self, visit: Visit, at: int, item: str) -> None:
        if at:
            self._next[visit.items[at - 1]][item] += 1

    def _offer(self, visit: Visit) -> list[str]:
        return self._best(self._next[visit.items[-1]]) if visit.items else []


class SequentialRules(Baseline):
    """The items that came up to ten steps after the session's last one, each time by 1 / steps."""

    name = "sequential rules"

    def __init__(self, k: int = 20, idle_s: float = 1_800.0) -> None:
        super().__init__(k, idle_s)
        self._after: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def _count(self, visit: Visit, at: int, item: str) -> None:
        for steps, before in enumerate(reversed(visit.items[max(0, at - MAX_STEPS) : at]), start=1):
            if before != item:
                rules = self._after[before]
                rules[item] = rules.get(item, 0.0) + 1.0 / steps

    def _offer(self, visit: Visit) -> list[str]:
        return self._best(self._after[visit.items[-1]]) if visit.items else []


class Vsknn(Baseline):
    """k of the m latest sessions that share an item, weighted by the place of what they share; idf; 1 / step."""

    name = "vs-knn"

    def __init__(
        self, k: int = 20, idle_s: float = 1_800.0, neighbours: int = 100, sample: int = 1_000
    ) -> None:
        super().__init__(k, idle_s)
        self._neighbours, self._sample = neighbours, sample
        self._sessions: dict[int, dict[str, None]] = {}
        self._with: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=sample))

    def _count(self, visit: Visit, at: int, item: str) -> None:  # noqa: ARG002
        session = self._sessions.setdefault(visit.number, {})
        if item not in session:
            session[item] = None
            self._with[item].append(visit.number)

    def _offer(self, visit: Visit) -> list[str]:
        weight = {item: (i / len(visit.items)) ** 2 for i, item in enumerate(visit.items, start=1)}
        similar: dict[int, float] = {}
        for number in self._recent(weight, visit.number):
            session = self._sessions[number]
            similar[number] = sum(weight[item] for item in weight.keys() & session.keys())
        scores: dict[str, float] = {}
        for number in nlargest(self._neighbours, similar, key=lambda n: (similar[n], n)):
            session = self._sessions[number]
            step = next(p for p, item in enumerate(reversed(visit.items), start=1) if item in session)
            for item in session:
                idf = log(max(1.0, len(self._sessions) / len(self._with[item])))
                scores[item] = scores.get(item, 0.0) + similar[number] * (1.0 + idf) / step
        return self._best(scores)

    def _recent(self, items: Iterable[str], own: int) -> list[int]:
        """The latest sessions that share an item."""
        possible: set[int] = set()
        for item in items:
            possible.update(self._with.get(item, ()))
        possible.discard(own)
        return nlargest(self._sample, possible)


BASELINES: Final = (Popularity, Reminder, Markov, SequentialRules, Vsknn)
