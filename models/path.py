"""The path of one micro-batch, online and offline alike: ingest → interest → knowledge → retrieve → rank.

Pure: records and stored states come in, new states, slates, facts and counts go out. Storing, sending, clocks and the
order between partitions are the caller's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest, xxh64_hexdigest

from models.ingest import Ingest
from models.ingest.record import Accepted, Ingested, Record
from models.interest.codec import decode, encode
from models.interest.evidence import touches
from models.interest.fold import Outcome, fold
from models.interest.queries import queries, seen
from models.interest.state import Platform, State, last_query
from models.kinds import WEIGHTS
from models.knowledge.base import KnowledgeBase
from models.knowledge.facts import Facts, Interaction, gather
from models.knowledge.settings import KnowledgeSettings
from models.path_settings import PathSettings
from models.quality.observe import NO, NOT_APPLICABLE, YES, QualityBatch
from models.rank.reasons import slate_items
from models.rank.score import FixedWeights
from models.rank.slate import rank
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent, Browse, Dwell, Impression, Line, Purchase, Rating, Search
from schemas.outputs import Slate

EXAMPLE_MS = 1_700_000_000_000

SILENT = (Impression, Dwell, Rating)
"""Events that change the state and cause no slate: answering an impression with a slate would never end."""


class Served(NamedTuple):
    """A slate, the record that caused it, and that record's timestamp."""

    slate: Slate
    timestamp_ms: int


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

    states: list[tuple[bytes, bytes]]
    """New state by user key, one a user."""
    causes: list[Cause]
    """One a user."""
    facts: Facts
    quality: QualityBatch
    outcomes: list[Outcome]
    """One an accepted event."""


class _User(NamedTuple):
    key: bytes
    state: State
    at: list[int]
    """Positions of the user's events among the accepted."""
    platform: Platform | None
    """The state's, as it was before the batch."""


Load = Callable[[list[bytes]], Sequence[bytes | None]]
Lap = Callable[[str], None]


