"""The knowledge base of one worker: vocabularies, attributes, and the retrieval sources that learn from facts.

It holds no user state, and it applies each fact once: facts carry their source offsets, and what lies at or below the
last offset learned from that partition is skipped.
"""

from collections.abc import Callable, Sequence
from math import expm1, isnan
from typing import Final

import numpy as np

from models.interest.evidence import Details
from models.interest.terms import MAX_ITEM_TERMS, terms
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.knowledge.facts import Facts, Place
from models.knowledge.popularity import Popularity
from models.knowledge.promotions import Promotions
from models.knowledge.rebuying import Rebuying
from models.knowledge.settings import KnowledgeSettings
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.rank.features import Known
from models.retrieve.contract import F64, I32, U8, Described, Interactions, Queries, Source
from models.retrieve.embedding import N_VECTORS, NO_VECTORS, NOTHING_USUAL, Embedding
from models.retrieve.registry import sources
from models.retrieve.sessions import I64
from models.retrieve.settings import RetrieveSettings
from schemas.catalog import Item

DESCRIBED: Final = 1
CATEGORY: Final = 2
BRAND: Final = 4
PRICE: Final = 8
"""Bits: the catalogue describes the item, and says its category, brand, price. It goes before what events say."""


class KnowledgeBase:
    """What is known of items, the same in every worker that applied the same facts and catalogue in the same order."""

    def __init__(self, settings: KnowledgeSettings, retrieve: RetrieveSettings) -> None:
        n = settings.max_items
        self.vocabularies = Vocabularies(
            Vocabulary(n),
            Vocabulary(settings.max_categories),
            Vocabulary(settings.max_brands),
            Vocabulary(settings.max_terms),
            Vocabulary(settings.max_queries),
            Vocabulary(settings.max_segments),
        )
        self.attributes = Attributes(
            category=np.full(n, -1, np.int32),
            brand=np.full(n, -1, np.int32),
            log_price=np.full(n, np.nan, np.float32),
            available=np.ones(n, np.uint8),
            created_s=np.full(n, np.inf),
            discount=np.zeros(n, np.float32),
        )
        self.catalogued: U8 = np.zeros(n, np.uint8)
        """What the catalogue says of each item: ``DESCRIBED``, ``CATEGORY``, ``BRAND``, ``PRICE``, 0 while silent."""
        self.sources: list[Source] = sources(retrieve, self.attributes, settings)
        self.rebuying = Rebuying(n)
        self.popularity = Popularity(n)
        self.promotions = Promotions(self.attributes, self.vocabularies)
        self.on_forgotten: Callable[[I32], None] = lambda _: None
        """Told of items whose indexes are about to be given to others."""
        self.learned_to: dict[tuple[str, int], int] = {}
        """Last source offset learned from each source topic and partition."""
        self.n_interactions = 0
        self.latest_s = 0.0
        """Latest event time learned, seconds since 1970."""

    def learn(self, facts: Facts) -> None:
        """Apply what is new in ``facts``."""
        if not self.is_news(facts.places):
            return
        before = [self._learned_to(place) for place in facts.places]
        for (topic, partition, last_offset), learned_to in zip(facts.places, before, strict=True):
            self.learned_to[topic, partition] = max(last_offset, learned_to)
        fresh = facts.column("offset") > np.array(before, np.int64)[facts.column("place")]
        if fresh.any():
            self._apply(facts, np.flatnonzero(fresh).astype(np.int32))

    def is_news(self, places: Sequence[Place]) -> bool:
        """Whether facts that cover ``places`` may hold anything not learned yet."""
        return any(place.last_offset > self._learned_to(place) for place in places)

    def _learned_to(self, place: Place) -> int:
        return self.learned_to.get((place.topic, place.partition), -1)

    def describe(self, items: list[tuple[str, Item | None]]) -> None:
        """Apply catalogue entries, each in place of the one before; None is a removal: no longer available."""
        index = self._encode("items", [item_id for item_id, _ in items])
        for i, (_, item) in zip(index.tolist(), items, strict=True):
            if i >= 0:
                self._withdraw(i)
                self._describe(i, item)

    @property
    def embedding(self) -> Embedding | None:
        """The source that an embedding model serves, if it is enabled."""
        return next((source for source in self.sources if isinstance(source, Embedding)), None)

    def known(self, queries: Queries) -> Known:
        """What features read beside the attributes."""
        embedding = self.embedding
        if embedding is None:
            of_model = np.zeros((len(queries.user), N_VECTORS, 0), np.float32), NOTHING_USUAL, NO_VECTORS
        else:
            of_model = embedding.vectors(queries), embedding.usual, embedding.items
        return Known(*self.popularity.shares(), self.rebuying.share, *of_model)

    def all_catalogued(self, item_ids: list[str]) -> bool:
        """Whether the catalogue has described every one of these items."""
        index_of, catalogued = self.vocabularies.items.index, self.catalogued
        return all((i := index_of(item_id)) >= 0 and catalogued[i] for item_id in item_ids)

    def facts_of(self, item_id: str) -> Details | None:
        """What the catalogue says of an item, to fill in what an event leaves out.

        Not what other events said: a state must not depend on what was learned first.
        """
        i = self.vocabularies.items.index(item_id)
        said = int(self.catalogued[i]) if i >= 0 else 0
        if not said:
            return None
        words, attributes = self.vocabularies, self.attributes
        return Details(
            category=words.categories.word(int(attributes.category[i])) if said & CATEGORY else None,
            brand=words.brands.word(int(attributes.brand[i])) if said & BRAND else None,
            price=expm1(float(attributes.log_price[i])) if said & PRICE else None,
        )

    def told_of(self, item_id: str) -> Details | None:
        """What the catalogue says of an item, and where it is silent what events said last."""
        i = self.vocabularies.items.index(item_id)
        if i < 0:
            return None
        words, attributes = self.vocabularies, self.attributes
        log_price = float(attributes.log_price[i])
        return Details(
            category=words.categories.word(int(attributes.category[i])),
            brand=words.brands.word(int(attributes.brand[i])),
            price=None if isnan(log_price) else expm1(log_price),
        )

    def _withdraw(self, i: int) -> None:
        """Take back what the catalogue said of the item; what events said stays."""
        said = int(self.catalogued[i])
        if said & CATEGORY:
            self.attributes.category[i] = -1
        if said & BRAND:
            self.attributes.brand[i] = -1
        if said & PRICE:
            self.attributes.log_price[i] = np.nan
        self.catalogued[i] = 0

    def _describe(self, i: int, item: Item | None) -> None:
        attributes, said = self.attributes, DESCRIBED
        if item is None:
            attributes.available[i] = 0
            self._index_text(i, [])
            self._give(i, None)
            return
        attributes.available[i] = item.available
        if item.category is not None:
            attributes.category[i], said = self._encode("categories", [item.category])[0], said | CATEGORY
        if item.brand is not None:
            attributes.brand[i], said = self._encode("brands", [item.brand])[0], said | BRAND
        if item.price is not None:
            attributes.log_price[i], said = np.log1p(item.price), said | PRICE
        self.catalogued[i] = said
        created_ms = item.time_ms if item.created_ms is None else item.created_ms
        attributes.created_s[i] = min(attributes.created_s[i], created_ms / 1000.0)
        text = " ".join(part for part in (item.title, item.category, item.brand) if part)
        self._index_text(i, terms(text, MAX_ITEM_TERMS))
        self._give(i, item.vector)

    def _index_text(self, i: int, tokens: list[str]) -> None:
        for source in self.sources:
            if isinstance(source, Described):
                source.index(i, self._encode("terms", tokens))

    def _give(self, i: int, vector: list[float] | None) -> None:
        if (embedding := self.embedding) is not None:
            embedding.give(i, vector)

    def _apply(self, facts: Facts, rows: I32) -> None:
        """Learn ``rows`` (n,) of the facts; what only the other rows name is not even looked up."""
        codes = facts.column("item")[rows]
        item = self._indexes("items", codes, [hint.item_id for hint in facts.items])
        rows, codes, item = rows[item >= 0], codes[item >= 0], item[item >= 0]
        time_s = facts.column("time_ms")[rows] / 1000.0
        batch = Interactions(
            user=facts.column("user")[rows],
            session=facts.column("session")[rows],
            item=item,
            kind=facts.column("kind")[rows],
            time_s=time_s,
            term=self._indexes("queries", facts.column("query")[rows], facts.queries),
            segment=self._indexes("segments", facts.column("segment")[rows], facts.segments),
        )
        np.minimum.at(self.attributes.created_s, item, time_s)
        self._learn_prices(item, np.array([hint.price for hint in facts.items], np.float64)[codes])
        columns = self.attributes.category, self.attributes.brand
        said = (
            self._hinted("categories", CATEGORY, item, codes, [hint.category for hint in facts.items]),
            self._hinted("brands", BRAND, item, codes, [hint.brand for hint in facts.items]),
        )
        starts = _runs(item, [c.tolist() for c in said], [c[item].tolist() for c in columns])
        for start, end in zip(starts, [*starts[1:], len(item)], strict=True):
            run = slice(start, end)
            for column, of_row in zip(columns, said, strict=True):
                heard = np.flatnonzero(of_row[run] >= 0) + start
                column[item[heard]] = of_row[heard]
            for source in self.sources:
                source.update(Interactions._make(column[run] for column in batch))
        self.popularity.update(batch)
        self._learn_purchases(facts.column("place")[rows], facts.column("offset")[rows], batch)
        self.n_interactions += len(rows)
        self.latest_s = max(self.latest_s, float(time_s.max(initial=0.0)))

    def _learn_prices(self, item: I32, price: F64) -> None:
        """The last price heard of each item (n,), NaN unsaid, unless the catalogue says one."""
        heard = ~np.isnan(price) & (self.catalogued[item] & PRICE == 0)
        self.attributes.log_price[item[heard]] = np.log1p(price[heard])

    def _learn_purchases(self, place: I32, offset: I64, batch: Interactions) -> None:
        """Count who bought what; two lines of one order for the same item are one purchase."""
        bought = np.flatnonzero(batch.kind == Kind.PURCHASE)
        if not len(bought):
            return
        orders = np.stack([place[bought], offset[bought], batch.item[bought]])
        _, first = np.unique(orders, axis=1, return_index=True)
        bought = bought[np.sort(first)]
        self.rebuying.update(batch.user[bought], batch.item[bought])

    def _hinted(self, kind: str, bit: int, item: I32, codes: I32, words: Sequence[str | None]) -> I32:
        """Indexes (n,) of what events say of their items, -1 where they or the catalogue leave no say."""
        said = np.array([word is not None for word in words], np.bool_)
        heard = said[codes] & (self.catalogued[item] & bit == 0)
        return self._indexes(kind, np.where(heard, codes, -1), words)

    def _indexes(self, kind: str, codes: I32, words: Sequence[str | None]) -> I32:
        """Indexes (n,) of the words that ``codes`` (n,) name, -1 staying -1; adds no other words."""
        used = sorted(set(codes.tolist()) - {-1})
        index = np.full(len(words) + 1, -1, np.int32)  # the last is what code -1 finds
        if not used:
            return index[codes]
        index[used] = self._encode(kind, [word for code in used if (word := words[code]) is not None])
        return index[codes]

    def _encode(self, kind: str, words: list[str]) -> I32:
        """Indexes of ``words`` in the vocabulary named ``kind``, once what they stood for before is forgotten."""
        vocabulary: Vocabulary = getattr(self.vocabularies, kind)
        index = vocabulary.encode(words)
        evicted = vocabulary.evicted()
        if len(evicted):
            self._forget(kind, evicted)
        return index

    def _forget(self, kind: str, indexes: I32) -> None:
        for source in self.sources:
            forget = getattr(source, "forget" if kind == "items" else f"forget_{kind}", None)
            if forget is not None:
                forget(indexes)
        if kind == "items":
            self._forget_items(indexes)
        elif kind == "categories":
            self.attributes.category[np.isin(self.attributes.category, indexes)] = -1
        elif kind == "brands":
            self.attributes.brand[np.isin(self.attributes.brand, indexes)] = -1

    def _forget_items(self, items: I32) -> None:
        self.on_forgotten(items)
        self.rebuying.forget(items)
        self.popularity.forget(items)
        self.attributes.category[items] = -1
        self.attributes.brand[items] = -1
        self.attributes.log_price[items] = np.nan
        self.attributes.available[items] = 1
        self.attributes.created_s[items] = np.inf
        self.attributes.discount[items] = 0.0
        self.catalogued[items] = 0


def _runs(item: I32, said: Sequence[list[int]], held: Sequence[list[int]]) -> list[int]:
    """Where to cut n rows so that in no run an item changes category or brand after it was counted.

    Sources read the attributes of a whole run at once: without the cuts an answer would depend on the batching.
    ``said`` are the columns of what each row says, -1 nothing; ``held`` those of what its item is before the first.
    """
    starts = [0]
    now: dict[int, tuple[int, ...]] = {}
    counted: set[int] = set()
    rows = zip(item.tolist(), zip(*said, strict=True), zip(*held, strict=True), strict=True)
    for row, (i, says, is_) in enumerate(rows):
        before = now.get(i, is_)
        now[i] = tuple(b if s < 0 else s for s, b in zip(says, before, strict=True))
        if i in counted and now[i] != before:
            starts.append(row)
            counted.clear()
        counted.add(i)
    return starts
