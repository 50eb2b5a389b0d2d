"""The first half of the path: ingest → clean → interest → knowledge, for all that one fetch brought."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from models.clean.cleaner import Cleaner
from models.clean.heavy import is_beyond, may_be_heavy
from models.clean.marks import Marking, Marks
from models.clean.recipe import Cap
from models.ingest import Ingest
from models.ingest.record import Ingested, Record
from models.interest.codec import decode, encode
from models.interest.evidence import touches
from models.interest.fold import Outcome, fold
from models.interest.settings import InterestSettings
from models.interest.state import Platform, State, last_query
from models.kinds import WEIGHTS
from models.knowledge.base import KnowledgeBase
from models.knowledge.facts import Facts, Interaction, Place, gather
from models.quality.actions import BLANK, QUARANTINE, Sanction, covering
from models.quality.agreement import agreement
from models.quality.observe import NO, NOT_APPLICABLE, YES, QualityBatch
from schemas import topics
from schemas.events import AnyEvent, Dwell, Impression, Purchase, Rating

SILENT = (Impression, Dwell, Rating)
WITH_OUTCOMES = (topics.BROWSE, topics.PURCHASE, topics.FEEDBACK)
"""Events that change the state and cause no slate: answering an impression with a slate would never end."""


class Cause(NamedTuple):
    """A user that is due a slate, as the state stands now, and the record that causes it."""

    key: bytes
    state: State
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    event: AnyEvent


class Absorbed(NamedTuple):
    """What one micro-batch changed, and the slates that it makes due."""

    states: dict[int, list[tuple[bytes, bytes]]]
    """New states by partition: one a user, under the user's key."""
    causes: list[Cause]
    """One a user."""
    facts: Facts
    quality: list[QualityBatch]
    """One a batch of records."""
    outcomes: list[Outcome]
    """One an accepted event, in the order of the batches."""
    fresh: list[tuple[int, AnyEvent]]
    """Partition and event of those that were folded in for the first time."""


class _Arrival(NamedTuple):
    topic: str
    partition: int
    offset: int
    event: AnyEvent


class _User(NamedTuple):
    key: bytes
    partition: int
    state: State
    at: list[int]
    """Positions of the user's events among the arrivals."""
    platform: Platform | None
    """The state's, as it was before the batch."""


Load = Callable[[int, list[bytes]], Sequence[bytes | None]]
"""Stored states of user keys in a partition."""

Lap = Callable[[str], None]
Change = Callable[[Sequence[str], Sequence[AnyEvent], Marking], list[AnyEvent]]


