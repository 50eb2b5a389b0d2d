"""The path of one micro-batch, online and offline: ingest → clean → interest → knowledge → learn → retrieve → rank.

Pure: records and stored states come in, new states, slates, facts and counts go out. Storing, sending, clocks and the
order between partitions are the caller's.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest, xxh64_hexdigest

from models.absorb import Absorbed, Absorber, Cause, Lap, Load
from models.clean.cleaner import Cleaner
from models.explain.case import Case, latest_slate_id
from models.explain.explanation import explain
from models.explain.imagine import Ranking
from models.ingest import Ingest
from models.ingest.record import Record
from models.interest.queries import queries, seen
from models.interest.seen import Seen
from models.interest.state import State
from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.learn.join import Joined
from models.learn.learning import Learned, Learning
from models.learn.trust import weighed
from models.path_settings import PathSettings
from models.quality.action_settings import ActionSettings
from models.quality.actions import Sanctions
from models.rank.given import rank_given
from models.rank.reasons import slate_items
from models.rank.score import FixedWeights, Scorer
from models.rank.slate import Considered, Ranked, rank
from models.retrieve.contract import Candidates, Queries
from schemas import topics
from schemas.catalog import Item, Promotion
from schemas.events import AnyEvent, Browse, Line, Purchase, Search
from schemas.explain import Explanation
from schemas.outputs import Slate, SlateItem

EXAMPLE_MS = 1_700_000_000_000

DEEP = 1_000
"""Candidates that each source is asked for where candidates are given: what it says of later ones is not heard."""


class Served(NamedTuple):
    """A slate, the record that caused it, and that record's timestamp."""

    slate: Slate
    timestamp_ms: int