class Path:
    """All stages with their shared knowledge. ``lap`` is told when each stage ends."""

    def __init__(self, settings: PathSettings) -> None:
        self.settings = settings
        self.knowledge = KnowledgeBase(settings.knowledge, settings.retrieve)
        self.model_version = f"fixed-{xxh64_hexdigest(settings.canonical().encode())[:8]}"
        self._ingest = Ingest(settings.ingest)
        self._scorer = FixedWeights(settings.rank)
        self._source_names = [source.name for source in self.knowledge.sources]

    def absorb(
        self, records: Sequence[Record], load: Load, now_ms: int, lap: Lap = lambda _: None
    ) -> Absorbed:
        """Take consecutive records of one topic and partition; ``load`` gives the stored states of user keys."""
        topic, partition = records[0].topic, records[0].partition
        timestamps = {record.offset: record.timestamp for record in records}
        ingested = self._ingest(records)
        lap("ingest")
        users = self._load(ingested.accepted, load)
        lap("load")
        quality_flags = self._judge(ingested.accepted, users)
        outcomes = self._fold(topic, partition, ingested.accepted, users)
        states = [(user.key, encode(user.state)) for user in users]
        lap("interest")
        rows = self._rows(ingested.accepted, users, outcomes)
        facts = gather(topic, partition, records[-1].offset, list(rows))
        self.knowledge.learn(facts)
        lap("knowledge")
        causes = [
            Cause(user.key, user.state, topic, partition, offset, timestamps[offset], event)
            for user, (offset, event) in self._causes(ingested.accepted, users, outcomes)
        ]
        quality = self._quality(topic, partition, ingested, timestamps, outcomes, quality_flags, now_ms)
        return Absorbed(states, causes, facts, quality, outcomes)

    def serve(self, causes: Sequence[Cause], now_ms: int, lap: Lap = lambda _: None) -> list[Served]:
        """A slate for each cause; where one user has several, the last one, whose state is the newest, counts."""
        due = list({cause.key: cause for cause in causes}.values())
        return self._serve(due, now_ms, lap) if due else []

    def _load(self, accepted: Sequence[Accepted], load: Load) -> list[_User]:
        at: dict[str, list[int]] = {}
        for i, (_, event) in enumerate(accepted):
            at.setdefault(event.user_id, []).append(i)
        keys = [user_id.encode() for user_id in at]
        values = load(keys) if keys else []
        states = [State() if value is None else decode(value) for value in values]
        return [
            _User(key, state, positions, state.platform)
            for key, state, positions in zip(keys, states, at.values(), strict=True)
        ]

    def _fold(
        self, topic: str, partition: int, accepted: Sequence[Accepted], users: list[_User]
    ) -> list[Outcome]:
        outcomes = [Outcome.FRESH] * len(accepted)
        for user in users:
            arrivals = [(topic, partition, *accepted[i]) for i in user.at]
            folded = fold(user.state, arrivals, self.settings.interest, self.knowledge.facts_of)
            for i, outcome in zip(user.at, folded, strict=True):
                outcomes[i] = outcome
        return outcomes

    def _rows(
        self, accepted: Sequence[Accepted], users: list[_User], outcomes: list[Outcome]
    ) -> Iterator[Interaction]:
        rows = []
        for user in users:
            who = xxh3_64_intdigest(user.key)
            platform = user.platform
            for i in user.at:
                if outcomes[i] is not Outcome.DUPLICATE:
                    platform = _later(platform, accepted[i].event)
                    segment = platform.name if platform else None
                    rows += self._interactions(i, accepted[i], user.state, who, segment)
        rows.sort(key=lambda numbered: numbered[0])
        return (row for _, row in rows)

    def _interactions(
        self, i: int, accepted: Accepted, state: State, who: int, segment: str | None
    ) -> list[tuple[int, Interaction]]:
        """What the event adds to the shared knowledge; a rating in the lower half is no praise and adds nothing."""
        offset, event = accepted
        found = touches(event, self.settings.interest)
        if not found:
            return []
        session = xxh3_64_intdigest(event.session_id.encode()) if event.session_id else 0
        query = last_query(state, event.time_ms, self.settings.interest)
        return [
            (
                i,
                Interaction(
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
                ),
            )
            for touch in found
            if touch.weight >= WEIGHTS[touch.kind] / 2.0
        ]

    def _causes(
        self, accepted: Sequence[Accepted], users: list[_User], outcomes: list[Outcome]
    ) -> list[tuple[_User, Accepted]]:
        """Users that are due a slate, with the latest event that causes it."""
        causes = []
        for user in users:
            for i in reversed(user.at):
                if outcomes[i] is not Outcome.DUPLICATE and not isinstance(accepted[i].event, SILENT):
                    causes.append((user, accepted[i]))
                    break
        return causes

    def _serve(self, causes: list[Cause], now_ms: int, lap: Lap) -> list[Served]:
        states = [cause.state for cause in causes]
        now_s = np.array([state.latest_ms for state in states]) / 1000.0
        vocabularies = self.knowledge.vocabularies
        who = np.array([xxh3_64_intdigest(cause.key) for cause in causes], np.uint64)
        asked = queries(states, who, now_s, vocabularies, self.settings.interest)
        hidden = seen(states, asked, vocabularies.items)
        lap("queries")
        candidates = []
        for source in self.knowledge.sources:
            candidates.append(source.candidates(asked, self.settings.n_candidates))
            lap(f"retrieve.{source.name}")
        ranked = rank(
            [(source.name, found) for source, found in zip(self.knowledge.sources, candidates, strict=True)],
            asked,
            hidden,
            self.knowledge.attributes,
            self.knowledge.rebuying.rebuyable,
            self.settings.slate_length,
            self.settings.rank,
            self._scorer,
        )
        lap("rank")
        explained = slate_items(
            ranked, self._source_names, vocabularies.items.words, self.settings.rank.max_reasons
        )
        served = [
            Served(
                Slate(
                    slate_id=f"{cause.topic}-{cause.partition}-{cause.offset}",
                    user_id=cause.event.user_id,
                    items=items,
                    event_id=cause.event.event_id,
                    event_time_ms=cause.event.time_ms,
                    processed_ms=now_ms,
                    model_version=self.model_version,
                    cold_start=not cause.state.recents.items,
                ),
                cause.timestamp_ms,
            )
            for cause, items in zip(causes, explained, strict=True)
        ]
        lap("explain")
        return served

    def _judge(self, accepted: Sequence[Accepted], users: list[_User]) -> tuple[list[int], list[int]]:
        """Consistency of each event, from the state *before* the batch and the catalogue."""
        known = [NOT_APPLICABLE] * len(accepted)
        viewed = [NOT_APPLICABLE] * len(accepted)
        for user in users:
            items = set(user.state.recents.items)
            for i in user.at:
                event = accepted[i].event
                named = _items(event)
                if named:
                    known[i] = YES if self.knowledge.all_catalogued(named) else NO
                if isinstance(event, Purchase):
                    viewed[i] = YES if items.issuperset(named) else NO
                items.update(named)
        return known, viewed

    def _quality(
        self,
        topic: str,
        partition: int,
        ingested: Ingested,
        timestamps: dict[int, int],
        outcomes: list[Outcome],
        flags: tuple[list[int], list[int]],
        now_ms: int,
    ) -> QualityBatch:
        n = len(outcomes)
        return QualityBatch(
            topic,
            partition,
            ingested,
            np.fromiter((timestamps[offset] for offset, _ in ingested.accepted), np.int64, n),
            np.fromiter((outcome is Outcome.DUPLICATE for outcome in outcomes), np.bool_, n),
            np.array(flags[0], np.int8),
            np.array(flags[1], np.int8),
            now_ms,
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


class _Example(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


def warm_up(settings: PathSettings) -> None:
    """Compile every kernel, or load it compiled, by a path of its own over four events."""
    path = Path(settings._replace(knowledge=KnowledgeSettings(max_items=64)))
    head: dict[str, Any] = {"user_id": "u", "time_ms": EXAMPLE_MS}
    events: list[tuple[str, AnyEvent]] = [
        (topics.SEARCH, Search(event_id="1", query="red shoe", platform="web", **head)),
        (topics.BROWSE, Browse(event_id="2", item_id="a", category="c", brand="b", price=1.0, **head)),
        (topics.PURCHASE, Purchase(event_id="3", lines=[Line(item_id="b")], **head)),
        (topics.BROWSE, Browse(event_id="4", item_id="c", **head)),
    ]
    states: dict[bytes, bytes] = {}
    path.knowledge.describe([("a", Item(item_id="a", time_ms=EXAMPLE_MS, title="red shoe", category="c"))])
    for offset, (topic, event) in enumerate(events):
        record = _Example(topic, 0, offset, EXAMPLE_MS, b"u", msgspec.json.encode(event), ())
        absorbed = path.absorb([record], lambda keys: [states.get(key) for key in keys], EXAMPLE_MS)
        path.serve(absorbed.causes, EXAMPLE_MS)
        states.update(absorbed.states)
