"""Logs small enough to reckon by hand, and a path with room for little."""

from collections.abc import Callable

import numpy as np
import pytest

from models.evaluate.of_path import OfPath
from models.ingest.settings import IngestSettings
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.path import Path
from models.path_settings import PathSettings
from models.rank.settings import RankSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas.events import AnyEvent, Browse, Line, Purchase

START_MS = 1_700_000_000_000


@pytest.fixture(scope="session")
def view() -> Callable[..., Browse]:
    """``view(second, user, item)``."""

    def make(second: float, user: str, item: str, **more: object) -> Browse:
        at = START_MS + int(second * 1000)
        return Browse(event_id=f"{user}-{item}-{second}", user_id=user, time_ms=at, item_id=item, **more)

    return make


@pytest.fixture(scope="session")
def order() -> Callable[..., Purchase]:
    def make(second: float, user: str, *items: str) -> Purchase:
        at = START_MS + int(second * 1000)
        lines = [Line(item_id=item) for item in items]
        return Purchase(event_id=f"{user}-order-{second}", user_id=user, time_ms=at, lines=lines)

    return make


@pytest.fixture
def path_settings() -> PathSettings:
    return PathSettings(
        ingest=IngestSettings(),
        interest=InterestSettings(),
        knowledge=KnowledgeSettings(
            max_items=256, max_categories=16, max_brands=16, max_terms=64, max_queries=16, max_segments=16
        ),
        retrieve=RetrieveSettings(
            session_knn=SessionKnnSettings(n_blocks=4_096, n_sessions=512),
            covisitation=CovisitationSettings(n_sessions=512),
        ),
        learn=LearnSettings(max_pending=512),
        rank=RankSettings(filter_viewed=False, filter_bought=False, mmr_lambda=1.0),
        slate_length=10,
        n_candidates=50,
    )


@pytest.fixture
def of_path(path_settings: PathSettings) -> Callable[..., OfPath]:
    return lambda **more: OfPath(Path(path_settings), **more)


@pytest.fixture(scope="session")
def shop_log(view: Callable[..., Browse], order: Callable[..., Purchase]) -> list[AnyEvent]:
    """600 events of 60 users who walk along a ring of 30 items, so that there is something to learn."""
    rng = np.random.default_rng(3)
    at = dict.fromkeys(range(60), 0)
    log: list[AnyEvent] = []
    for second in range(600):
        user = int(rng.integers(60))
        at[user] = (at[user] + int(rng.choice([1, 1, 1, 2, 7]))) % 30
        item = f"i{at[user]}"
        log.append(order(second, f"u{user}", item) if rng.random() < 0.1 else view(second, f"u{user}", item))
    return log
