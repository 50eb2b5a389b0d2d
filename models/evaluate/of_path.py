"""The path of the agents as a recommender: the same ingest, folding, learning, retrieval and ranking."""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from copy import deepcopy
from itertools import groupby, zip_longest
from operator import attrgetter
from typing import NamedTuple

import msgspec

from models.absorb import Absorbed, Cause, Lap
from models.clean.copies import Copies
from models.evaluate.prequential import wanted
from models.evaluate.recommender import Offer
from models.knowledge.facts import Facts
from models.learn.join import Joined
from models.learn.learning import Learned
from models.path import Path
from schemas import topics
from schemas.events import AnyEvent
from schemas.outputs import Slate


class LoggedRecord(NamedTuple):
    """An event as a consumer would hand it over."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


_topic = attrgetter("topic")
_encode = msgspec.json.Encoder().encode


Take = Callable[[AnyEvent], AnyEvent | None]
"""What is left of an event, None of one that would not have come."""


def as_it_is(event: AnyEvent) -> AnyEvent:
    """All of it."""
    return event


class OfPath:
    """``states`` keeps the users' states; ``update_every_s`` of event time is how often knowledge catches up.

    It never hears of more of an event than ``take`` leaves; ``watch`` is shown what the scorers learn from; ``laps``
    gives what is told when each stage of a micro-batch ends. Nothing else is changed against the worker: an event that
    ingest refuses causes nothing, and is counted.
    """

    cleans = True

    def __init__(
        self,
        path: Path,
        name: str = "rillet",
        states: MutableMapping[bytes, bytes] | None = None,
        update_every_s: float = 0.0,
        take: Take = as_it_is,
        watch: Callable[[Learned], None] = lambda _: None,
        laps: Callable[[], Lap] = lambda: lambda _: None,
    ) -> None:
        self.name = name
        self.path = path
        self.n_refused = 0
        self._take, self._watch, self._laps = take, watch, laps
        self._states: MutableMapping[bytes, bytes] = {} if states is None else states
        self.update_every_s = update_every_s
        self._due_s: float | None = None
        self._offsets = dict.fromkeys(topics.BEHAVIOUR, 0)
        self._later: list[tuple[Facts, Joined | None]] = []
        self._is_copy = Copies(path.cleaner)

    def drops(self, event: AnyEvent) -> bool:
        """See ``Recommender``."""
        taken = self._take(event)
        return taken is not None and self._is_copy(taken)

    def split(self, name: str, take: Take) -> "OfPath":
        """Another with the same past, which from now on hears of no more of an event than ``take`` leaves."""
        other = deepcopy(self)
        other.name, other._take = name, take
        return other

    def meanwhile(self, now_ms: int) -> tuple[()]:  # noqa: ARG002
        """See ``Recommender``: nothing is late."""
        return ()

    def follow(self, events: Sequence[AnyEvent], *, learn: bool) -> list[Offer | None]:
        """See ``Recommender``; at most one slate a user."""
        slates = self.slates(events, learn=learn)
        return [None if slate is None else _offer(slate) for slate in slates]

    def slates(self, events: Sequence[AnyEvent], *, learn: bool) -> list[Slate | None]:
        """The slates that a worker would publish, None for an event that is due none."""
        if learn and self.update_every_s > 0.0:
            learn = False
            self._catch_up_when_due(events[-1].time_ms / 1000.0)
        lap = self._laps()
        causes = self._absorb(events, learn=learn, lap=lap)
        served = {
            each.slate.event_id: each.slate for each in self.path.serve(causes, events[-1].time_ms, lap)
        }
        return [served.get(event.event_id) for event in events]

    def wanted(self, event: AnyEvent) -> list[str]:
        """See ``Recommender``; where a recipe names variants, the items that they are."""
        return self.path.cleaner.named(topics.of_event(event), event.time_ms, wanted(event))

    def catch_up(self) -> None:
        """See ``Recommender``."""
        for facts, joined in self._later:
            self.path.knowledge.learn(facts)
            self._learn(joined)
        self._later.clear()

    def train(self, events: Sequence[AnyEvent]) -> None:
        """See ``Recommender``.

        Scorers learn from slates, and from slates that do not know the session that they are for: so it will be when
        sessions are tried that nobody has learned.
        """
        if self.path.learning is None or self._awaits_embedding:
            self._absorb(events, learn=True, lap=self._laps())
            return
        for batch in _side_by_side(events):
            self.slates(batch, learn=False)
        self.catch_up()

    def settle(self) -> None:
        """See ``Recommender``: the embedding model."""
        source = self.path.knowledge.embedding
        if source and source.pupil:
            source.model = source.pupil.fit() or source.model

    @property
    def _awaits_embedding(self) -> bool:
        source = self.path.knowledge.embedding
        return bool(source and source.pupil and source.model is None)

    def _catch_up_when_due(self, now_s: float) -> None:
        if self._due_s is None or now_s >= self._due_s:
            self.catch_up()
            self._due_s = now_s + self.update_every_s

    def cleaned(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """What others would learn of these, as the recipe leaves it: no copies, nothing beyond a cap.

        Users' states take it in; nothing is learned.
        """
        absorbed = self._taken(events, learn=False, lap=self._laps())
        return [event for _, event in absorbed.fresh] if absorbed else []

    def _absorb(self, events: Sequence[AnyEvent], *, learn: bool, lap: Lap) -> list[Cause]:
        absorbed = self._taken(events, learn=learn, lap=lap)
        if absorbed is None:
            return []
        joined = self.path.join(absorbed)
        if learn:
            self._learn(joined)
        else:
            self._later.append((absorbed.facts, joined))
        lap("learn")
        return absorbed.causes

    def _taken(self, events: Sequence[AnyEvent], *, learn: bool, lap: Lap) -> Absorbed | None:
        """None where nothing of them came."""
        records = [self._record(event) for event in map(self._take, events) if event is not None]
        if not records:
            return None
        batches = [list(same) for _, same in groupby(records, key=_topic)]
        absorbed = self.path.absorb(batches, self._load, events[-1].time_ms, lap, learn=learn)
        for states in absorbed.states.values():
            for key, state in states:
                self._states[key] = state
        lap("store")
        self.n_refused += sum(len(batch.ingested.rejected) for batch in absorbed.quality)
        return absorbed

    def _learn(self, joined: Joined | None) -> None:
        learned = self.path.learn(joined)
        if learned:
            self._watch(learned)

    def _record(self, event: AnyEvent) -> LoggedRecord:
        topic = topics.of_event(event)
        offset = self._offsets[topic]
        self._offsets[topic] = offset + 1
        return LoggedRecord(topic, 0, offset, event.time_ms, event.user_id.encode(), _encode(event))

    def _load(self, _partition: int, keys: list[bytes]) -> list[bytes | None]:
        return [self._states.get(key) for key in keys]


def _offer(slate: Slate) -> Offer:
    return Offer(
        [item.item_id for item in slate.items],
        [item.reasons[0].source if item.reasons else "" for item in slate.items],
    )


def _side_by_side(events: Sequence[AnyEvent]) -> Iterator[list[AnyEvent]]:
    """The first events of all users, then their second ones, and so on."""
    of_user: dict[str, list[AnyEvent]] = {}
    for event in events:
        of_user.setdefault(event.user_id, []).append(event)
    for together in zip_longest(*of_user.values()):
        yield [event for event in together if event is not None]
