from collections.abc import Callable

import numpy as np
import pytest

from models.interest.seen import Seen
from models.knowledge.attributes import Attributes
from models.rank.features import Known
from models.retrieve.contract import Candidates, Queries
from models.retrieve.embedding import NO_USERS, NO_VECTORS, NOTHING_USUAL


def _candidates(*users: dict[int, float], k: int = 0, because: int = -1) -> Candidates:
    width = max([k, *(len(user) for user in users)])
    items = np.full((len(users), width), -1, np.int32)
    scores = np.zeros(items.shape, np.float32)
    for row, user in enumerate(users):
        items[row, : len(user)], scores[row, : len(user)] = list(user), list(user.values())
    return Candidates(items, scores, np.where(items >= 0, because, -1).astype(np.int32))


def _attributes(n: int = 100, **columns: dict[int, float]) -> Attributes:
    made = Attributes(
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        np.full(n, np.nan, np.float32),
        np.ones(n, np.uint8),
        np.zeros(n),
        np.zeros(n, np.float32),
    )
    for name, values in columns.items():
        getattr(made, name)[list(values)] = list(values.values())
    return made


def _seen(*users: dict[int, int]) -> Seen:
    width = max([0, *(len(user) for user in users)])
    items = np.full((len(users), width), -1, np.int32)
    reasons = np.zeros(items.shape, np.uint8)
    for row, user in enumerate(users):
        items[row, : len(user)], reasons[row, : len(user)] = list(user), list(user.values())
    return Seen(items, reasons)


def _nobody(n: int) -> Queries:
    rows = np.full((n, 1), -1, np.int32)
    zeros, of_user = np.zeros((n, 1), np.float32), np.full(n, -1, np.int32)
    return Queries(
        now_s=np.zeros(n),
        user=np.arange(n, dtype=np.uint64),
        items=rows,
        weights=zeros,
        history=rows,
        history_age_s=zeros,
        history_times=zeros.astype(np.int32),
        category=rows,
        category_weight=zeros,
        brand=rows,
        brand_weight=zeros,
        log_price=np.full(n, np.nan, np.float32),
        term=rows,
        term_weight=zeros,
        segment=of_user,
        query=of_user,
    )


@pytest.fixture(scope="session")
def candidates() -> Callable[..., Candidates]:
    """(N, K) from one ``{item: score}`` a user."""
    return _candidates


@pytest.fixture(scope="session")
def attributes() -> Callable[..., Attributes]:
    """Of 100 items, all unknown and available but for the ``{item: value}`` given by column."""
    return _attributes


@pytest.fixture(scope="session")
def seen() -> Callable[..., Seen]:
    """(N, M) from one ``{item: reason}`` a user."""
    return _seen


@pytest.fixture(scope="session")
def nobody() -> Callable[[int], Queries]:
    """Queries of N users of whom nothing is known."""
    return _nobody


@pytest.fixture(scope="session")
def unknown() -> Known:
    """Of 100 items nothing was counted."""
    return Known(np.zeros((100, 2)), np.zeros(2), np.zeros(100), NO_USERS, NOTHING_USUAL, NO_VECTORS)