class Absorber:
    """Takes micro-batches into states and shared knowledge."""

    def __init__(
        self, ingest: Ingest, cleaner: Cleaner, interest: InterestSettings, knowledge: KnowledgeBase
    ) -> None:
        self._ingest = ingest
        self._cleaner = cleaner
        self._interest = interest
        self._knowledge = knowledge
        self.sanctions: Sequence[Sanction] = ()
        """In force: what failing checks brought about."""

    def absorb(
        self, batches: Sequence[Sequence[Record]], load: Load, now_ms: int, lap: Lap, *, learn: bool
    ) -> Absorbed:
        """See ``Path.absorb``."""
        ingested = [self._ingest(records) for records in batches]
        heads = [(records[0].topic, records[0].partition) for records in batches]
        arrivals = [
            _Arrival(topic, partition, accepted.offset, accepted.event)
            for (topic, partition), each in zip(heads, ingested, strict=True)
            for accepted in each.accepted
        ]
        timestamps = [accepted.timestamp for each in ingested for accepted in each.accepted]
        lap("ingest")
        users = _users(arrivals, load)
        lap("load")
        came, marking = arrivals, self._marking(len(arrivals))
        if marking:
            arrivals = _changed(arrivals, self._cleaner.tidy, marking)
            lap("clean")
        known, viewed = self._judge(arrivals, users)
        agrees = agreement([arrival.event for arrival in arrivals], self._knowledge)
        lap("quality")
        if marking:
            arrivals = self._completed(arrivals, marking)
            lap("clean")
        outcomes = self._fold(arrivals, users, marking)
        states: dict[int, list[tuple[bytes, bytes]]] = {}
        for user in users:
            states.setdefault(user.partition, []).append((user.key, encode(user.state)))
        lap("interest")
        withheld = marking.withheld if marking else frozenset[int]()
        facts = self._facts(batches, heads, arrivals, users, outcomes, withheld)
        if learn:
            self._knowledge.learn(facts)
        lap("knowledge")
        causes = [
            Cause(user.key, user.state, topic, partition, offset, timestamps[i], event)
            for user, i in _due(came, users, outcomes)
            for topic, partition, offset, event in [came[i]]
        ]
        marks = marking.marks() if marking else None
        quality = list(_quality(heads, ingested, timestamps, outcomes, known, viewed, agrees, marks, now_ms))
        fresh = [
            (arrival.partition, arrival.event)
            for i, (arrival, outcome) in enumerate(zip(arrivals, outcomes, strict=True))
            if outcome is Outcome.FRESH and i not in withheld
        ]
        return Absorbed(states, causes, facts, quality, outcomes, fresh)

    def _marking(self, n: int) -> Marking | None:
        """None where nothing is to be cleaned."""
        return self._cleaner.marking(n) if self._cleaner.recipe.steps or self.sanctions else None

    def _completed(self, arrivals: list[_Arrival], marking: Marking) -> list[_Arrival]:
        """Without what must not be believed for now, with what is missing."""
        blanked = [each for each in self.sanctions if each.kind == BLANK]
        if blanked:
            arrivals = _changed(arrivals, partial(self._cleaner.blank, blanked), marking)
        step = self._cleaner.steps.index(QUARANTINE)
        held_back = ((topic, event.time_ms) for topic, _, _, event in arrivals)
        for i, _ in covering(self.sanctions, QUARANTINE, held_back):
            marking.withhold(step, i)
        for i in self._without_outcomes(arrivals):
            marking.withhold(step, i)
        return _changed(arrivals, self._cleaner.fill, marking)

    def _without_outcomes(self, arrivals: Sequence[_Arrival]) -> Iterator[int]:
        """Slates seen while a source is quarantined: what was chosen from them may not be heard of."""
        quarantined = [
            each for each in self.sanctions if each.kind == QUARANTINE and each.source in WITH_OUTCOMES
        ]
        for i, (_, _, _, event) in enumerate(arrivals):
            if isinstance(event, Impression) and any(
                each.covers(each.source, event.time_ms) for each in quarantined
            ):
                yield i

    def _judge(self, arrivals: Sequence[_Arrival], users: list[_User]) -> tuple[list[int], list[int]]:
        """Consistency of each event, from the state *before* the batch and the catalogue."""
        known = [NOT_APPLICABLE] * len(arrivals)
        viewed = [NOT_APPLICABLE] * len(arrivals)
        for user in users:
            items = set(user.state.recents.items)
            for i in user.at:
                event = arrivals[i].event
                named = _items(event)
                if named:
                    known[i] = YES if self._knowledge.all_catalogued(named) else NO
                if isinstance(event, Purchase):
                    viewed[i] = YES if items.issuperset(named) else NO
                items.update(named)
        return known, viewed

    def _fold(
        self, arrivals: Sequence[_Arrival], users: list[_User], marking: Marking | None
    ) -> list[Outcome]:
        outcomes = [Outcome.FRESH] * len(arrivals)
        for user in users:
            step, cap = self._cleaner.cap or (0, None)
            if marking and cap and may_be_heavy(cap, user.state, len(user.at)):
                folded = self._fold_heavy(step, cap, arrivals, user, marking)
            else:
                folded = self._folded(user, [arrivals[i] for i in user.at])
            for i, outcome in zip(user.at, folded, strict=True):
                outcomes[i] = outcome
        if marking:
            marking.merged(i for i, outcome in enumerate(outcomes) if outcome is Outcome.DUPLICATE)
        return outcomes

    def _folded(self, user: _User, arrivals: Sequence[_Arrival]) -> list[Outcome]:
        return fold(user.state, arrivals, self._interest, self._knowledge.facts_of)

    def _fold_heavy(
        self, step: int, cap: Cap, arrivals: Sequence[_Arrival], user: _User, marking: Marking
    ) -> list[Outcome]:
        """One after another, since each is judged by the state before it."""
        folded = []
        for i in user.at:
            topic, _, _, event = arrivals[i]
            if topic in cap.sources and is_beyond(cap, user.state, event):
                marking.withhold(step, i)
            folded += self._folded(user, [arrivals[i]])
        return folded

    def _facts(
        self,
        batches: Sequence[Sequence[Record]],
        heads: list[tuple[str, int]],
        arrivals: Sequence[_Arrival],
        users: list[_User],
        outcomes: list[Outcome],
        withheld: Set[int],
    ) -> Facts:
        ends: dict[tuple[str, int], int] = {}
        for head, records in zip(heads, batches, strict=True):
            ends[head] = max(ends.get(head, -1), records[-1].offset)
        places = {head: number for number, head in enumerate(ends)}
        rows = sorted(self._rows(arrivals, users, outcomes, withheld, places), key=itemgetter(0))
        return gather([Place(*head, end) for head, end in ends.items()], [row for _, row in rows])

    def _rows(
        self,
        arrivals: Sequence[_Arrival],
        users: list[_User],
        outcomes: list[Outcome],
        withheld: Set[int],
        places: dict[tuple[str, int], int],
    ) -> Iterator[tuple[int, Interaction]]:
        """What each arrival, named by its position, adds to the shared knowledge."""
        for user in users:
            who = xxh3_64_intdigest(user.key)
            platform = user.platform
            for i in user.at:
                if outcomes[i] is not Outcome.DUPLICATE:
                    topic, partition, offset, event = arrivals[i]
                    platform = _later(platform, event)
                    segment = platform.name if platform else None
                    place = places[topic, partition]
                    if i in withheld:
                        continue
                    for row in self._interactions(place, offset, event, user.state, who, segment):
                        yield i, row

    def _interactions(
        self, place: int, offset: int, event: AnyEvent, state: State, who: int, segment: str | None
    ) -> Iterable[Interaction]:
        """A rating in the lower half is no praise and gives none."""
        found = touches(event, self._interest)
        if not found:
            return ()
        session = xxh3_64_intdigest(event.session_id.encode()) if event.session_id else 0
        query = last_query(state, event.time_ms, self._interest)
        return [
            Interaction(
                place,
                offset,
                who,
                session,
                touch.item_id,
                touch.kind,
                event.time_ms,
                query,
                segment,
                touch.category,
                touch.brand,
                touch.price,
            )
            for touch in found
            if touch.weight >= WEIGHTS[touch.kind] / 2.0
        ]


