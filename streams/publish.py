"""Publishes what changes by itself: leaderboards and related items, from the shared knowledge, when they changed.

Each record has one publisher: leaderboards the owner of partition 0, an item's related items the owner of the partition
that its id hashes to. Slates are published by the flow.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec
import numpy as np

from models.knowledge.base import KnowledgeBase
from models.retrieve.contract import I32
from models.retrieve.covisitation import Covisitation
from models.retrieve.trending import Trending as TrendingSource
from schemas import headers, topics
from schemas.outputs import RankedItem, Related, Slate, Trending
from streams import metrics
from streams.engine.outbox import Headers, Outbox
from streams.partitioner import partition_of
from streams.settings import PublishSettings

_encode = msgspec.json.Encoder().encode
S = TypeVar("S")
Owns = Callable[[str, int], bool]

MAX_RELATED = 2_000
"""Items whose related items are published in one round; the others wait for the next."""

MAX_REMEMBERED = 200_000
"""Published lists remembered by hash, so that an unchanged one is not published again."""

RESERVE = 4
"""Times the length of a list that are asked for, so that it stays full without what cannot be bought now."""

BREATH = 20
"""Lists worked out between two turns of the event loop."""

Record = tuple[str, str, bytes]
"""Topic, key and value."""


def slate_record(
    slate: Slate, recipe: str = "", trace: Iterable[tuple[str, bytes]] = ()
) -> tuple[str, bytes, bytes, Headers]:
    """Topic, key, value and headers of a slate.

    ``recipe`` is the label of that by which events were cleaned, ``trace`` the headers of its trace.
    """
    found = [*_headers(slate), *headers.recipe(recipe), *trace]
    return topics.SLATES, slate.user_id.encode(), _encode(slate), found


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
            self._every(self._settings.trending_interval_s, self.trending),
            self._every(self._settings.related_interval_s, self.related),
        )

    async def _every(self, interval_s: float, round_: Callable[[], Iterator[Record | None]]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            await self._publish(round_())

    async def _publish(self, lists: Iterator[Record | None]) -> None:
        parcel = self._outbox.parcel()
        for n, news in enumerate(lists):
            if news is not None:
                topic, key, value = news
                parcel.add(topic, key.encode(), value)
                metrics.SLATES.labels(topic.rpartition(".")[2]).inc()
            if n % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        parcel.seal()
        await parcel.delivered

    def trending(self) -> Iterator[Record | None]:
        """One round of leaderboards, overall and by category; None for each that is not news."""
        source = self._source(TrendingSource)
        if source is None or not self._owns(topics.BROWSE, 0):
            return
        half_life_s = source.half_lives_s[len(source.half_lives_s) // 2]
        items, scores = source.top(
            len(self._knowledge.attributes.available), self._knowledge.latest_s, None, half_life_s
        )
        names = self._names(items)
        for key, category, places in self._boards(items):
            ranked = self._ranked((names[at], float(scores[at])) for at in places)
            if self._is_news(f"trending {key}", ranked):
                board = Trending(
                    category=category, half_life_s=half_life_s, items=ranked, updated_ms=_now_ms()
                )
                yield topics.TRENDING, key, _encode(board)
            else:
                yield None

    def _boards(self, items: I32) -> Iterator[tuple[str, str | None, Sequence[int]]]:
        """Key, category and places among ``items`` (n,), best first, of what each leaderboard is made from."""
        category = self._knowledge.attributes.category[items]
        order = np.argsort(category, kind="stable")
        starts = np.flatnonzero(np.diff(category[order], prepend=-2))
        words = self._knowledge.vocabularies.categories.words(category[order[starts]].tolist())
        yield topics.OVERALL, None, range(len(items))
        for word, places in zip(words, np.split(order, starts)[1:], strict=True):
            if word is not None and word != topics.OVERALL:
                yield word, word, places.tolist()

    def related(self) -> Iterator[Record | None]:
        """One round of related items of those that changed; None for each that is not news."""
        source = self._source(Covisitation)
        if source is None:
            return
        changed = source.changed(MAX_RELATED)
        owned = {partition for partition in range(self._partitions) if self._owns(topics.BROWSE, partition)}
        words = self._knowledge.vocabularies.items.words(changed.tolist())
        mine = [
            at
            for at, item_id in enumerate(words)
            if item_id is not None and partition_of(item_id.encode(), self._partitions) in owned
        ]
        items, scores = source.related(changed[mine], RESERVE * self._settings.slate_length)
        names = iter(self._names(items.ravel()))
        for at, weights in zip(mine, scores.tolist(), strict=True):
            item_id = words[at]
            assert item_id is not None, "items without a name were left out above"
            ranked = self._ranked([(next(names), weight) for weight in weights])
            if self._is_news(f"related {item_id}", ranked):
                related = Related(item_id=item_id, items=ranked, updated_ms=_now_ms())
                yield topics.RELATED, item_id, _encode(related)
            else:
                yield None

    def _source(self, kind: type[S]) -> S | None:
        return next((source for source in self._knowledge.sources if isinstance(source, kind)), None)

    def _names(self, items: I32) -> list[str | None]:
        """Ids of ``items`` (n,), None for padding and for what cannot be bought now.

        Taken once a round, before the event loop turns: an index may be another item's afterwards.
        """
        buyable = (items >= 0) & (self._knowledge.attributes.available[items] == 1)
        return self._knowledge.vocabularies.items.words(np.where(buyable, items, -1).tolist())

    def _ranked(self, best_first: Iterable[tuple[str | None, float]]) -> list[RankedItem]:
        named = (RankedItem(name, score) for name, score in best_first if name is not None)
        return list(islice(named, self._settings.slate_length))

    def _is_news(self, what: str, ranked: list[RankedItem]) -> bool:
        """Whether the items or their order changed; a list that became empty is news, one that never was is not."""
        order = hash(tuple(item.item_id for item in ranked))
        known = self._published.pop(what, None)
        if known is None and not ranked:
            return False
        self._published[what] = order
        if len(self._published) > MAX_REMEMBERED:
            del self._published[next(iter(self._published))]
        return known != order


def _now_ms() -> int:
    return int(time.time() * 1000)
