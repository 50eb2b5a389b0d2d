"""Test-then-learn over a log: every event is tried against the offers made before it, then everyone learns from it.

The offer that is tried is the one a live system would have shown: made after the user's last event, with the knowledge
of that moment (Gama, Sebastião and Rodrigues, "On evaluating stream learning algorithms", 2013).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Final, Protocol

from models.evaluate.apart import apart
from models.evaluate.recommender import NOTHING, Offer, Recommender
from models.evaluate.trials import Events, Found
from models.kinds import Kind
from schemas.events import AnyEvent, Browse, Cart, Click, Line, Purchase, Wishlist

KINDS: Final[dict[type, Kind]] = {
    Browse: Kind.VIEW,
    Click: Kind.CLICK,
    Cart: Kind.CART,
    Wishlist: Kind.WISHLIST,
    Purchase: Kind.PURCHASE,
}
"""Events that say which item a user wanted."""

NEW_ITEM_MS: Final = 86_400_000
MAX_USERS: Final = 1_000_000
"""Users remembered, those seen last."""
MAX_TRIALS: Final = 1_000_000
"""When there are more, every other one is dropped, and from then on only every other one is kept."""


@dataclass
class _Visit:
    """A user's current session, as trials need it."""

    number: int
    session_id: str | None
    last_ms: int
    is_returning: bool = False
    items: dict[str, None] = field(default_factory=dict)
    last_item: str | None = None
    transitions: set[tuple[str, str]] = field(default_factory=set)
    offers: list[Offer] = field(default_factory=list)


