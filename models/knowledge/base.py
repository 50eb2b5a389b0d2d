"""The knowledge base of one worker: vocabularies, attributes, and the retrieval sources that learn from facts.

It holds no user state, and it applies each fact once: facts carry their source offsets, and what lies at or below the
last offset learned from that partition is skipped.
"""

from math import expm1, isnan

import numpy as np

from models.interest.evidence import Details
from models.interest.terms import terms
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.knowledge.facts import Facts, ItemHint
from models.knowledge.rebuying import Rebuying
from models.knowledge.settings import KnowledgeSettings
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.retrieve.contract import I32, U8, Interactions, Source, TextSource
from models.retrieve.registry import sources
from models.retrieve.settings import RetrieveSettings
from schemas.catalog import Item


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
        )
        self.catalogued: U8 = np.zeros(n, np.uint8)
        """1 for items that the catalogue described."""
        self.sources: list[Source] = sources(retrieve, self.attributes, settings)
        self.rebuying = Rebuying(n)
        self.learned_to: dict[tuple[str, int], int] = {}
        """Last source offset learned from each source topic and partition."""
        self.n_interactions = 0
        self.latest_s = 0.0
        """Latest event time learned, seconds since 1970."""

    def learn(self, facts: Facts) -> None:
        """Apply what is new in ``facts``."""
        at = facts.topic, facts.partition
        learned_to = self.learned_to.get(at, -1)
        if facts.last_offset <= learned_to:
            return
        self.learned_to[at] = facts.last_offset
        fresh = facts.column("offset") > learned_to
        if fresh.any():
            self._apply(facts, np.flatnonzero(fresh).astype(np.int32))

    def describe(self, items: list[tuple[str, Item | None]]) -> None:
        """Apply catalogue entries; None is a removal: the item is no longer available."""
        index = self._encode("items", [item_id for item_id, _ in items])
        for i, (_, item) in zip(index, items, strict=True):
            if i < 0:
                continue
            if item is None:
                self.attributes.available[i] = 0
            else:
                self._describe(int(i), item)

    def all_catalogued(self, item_ids: list[str]) -> bool:
        """Whether the catalogue has described every one of these items."""
        index = self.vocabularies.items.lookup(item_ids)
        return bool((index >= 0).all() and self.catalogued[index].all())

    def facts_of(self, item_id: str) -> Details | None:
        """What the catalogue says of an item, to fill in what an event leaves out.

        Not what other events said: a state must not depend on what was learned first.
        """
        i = self.vocabularies.items.index(item_id)
        if i < 0 or not self.catalogued[i]:
            return None
        log_price = float(self.attributes.log_price[i])
        return Details(
            category=self.vocabularies.categories.word(int(self.attributes.category[i])),
            brand=self.vocabularies.brands.word(int(self.attributes.brand[i])),
            price=None if isnan(log_price) else expm1(log_price),
        )

    def _describe(self, i: int, item: Item) -> None:
        self.catalogued[i] = 1
        self.attributes.available[i] = item.available
        self._hint(i, ItemHint(item.item_id, item.category, item.brand, item.price))
        self.attributes.created_s[i] = (item.created_ms or item.time_ms) / 1000.0
        text = " ".join(part for part in (item.title, item.category, item.brand) if part)
        self._index_text(i, text)

    def _index_text(self, i: int, text: str) -> None:
        tokens = terms(text)
        for source in self.sources:
            if isinstance(source, TextSource) and tokens:
                source.index(i, self._encode("terms", tokens))

    def _hint(self, i: int, hint: ItemHint) -> None:
        if hint.category is not None:
            self.attributes.category[i] = self._encode("categories", [hint.category])[0]
        if hint.brand is not None:
            self.attributes.brand[i] = self._encode("brands", [hint.brand])[0]
        if hint.price is not None:
            self.attributes.log_price[i] = np.log1p(hint.price)

    def _apply(self, facts: Facts, rows: I32) -> None:
        item = self._encode("items", [hint.item_id for hint in facts.items])
        rows = rows[item[facts.column("item")[rows]] >= 0]
        codes = facts.column("item")[rows]
        for code in np.unique(codes):
            if not self.catalogued[item[code]]:
                self._hint(int(item[code]), facts.items[code])
        time_s = facts.column("time_ms")[rows] / 1000.0
        batch = Interactions(
            user=facts.column("user")[rows],
            session=facts.column("session")[rows],
            item=item[codes],
            kind=facts.column("kind")[rows],
            time_s=time_s,
            term=_translate(facts.column("query")[rows], self._encode("queries", facts.queries)),
            segment=_translate(facts.column("segment")[rows], self._encode("segments", facts.segments)),
        )
        np.minimum.at(self.attributes.created_s, batch.item, time_s)
        for source in self.sources:
            source.update(batch)
        bought = batch.kind == Kind.PURCHASE
        if bought.any():
            self.rebuying.update(batch.user[bought], batch.item[bought])
        self.n_interactions += len(rows)
        self.latest_s = max(self.latest_s, float(time_s.max(initial=0.0)))

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
        self.rebuying.forget(items)
        self.attributes.category[items] = -1
        self.attributes.brand[items] = -1
        self.attributes.log_price[items] = np.nan
        self.attributes.available[items] = 1
        self.attributes.created_s[items] = np.inf
        self.catalogued[items] = 0


def _translate(codes: I32, index: I32) -> I32:
    """Local codes (n,) to vocabulary indexes (n,), -1 staying -1."""
    return np.append(index, np.int32(-1))[codes].astype(np.int32)
