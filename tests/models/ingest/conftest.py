"""A record factory and a batch of one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from models.ingest import Ingest
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.events import AnyEvent
from schemas.rejections import Rejection

NOW_MS = 1_732_270_000_000


class Given(NamedTuple):
    topic: str = topics.BROWSE
    partition: int = 0
    offset: int = 7
    timestamp: int = NOW_MS
    key: bytes | None = b"u1"
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


View = dict[str, Any]
Take = Callable[..., AnyEvent | Rejection]


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


@pytest.fixture
def view() -> View:
    """A complete, sound look at an item."""
    return {"event_id": "e1", "user_id": "u1", "time_ms": NOW_MS, "item_id": "i1", "price": 9.5}


@pytest.fixture
def record() -> Callable[..., Given]:
    """``record(value, **fields)``: a value that is no bytes is encoded as JSON."""

    def build(value: Any = None, **fields: Any) -> Given:
        raw = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
        return Given(value=raw, **fields)

    return build


@pytest.fixture
def take(record: Callable[..., Given]) -> Take:
    """``take(value, settings=…, **fields)``: what a batch of this one record becomes."""

    def ingest_one(value: Any, settings: IngestSettings | None = None, **fields: Any) -> AnyEvent | Rejection:
        accepted, rejected, _ = Ingest(settings or IngestSettings())([record(value, **fields)])
        assert len(accepted) + len(rejected) == 1
        return accepted[0].event if accepted else rejected[0].rejection

    return ingest_one
