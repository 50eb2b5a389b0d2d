"""Whether events say the same of an item as the catalogue, or as earlier events where the catalogue is silent."""

from collections.abc import Iterable, Sequence
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.knowledge.base import KnowledgeBase
from models.quality.observe import FIELDS_COMPARED as FIELDS
from models.quality.observe import I8, NO, NOT_APPLICABLE, YES
from schemas.events import AnyEvent, Browse, Cart, Line, Purchase

PRICE_FACTOR: Final = 2.0
"""A price agrees when it is less than this many times higher or lower: a promotion does no more."""


def agreement(events: Sequence[AnyEvent], knowledge: KnowledgeBase) -> I8:
    """(n, 3) for each of ``FIELDS``: YES where all that an event says agrees, NOT_APPLICABLE where nothing compares."""
    verdicts = np.full((len(events), len(FIELDS)), NOT_APPLICABLE, np.int8)
    found = [(i, part) for i, event in enumerate(events) for part in _parts(event)]
    if not found:
        return verdicts
    words, kept = knowledge.vocabularies, knowledge.attributes
    rows = np.fromiter((i for i, _ in found), np.int64, len(found))
    items = np.fromiter((words.items.index(part.item_id) for _, part in found), np.int64, len(found))
    known = items >= 0
    for column, index_of, earlier in (
        (0, words.categories.index, kept.category),
        (1, words.brands.index, kept.brand),
    ):
        labels = (getattr(part, FIELDS[column], None) for _, part in found)
        said = np.fromiter(
            (_UNSAID if label is None else index_of(label) for label in labels), np.int64, len(found)
        )
        compared = known & (said != _UNSAID) & (earlier[items] >= 0)
        _enter(verdicts[:, column], rows, compared, said == earlier[items])
    prices = np.array([part.price or np.nan for _, part in found], np.float64)
    apart = np.abs(np.log1p(prices) - kept.log_price[items])
    _enter(verdicts[:, 2], rows, known & np.isfinite(apart), apart < log(PRICE_FACTOR))
    return verdicts


_UNSAID: Final = -2
"""Of a label; one that nobody has named before is -1, and differs from what is known."""


def _parts(event: AnyEvent) -> Iterable[Browse | Cart | Line]:
    if isinstance(event, Browse | Cart):
        return (event,)
    return event.lines if isinstance(event, Purchase) else ()


def _enter(
    verdicts: I8, rows: NDArray[np.int64], compared: NDArray[np.bool_], agrees: NDArray[np.bool_]
) -> None:
    """One line of an order that does not agree speaks for the whole order."""
    verdicts[rows[compared]] = YES
    verdicts[rows[compared & ~agrees]] = NO