def _changed(arrivals: list[_Arrival], change: Change, marking: Marking) -> list[_Arrival]:
    """The same arrivals with what ``change`` makes of their events."""
    sources, events = [arrival.topic for arrival in arrivals], [arrival.event for arrival in arrivals]
    return [
        arrival if event is arrival.event else arrival._replace(event=event)
        for arrival, event in zip(arrivals, change(sources, events, marking), strict=True)
    ]


def _users(arrivals: Sequence[_Arrival], load: Load) -> list[_User]:
    """Those whose events arrived, with their states, by partition."""
    at: dict[int, dict[str, list[int]]] = {}
    for i, (_, partition, _, event) in enumerate(arrivals):
        at.setdefault(partition, {}).setdefault(event.user_id, []).append(i)
    users = []
    for partition, positions in at.items():
        keys = [user_id.encode() for user_id in positions]
        for key, value, mine in zip(keys, load(partition, keys), positions.values(), strict=True):
            state = State() if value is None else decode(value)
            users.append(_User(key, partition, state, mine, state.platform))
    return users


def _due(
    arrivals: Sequence[_Arrival], users: list[_User], outcomes: list[Outcome]
) -> Iterator[tuple[_User, int]]:
    """Users that are due a slate, with the position of the latest event that causes it."""
    for user in users:
        for i in reversed(user.at):
            if outcomes[i] is not Outcome.DUPLICATE and not isinstance(arrivals[i].event, SILENT):
                yield user, i
                break


def _quality(
    heads: list[tuple[str, int]],
    ingested: list[Ingested],
    timestamps: list[int],
    outcomes: list[Outcome],
    known: list[int],
    viewed: list[int],
    agrees: NDArray[np.int8],
    marks: Marks | None,
    now_ms: int,
) -> Iterator[QualityBatch]:
    duplicate = [outcome is Outcome.DUPLICATE for outcome in outcomes]
    start = 0
    for (topic, partition), each in zip(heads, ingested, strict=True):
        mine = slice(start, start + len(each.accepted))
        start = mine.stop
        yield QualityBatch(
            topic,
            partition,
            each,
            np.array(timestamps[mine], np.int64),
            np.array(duplicate[mine], np.bool_),
            np.array(known[mine], np.int8),
            np.array(viewed[mine], np.int8),
            agrees[mine],
            now_ms,
            marks and marks.at(mine),
        )


def _later(platform: Platform | None, event: AnyEvent) -> Platform | None:
    """The platform as it stands after ``event``, as folding sees it."""
    if not event.platform:
        return platform
    named = Platform(event.time_ms, event.platform)
    return named if platform is None or named > platform else platform


def _items(event: AnyEvent) -> list[str]:
    if isinstance(event, Purchase):
        return [line.item_id for line in event.lines]
    if isinstance(event, Impression):
        return event.item_ids
    item_id = getattr(event, "item_id", None)
    return [] if item_id is None else [item_id]
