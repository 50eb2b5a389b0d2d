from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import Interactions

Make = Callable[..., Interactions]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def interactions() -> Make:
    """Interactions of rows (user, item, time_s), all views of one session a user unless told otherwise."""

    def make(
        rows: list[tuple[int, int, float]],
        kind: Kind = Kind.VIEW,
        term: int = -1,
        segment: int = -1,
    ) -> Interactions:
        user, item, time_s = zip(*rows, strict=True)
        n = len(rows)
        return Interactions(
            user=np.array(user, np.uint64),
            session=np.zeros(n, np.uint64),
            item=np.array(item, np.int32),
            kind=np.full(n, int(kind), np.uint8),
            time_s=np.array(time_s, np.float64),
            term=np.full(n, term, np.int32),
            segment=np.full(n, segment, np.int32),
        )

    return make


@pytest.fixture
def attributes() -> Callable[[int], Attributes]:
    """Of ``n`` items of which nothing is known."""

    def make(n: int) -> Attributes:
        return Attributes(
            category=np.full(n, -1, np.int32),
            brand=np.full(n, -1, np.int32),
            log_price=np.full(n, np.nan, np.float32),
            available=np.ones(n, np.uint8),
            created_s=np.zeros(n),
            discount=np.zeros(n, np.float32),
        )

    return make
