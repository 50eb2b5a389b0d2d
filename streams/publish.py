"""Publishes what changes by itself: leaderboards and related items, from the shared knowledge, when they changed.

Each record has one publisher: leaderboards the owner of partition 0, an item's related items the owner of the partition
that its id hashes to. Slates are published by the flow.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import numpy as np
from aiokafka.partitioner import murmur2

from models.knowledge.base import KnowledgeBase
from models.retrieve.contract import F32, I32
from models.retrieve.covisitation import Covisitation
from models.retrieve.trending import Trending as TrendingSource
from schemas import headers, topics
from schemas.outputs import RankedItem, Related, Slate, Trending
from streams import metrics
from streams.engine.outbox import Headers, Outbox
from streams.settings import PublishSettings

_encode = msgspec.json.Encoder().encode
S = TypeVar("S")
Owns = Callable[[str, int], bool]

MAX_RELATED = 2_000
"""Items whose related items are published in one round; the others wait for the next."""

MAX_REMEMBERED = 200_000
"""Published lists remembered by hash, so that an unchanged one is not published again."""


def slate_record(slate: Slate) -> tuple[str, bytes, bytes, Headers]:
    """Topic, key, value and headers of a slate."""
    return topics.SLATES, slate.user_id.encode(), _encode(slate), _headers(slate)


def _headers(slate: Slate) -> Headers:
    return headers.slate(
        slate_id=slate.slate_id,
        event_id=slate.event_id,
        model_version=slate.model_version,
        event_time_ms=slate.event_time_ms,
        processed_ms=slate.processed_ms,
    )


class Publisher:
    """Two timers over one knowledge base."""

    def __init__(
        self,
        knowledge: KnowledgeBase,
        outbox: Outbox,
        settings: PublishSettings,
        partitions: int,
        owns: Owns,
    ) -> None:
        self._knowledge = knowledge
        self._outbox = outbox
        self._settings = settings
        self._partitions = partitions
        self._owns = owns
        self._published: dict[str, int] = {}

    async def run(self) -> None:
        """Publish for ever."""
        await asyncio.gather(
            self._every(self._settings.trending_interval_s, self._trending),
            self._every(self._settings.related_interval_s, self._related),
        )

    async def _every(
        self, interval_s: float, publish: Callable[[], Iterator[tuple[str, str, bytes]]]
    ) -> None:
        while True:
            await asyncio.sleep(interval_s)
            parcel = self._outbox.parcel()
            for n, (topic, key, value) in enumerate(publish()):
                parcel.add(topic, key.encode(), value)
                metrics.SLATES.labels(topic.rpartition(".")[2]).inc()
                if n % 100 == 99:
                    await asyncio.sleep(0)
            parcel.seal()
            await parcel.delivered

    def _trending(self) -> Iterator[tuple[str, str, bytes]]:
        source = self._source(TrendingSource)
        if source is None or not self._owns(topics.BROWSE, 0):
            return
        half_life_s = source.half_lives_s[len(source.half_lives_s) // 2]
        categories = self._knowledge.vocabularies.categories
        known = np.unique(self._knowledge.attributes.category)
        boards: list[tuple[str, int | None]] = [(topics.OVERALL, None)]
        boards += [
            (word, int(c)) for c in known if (word := categories.word(int(c))) not in (None, topics.OVERALL)
        ]
        for key, category in boards:
            items, scores = source.top(
                self._settings.slate_length, self._knowledge.latest_s, category, half_life_s
            )
            ranked = self._ranked(items, scores)
            if self._is_news(f"trending {key}", ranked):
                board = Trending(
                    category=None if category is None else key,
                    half_life_s=half_life_s,
                    items=ranked,
                    updated_ms=_now_ms(),
                )
                yield topics.TRENDING, key, _encode(board)

    def _related(self) -> Iterator[tuple[str, str, bytes]]:
        source = self._source(Covisitation)
        if source is None:
            return
        changed = source.changed(MAX_RELATED)
        items, scores = source.related(changed, self._settings.slate_length)
        for index, neighbours, weights in zip(changed, items, scores, strict=True):
            item_id = self._knowledge.vocabularies.items.word(int(index))
            if item_id is None or not self._owns(topics.BROWSE, self._partition_of(item_id)):
                continue
            ranked = self._ranked(neighbours, weights)
            if self._is_news(f"related {item_id}", ranked):
                related = Related(item_id=item_id, items=ranked, updated_ms=_now_ms())
                yield topics.RELATED, item_id, _encode(related)

    def _source(self, kind: type[S]) -> S | None:
        return next((source for source in self._knowledge.sources if isinstance(source, kind)), None)

    def _ranked(self, items: I32, scores: F32) -> list[RankedItem]:
        word = self._knowledge.vocabularies.items.word
        pairs = zip(items.tolist(), scores.tolist(), strict=True)
        return [RankedItem(name, score) for i, score in pairs if i >= 0 and (name := word(i)) is not None]

    def _is_news(self, what: str, ranked: list[RankedItem]) -> bool:
        order = hash(tuple(item.item_id for item in ranked))
        known = self._published.pop(what, None)
        self._published[what] = order
        if len(self._published) > MAX_REMEMBERED:
            del self._published[next(iter(self._published))]
        return known != order and bool(ranked)

    def _partition_of(self, item_id: str) -> int:
        hashed: int = murmur2(item_id.encode()) & 0x7FFFFFFF
        return hashed % self._partitions


def _now_ms() -> int:
    return int(time.time() * 1000)
