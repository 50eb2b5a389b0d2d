"""Small knowledge bases, and facts from rows."""

from collections.abc import Callable
from typing import Any

import pytest

from models.kinds import Kind
from models.knowledge.base import KnowledgeBase
from models.knowledge.facts import Facts, Interaction, Place, gather
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings

ROOMY = KnowledgeSettings(
    max_items=64, max_categories=16, max_brands=16, max_terms=64, max_queries=16, max_segments=16
)
SMALL = RetrieveSettings(
    session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
    covisitation=CovisitationSettings(n_sessions=64),
)
START_MS = 1_700_000_000_000


@pytest.fixture(scope="session")
def base() -> Callable[..., KnowledgeBase]:
    """``base(max_items=…)``: a knowledge base with room for little."""

    def make(**settings: int) -> KnowledgeBase:
        return KnowledgeBase(ROOMY.model_copy(update=settings), SMALL)

    return make


@pytest.fixture(scope="session")
def row() -> Callable[..., Interaction]:
    """``row(offset, item, user=…, …)``: one view, a second an offset."""

    def make(offset: int, item: str, **more: Any) -> Interaction:
        given = {
            "place": 0,
            "offset": offset,
            "user": 1,
            "session": 0,
            "item_id": item,
            "kind": Kind.VIEW,
            "time_ms": START_MS + offset * 1_000,
            "query": None,
            "segment": None,
            "category": None,
            "brand": None,
            "price": None,
        }
        return Interaction(**{**given, **more})

    return make


@pytest.fixture(scope="session")
def facts() -> Callable[..., Facts]:
    """Facts of rows, up to the offset of the last one unless told otherwise."""

    def make(*rows: Interaction, last: int | None = None, partition: int = 0) -> Facts:
        place = Place("events.browse", partition, rows[-1].offset if last is None else last)
        return gather([place], rows)

    return make