class Path:
    """All stages with their shared knowledge. ``lap`` is told when each stage ends."""

    def __init__(self, settings: PathSettings, scorer: Scorer | None = None) -> None:
        self.settings = settings
        self.knowledge = KnowledgeBase(settings.knowledge, settings.retrieve)
        self.cleaner = Cleaner(settings.clean, self.knowledge)
        self._absorber = Absorber(Ingest(settings.ingest), self.cleaner, settings.interest, self.knowledge)
        self.sanctions = Sanctions(ActionSettings())
        """What failing checks brought about; whoever judges the sources replaces it."""
        self._source_names = [source.name for source in self.knowledge.sources]
        self._fixed = scorer or FixedWeights(settings.rank)
        digest = xxh64_hexdigest(settings.canonical().encode())[:8]
        self._fixed_version = f"fixed-{digest}"
        self.learning = (
            Learning(
                settings.learn,
                settings.rank,
                settings.interest,
                self._source_names,
                self.knowledge.vocabularies.items,
                digest,
            )
            if settings.learn.enabled and scorer is None
            else None
        )
        if self.learning:
            self.knowledge.on_forgotten = self.learning.pending.forget

    @property
    def model(self) -> str:
        """What ranks, as a label of few values."""
        return self.learning.model if self.learning else self._fixed_version

    @property
    def model_version(self) -> str:
        """What ranks, how much it has learned, and after a slash the embedding model, if there is one."""
        ranking = self.learning.model_version if self.learning else self._fixed_version
        embedding = self.knowledge.embedding
        return f"{ranking}/{embedding.version}" if embedding and embedding.version else ranking

    def absorb(
        self,
        batches: Sequence[Sequence[Record]],
        load: Load,
        now_ms: int,
        lap: Lap = lambda _: None,
        *,
        learn: bool = True,
    ) -> Absorbed:
        """Take batches of records, each of one topic and partition and none empty, in their order.

        ``load`` gives the stored states of user keys in a partition; the topics are partitioned alike, so that all
        events of a user are in partitions of one number. Without ``learn`` the shared knowledge stays as it is; the
        facts may be given to it later.
        """
        self._absorber.sanctions = self.sanctions.in_force
        return self._absorber.absorb(batches, load, now_ms, lap, learn=learn)

    def describe(self, items: Sequence[tuple[str, Item | None]]) -> dict[str, int]:
        """Take entries of the catalogue, cleaned as events are; how many each step changed."""
        cleaned, counts = self.cleaner.entries(topics.ITEMS, items)
        self.knowledge.describe(cleaned)
        return counts

    def promote(self, promotions: Sequence[tuple[str, Promotion | None]]) -> dict[str, int]:
        """Take promotions likewise."""
        cleaned, counts = self.cleaner.entries(topics.PROMOTIONS, promotions)
        self.knowledge.promotions.apply(cleaned)
        return counts

    def join(self, absorbed: Absorbed) -> Joined | None:
        """What the events taken say of the slates served before; None where nothing learns to rank."""
        if self.learning is None:
            return None
        joined = self.learning.join(absorbed.fresh)
        return weighed(joined, self.sanctions.in_force, self.sanctions.weight)

    def learn(self, joined: Joined | None) -> Learned | None:
        """Let the scorers learn from it."""
        if self.learning is None or joined is None or not joined.labels:
            return None
        return self.learning.learn(joined, max(label.time_ms for label in joined.labels))

    def serve(
        self,
        causes: Sequence[Cause],
        now_ms: int,
        lap: Lap = lambda _: None,
        watch: Callable[[Ranked], None] = lambda _: None,
    ) -> list[Served]:
        """A slate for each cause; ``watch`` is shown all of them as arrays."""
        if not causes:
            return []
        slate_ids = [f"{cause.topic}-{cause.partition}-{cause.offset}" for cause in causes]
        slates = [xxh3_64_intdigest(slate_id.encode()) for slate_id in slate_ids]
        states = [cause.state for cause in causes]
        self.knowledge.promotions.refresh(max(state.latest_ms for state in states) / 1000.0)
        asked, _, _, ranked, considered = self._rank(states, [cause.key for cause in causes], slates, lap)
        model_version = self.model_version
        if self.learning:
            time_ms = np.array([cause.event.time_ms for cause in causes], np.int64)
            self.learning.remember(slates, asked.user.tolist(), time_ms, considered)
            lap("remember")
        watch(ranked)
        explained = self._told(ranked)
        served = [
            Served(
                Slate(
                    slate_id=slate_id,
                    user_id=cause.event.user_id,
                    items=items,
                    event_id=cause.event.event_id,
                    event_time_ms=cause.event.time_ms,
                    processed_ms=now_ms,
                    model_version=model_version,
                    cold_start=not cause.state.recents.items,
                ),
                cause.timestamp_ms,
            )
            for slate_id, cause, items in zip(slate_ids, causes, explained, strict=True)
        ]
        lap("explain")
        return served

    def explain(
        self,
        state: State,
        user_id: str,
        now_ms: int,
        item_id: str | None = None,
        *,
        every: bool = False,
        ranking: Ranking | None = None,
    ) -> Explanation:
        """Why the user sees what is in the slate that follows the latest event, and what became of ``item_id``.

        Ranked is as ``serve`` does, at the event time of that event; ``now_ms`` is what ages are told by. Nothing is
        remembered, nothing learned. With ``every``, all candidates are explained, not the slate's alone; ``ranking``
        stands in for the one that serves.
        """
        slate_id, ranking = latest_slate_id(state), ranking or self.ranking
        slates = [xxh3_64_intdigest(slate_id.encode())]
        made = self._rank([state], [user_id.encode()], slates, lambda _: None, ranking)
        case = Case(
            state,
            now_ms,
            *made,
            ranking.scorer,
            self.knowledge,
            self.settings._replace(rank=ranking.settings),
        )
        return explain(case, user_id, slate_id, self.model_version, item_id, every=every)

    def recommend(self, state: State, user_id: str) -> list[SlateItem]:
        """The slate of the state as it stands, at the time of its latest event. Nothing is remembered of it."""
        slates = [xxh3_64_intdigest(user_id.encode())]
        *_, ranked, _ = self._rank([state], [user_id.encode()], slates, lambda _: None)
        return self._told(ranked)[0]

    def order(self, state: State, user_id: str, item_ids: Sequence[str]) -> list[SlateItem]:
        """The items named that are known, best first, by the state as it stands. Nothing is remembered of it."""
        known = self.knowledge.vocabularies.items.lookup(dict.fromkeys(item_ids))
        asked, hidden, found = self._ask([state], [user_id.encode()], max(DEEP, self.settings.n_candidates))
        ranked = rank_given(
            found,
            known[known >= 0],
            asked,
            hidden,
            self.knowledge.attributes,
            self.knowledge.known(asked),
            self.settings.rank,
            self.ranking.scorer,
        )
        return self._told(ranked)[0]

    @property
    def ranking(self) -> Ranking:
        """What orders candidates now."""
        return Ranking(self.learning.scorer if self.learning else self._fixed, self.settings.rank)

    @property
    def source_names(self) -> list[str]:
        """Of the sources, in their order."""
        return self._source_names

    def _told(self, ranked: Ranked) -> list[list[SlateItem]]:
        words = self.knowledge.vocabularies.items.words
        return slate_items(ranked, self._source_names, words, self.settings.rank.max_reasons)

    def _ask(
        self, states: Sequence[State], keys: Sequence[bytes], n_candidates: int, lap: Lap = lambda _: None
    ) -> tuple[Queries, Seen, list[tuple[str, Candidates]]]:
        """What N users are asked by, what is hidden, what the sources found."""
        now_s = np.array([state.latest_ms for state in states]) / 1000.0
        vocabularies = self.knowledge.vocabularies
        who = np.array([xxh3_64_intdigest(key) for key in keys], np.uint64)
        asked = queries(states, who, now_s, vocabularies, self.settings.interest)
        hidden = seen(states, asked, vocabularies.items)
        lap("queries")
        found = []
        for source in self.knowledge.sources:
            found.append((source.name, source.candidates(asked, n_candidates)))
            lap(f"retrieve.{source.name}")
        return asked, hidden, found

    def _rank(
        self,
        states: Sequence[State],
        keys: Sequence[bytes],
        slates: Sequence[int],
        lap: Lap,
        ranking: Ranking | None = None,
    ) -> tuple[Queries, Seen, list[tuple[str, Candidates]], Ranked, Considered]:
        """What N users are asked by, what is hidden, what the sources found, and what became of it."""
        scorer, settings = ranking or self.ranking
        asked, hidden, found = self._ask(states, keys, self.settings.n_candidates, lap)
        ranked, considered = rank(
            found,
            asked,
            hidden,
            self.knowledge.attributes,
            self.knowledge.known(asked),
            self.knowledge.rebuying.rebuyable,
            self.settings.slate_length,
            settings,
            scorer,
            np.array(slates, np.uint64),
        )
        lap("rank")
        return asked, hidden, found, ranked, considered


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
        absorbed = path.absorb([[record]], lambda _, keys: [states.get(key) for key in keys], EXAMPLE_MS)
        path.learn(path.join(absorbed))
        path.serve(absorbed.causes, EXAMPLE_MS)
        states.update(absorbed.states[0])