class Prequential:
    """Follows a log with several recommenders side by side, all tried on the same events."""

    def __init__(
        self,
        recommenders: Sequence[Recommender],
        idle_s: float = 1_800.0,
        *,
        learn: bool = True,
        max_trials: int = MAX_TRIALS,
    ) -> None:
        self.recommenders = recommenders
        self._learn = learn
        self.events = Events()
        self.found = [Found() for _ in recommenders]
        self.n_events = 0
        self.items: Counter[str] = Counter()
        """Interactions by item, of the whole log so far."""
        self._n_interactions = 0
        self._idle_ms = idle_s * 1000.0
        self._visits: OrderedDict[str, _Visit] = OrderedDict()
        self._first_ms: dict[str, int] = {}
        self._category: dict[str, str] = {}
        self._n_users = self._n_trials = 0
        self._every = 1
        self._max_trials = max_trials

    def run(self, events: Iterable[AnyEvent], batch_size: int = 1) -> Iterator[int]:
        """Follow the log; yields how many events are done, now and then.

        Events that are followed together are all tried before any is learned: with one at a time, nothing is later
        than it need be; with more it is faster, and nobody learns from the last few events before.
        """
        for batch in apart(events, batch_size):
            self.take(batch)
            yield self.n_events

    def take(self, batch: Sequence[AnyEvent]) -> None:
        """Try events of different users, and follow them; what cleaning drops is neither tried nor counted."""
        self._hear_of_late(batch[0].time_ms)
        dropped = self._dropped(batch)
        for n, event in enumerate(batch):
            if not dropped[n]:
                self._try(self.n_events + n, event)
        offers = [self._followed(recommender, batch, dropped) for recommender in self.recommenders]
        for at, event in enumerate(batch):
            visit = self._visits.get(event.user_id) if dropped[at] else self._remembered(event)
            if visit is not None:
                visit.offers = [of_one[at] or old for of_one, old in zip(offers, visit.offers, strict=True)]
        self.n_events += len(batch)

    def train(self, batch: Sequence[AnyEvent]) -> None:
        """Let everyone learn events that are not tried and whose users do not come back."""
        dropped = self._dropped(batch)
        kept = [event for event, drop in zip(batch, dropped, strict=True) if not drop]
        for recommender in self.recommenders:
            recommender.train(batch if recommender.cleans else kept)
        for event in kept:
            self._count_items(event)

    def settle(self) -> None:
        """Let everyone learn what takes several passes."""
        for recommender in self.recommenders:
            recommender.settle()

    def _dropped(self, batch: Sequence[AnyEvent]) -> list[bool]:
        """Those that the recipe of any recommender drops. Each is asked of all."""
        asked = [[recommender.drops(event) for recommender in self.recommenders] for event in batch]
        return [any(of_one) for of_one in asked]

    def _followed(
        self, recommender: Recommender, batch: Sequence[AnyEvent], dropped: Sequence[bool]
    ) -> list[Offer | None]:
        if recommender.cleans or not any(dropped):
            return recommender.follow(batch, learn=self._learn)
        kept = [event for event, drop in zip(batch, dropped, strict=True) if not drop]
        offers = iter(recommender.follow(kept, learn=self._learn))
        return [None if drop else next(offers) for drop in dropped]

    def _hear_of_late(self, now_ms: int) -> None:
        for number, recommender in enumerate(self.recommenders):
            for user_id, offer in recommender.meanwhile(now_ms):
                if user_id in self._visits:
                    self._visits[user_id].offers[number] = offer

    def _try(self, at: int, event: AnyEvent) -> None:
        visit = self._visits.get(event.user_id)
        items = wanted(event)
        if visit is None or not items:
            return
        self._n_trials += 1
        if (self._n_trials - 1) % self._every:
            return
        continues = goes_on(visit, event, self._idle_ms)
        of = self.events
        of.at.append(at)
        of.user.append(visit.number)
        of.time_ms.append(event.time_ms)
        of.kind.append(KINDS[type(event)])
        of.n_items.append(len(items))
        of.is_returning.append(visit.is_returning or not continues)
        of.in_session.append(continues and visit.last_item is not None)
        of.is_new_item.append(
            all(event.time_ms - self._first_ms.get(i, event.time_ms) < NEW_ITEM_MS for i in items)
        )
        of.is_repeat.append(continues and visit.items.keys() >= set(items))
        of.is_own_transition.append(continues and (visit.last_item, items[0]) in visit.transitions)
        for recommender, offer, found in zip(self.recommenders, visit.offers, self.found, strict=True):
            self._score(offer, recommender.wanted(event), found)
        if len(of) >= self._max_trials:
            self._every *= 2
            of.thin()
            for found in self.found:
                found.thin()

    def _score(self, offer: Offer, items: list[str], found: Found) -> None:
        ranks = offer.ranks(items)
        found.ranks.append(ranks)
        found.source.append(offer.sources[ranks[0] - 1] if ranks and offer.sources else "")
        found.offered.update(offer.items)
        found.offered_source.update(offer.sources)
        found.novelty.append(self._novelty(offer.items))
        found.diversity.append(self._diversity(offer.items))

    def _novelty(self, items: list[str]) -> float:
        if not items:
            return 0.0
        total, counts = self._n_interactions + len(self.items) + 1, self.items
        return sum(log2(total / (counts[item] + 1)) for item in items) / len(items)

    def _diversity(self, items: list[str]) -> float:
        """0 for fewer than two items whose category is known."""
        known = Counter(filter(None, map(self._category.get, items)))
        n = known.total()
        same = sum(of_one * (of_one - 1) for of_one in known.values())
        return 1.0 - same / (n * (n - 1)) if n > 1 else 0.0

    def _remembered(self, event: AnyEvent) -> _Visit:
        visit = self._visit(event)
        visit.last_ms = max(visit.last_ms, event.time_ms)
        for item in wanted(event):
            if visit.last_item is not None:
                visit.transitions.add((visit.last_item, item))
            visit.items[item] = None
            visit.last_item = item
        self._count_items(event)
        return visit

    def _count_items(self, event: AnyEvent) -> None:
        for part in event.lines if isinstance(event, Purchase) else [event]:
            if isinstance(part, Line | Browse) and part.category:
                self._category[part.item_id] = part.category
        for item in wanted(event):
            self.items[item] += 1
            self._n_interactions += 1
            self._first_ms.setdefault(item, event.time_ms)

    def _visit(self, event: AnyEvent) -> _Visit:
        visit = self._visits.get(event.user_id)
        if visit is None:
            visit = _Visit(self._n_users, event.session_id, event.time_ms)
            visit.offers = [NOTHING] * len(self.recommenders)
            self._n_users += 1
            self._visits[event.user_id] = visit
            if len(self._visits) > MAX_USERS:
                self._visits.popitem(last=False)
        elif not goes_on(visit, event, self._idle_ms):
            visit.is_returning, visit.session_id = True, event.session_id
            visit.items, visit.last_item, visit.transitions = {}, None, set()
        self._visits.move_to_end(event.user_id)
        return visit


class Session(Protocol):
    """What is needed of a session to tell whether an event belongs to it."""

    session_id: str | None
    last_ms: int


def goes_on(session: Session, event: AnyEvent, idle_ms: float) -> bool:
    """Whether the event belongs to the user's session: by the shop's ids where it sends them, else by idle time."""
    if event.session_id is not None and session.session_id is not None:
        return event.session_id == session.session_id
    return event.time_ms - session.last_ms <= idle_ms


def wanted(event: AnyEvent) -> list[str]:
    """Distinct items that the event says its user wanted."""
    if isinstance(event, Purchase):
        return list(dict.fromkeys(line.item_id for line in event.lines))
    return [event.item_id] if isinstance(event, Browse | Click | Cart | Wishlist) else []
