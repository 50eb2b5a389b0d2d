"""Which promotions run, as the share that they take off each item's price at a moment of event time.

A feature of the ranking; who gets which promotion, within what budget, is not decided here.
"""

from typing import Final

import numpy as np

from models.knowledge.attributes import Attributes
from models.knowledge.vocabulary import Vocabularies
from models.retrieve.contract import F32
from schemas.catalog import Promotion

MAX_PROMOTIONS: Final = 10_000
"""Kept, the latest told of; one that is over is dropped at the next look."""
LOOK_AGAIN_S: Final = 60.0
"""Seconds of event time after which items that were described since get their share."""


class Promotions:
    """Writes ``discount`` of the attributes; of several promotions on an item the largest counts."""

    def __init__(self, attributes: Attributes, vocabularies: Vocabularies) -> None:
        self._attributes, self._words = attributes, vocabularies
        self._known: dict[str, Promotion] = {}
        self._due_s = -np.inf

    def apply(self, changes: list[tuple[str, Promotion | None]]) -> None:
        """Take promotions, each in place of the one before; None ends it."""
        for promotion_id, promotion in changes:
            self._known.pop(promotion_id, None)
            if promotion is not None:
                self._known[promotion_id] = promotion
        while len(self._known) > MAX_PROMOTIONS:
            del self._known[next(iter(self._known))]
        if changes:
            self._due_s = -np.inf

    def refresh(self, now_s: float) -> None:
        """Bring the discounts to ``now_s``, when one has begun or ended, or some time has gone by."""
        if now_s < self._due_s or not (self._known or self._due_s == -np.inf):
            return
        now_ms = now_s * 1000.0
        self._known = {key: each for key, each in self._known.items() if each.ends_ms > now_ms}
        self._attributes.discount[:] = 0.0
        edges = [now_ms + LOOK_AGAIN_S * 1000.0]
        for promotion in self._known.values():
            if promotion.starts_ms <= now_ms:
                self._take_off(promotion)
                edges.append(promotion.ends_ms)
            else:
                edges.append(promotion.starts_ms)
        self._due_s = min(edges) / 1000.0

    def _take_off(self, promotion: Promotion) -> None:
        discount: F32 = self._attributes.discount
        items = self._words.items.lookup(promotion.item_ids)
        items = items[items >= 0]
        discount[items] = np.maximum(discount[items], promotion.discount)
        for column, word, words in (
            (self._attributes.category, promotion.category, self._words.categories),
            (self._attributes.brand, promotion.brand, self._words.brands),
        ):
            if word is not None and (index := words.index(word)) >= 0:
                of_word = column == index
                discount[of_word] = np.maximum(discount[of_word], promotion.discount)
