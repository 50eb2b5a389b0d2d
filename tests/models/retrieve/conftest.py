"""Small shops to learn from and shoppers to recommend to."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.contract import Interactions, Queries

KNOWN = KnowledgeSettings(
    max_items=200, max_categories=10, max_brands=12, max_terms=40, max_queries=20, max_segments=8
)


@pytest.fixture
def known() -> KnowledgeSettings:
    return KNOWN


@pytest.fixture
def attributes() -> Attributes:
    """Items 0 to 199: category i % 10, brand i % 12, price 9."""
    n = KNOWN.max_items
    return Attributes(
        category=(np.arange(n) % 10).astype(np.int32),
        brand=(np.arange(n) % 12).astype(np.int32),
        log_price=np.full(n, np.log(10.0), np.float32),
        available=np.ones(n, np.uint8),
        created_s=np.zeros(n),
        discount=np.zeros(n, np.float32),
    )


Row = tuple[int, int, float]


@pytest.fixture
def interactions() -> Callable[..., Interactions]:
    """A batch from rows of (user, item, time in seconds); other columns by name, one value or one a row."""

    def make(
        rows: Sequence[Row],
        kind: Kind | Sequence[Kind] = Kind.VIEW,
        session: int | Sequence[int] = 0,
        term: int | Sequence[int] = -1,
        segment: int | Sequence[int] = -1,
    ) -> Interactions:
        user, item, time_s = zip(*rows, strict=True) if rows else ((), (), ())
        n = len(rows)
        return Interactions(
            user=np.array(user, np.uint64),
            session=np.array(np.broadcast_to(session, n), np.uint64),
            item=np.array(item, np.int32),
            kind=np.array(np.broadcast_to(kind, n), np.uint8),
            time_s=np.array(time_s, np.float64),
            term=np.array(np.broadcast_to(term, n), np.int32),
            segment=np.array(np.broadcast_to(segment, n), np.int32),
        )

    return make


def padded(rows: Sequence[Sequence[float]], dtype: type, fill: float) -> np.ndarray:
    width = max((len(row) for row in rows), default=0)
    out = np.full((len(rows), width), fill, dtype)
    for r, row in enumerate(rows):
        out[r, : len(row)] = row
    return out


@pytest.fixture
def asking() -> Callable[..., Queries]:
    """Queries of N users, of whom only what is named is known; each argument is a list of N."""

    def make(
        n: int = 1,
        *,
        now_s: float = 0.0,
        user: Sequence[int] | None = None,
        items: Sequence[Sequence[int]] | None = None,
        category: Sequence[Sequence[int]] | None = None,
        brand: Sequence[Sequence[int]] | None = None,
        log_price: Sequence[float] | None = None,
        term: Sequence[Sequence[int]] | None = None,
        segment: Sequence[int] | None = None,
        query: Sequence[int] | None = None,
    ) -> Queries:
        def indexes(rows: Sequence[Sequence[int]] | None) -> tuple[np.ndarray, np.ndarray]:
            rows = [[]] * n if rows is None else rows
            return padded(rows, np.int32, -1), padded([[1.0] * len(row) for row in rows], np.float32, 0.0)

        session, weights = indexes(items)
        categories, category_weight = indexes(category)
        brands, brand_weight = indexes(brand)
        terms, term_weight = indexes(term)
        return Queries(
            now_s=np.full(n, now_s),
            user=np.array(user if user is not None else range(10_000, 10_000 + n), np.uint64),
            items=session,
            weights=weights,
            history=session,
            history_age_s=np.zeros(session.shape, np.float32),
            history_times=np.zeros(session.shape, np.int32),
            category=categories,
            category_weight=category_weight,
            brand=brands,
            brand_weight=brand_weight,
            log_price=np.array(log_price if log_price is not None else [np.nan] * n, np.float32),
            term=terms,
            term_weight=term_weight,
            segment=np.array(segment if segment is not None else [-1] * n, np.int32),
            query=np.array(query if query is not None else [-1] * n, np.int32),
        )

    return make
