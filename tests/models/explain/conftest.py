"""A small shop that is followed without Kafka, and asked why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import pytest

from models.ingest.settings import IngestSettings
from models.interest.codec import decode
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.path import EXAMPLE_MS, Path
from models.path_settings import PathSettings
from models.rank.score import Scorer
from models.rank.settings import RankSettings
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent
from schemas.explain import Explanation
from schemas.outputs import Slate

MINUTE_MS = 60_000
SMALL = PathSettings(
    ingest=IngestSettings(),
    interest=InterestSettings(),
    knowledge=KnowledgeSettings(
        max_items=64, max_categories=8, max_brands=8, max_terms=64, max_queries=16, max_segments=8
    ),
    retrieve=RetrieveSettings(
        session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
        covisitation=CovisitationSettings(n_sessions=64),
    ),
    learn=LearnSettings(max_pending=64),
    rank=RankSettings(),
    slate_length=10,
    n_candidates=50,
)


class Given(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Shop:
    """``at`` is the minute of the next event; every event has an id and an offset of its own."""

    settings: PathSettings = SMALL
    scorer: Scorer | None = None
    at: float = 0.0
    n: int = 0
    slates: dict[str, Slate] = field(default_factory=dict)
    """The latest of each user."""

    def __post_init__(self) -> None:
        self.path = Path(self.settings, self.scorer)
        self._stored: dict[bytes, bytes] = {}

    def take(self, make: Callable[..., AnyEvent], user: str, **more: Any) -> None:
        self.n += 1
        time_ms = EXAMPLE_MS + int(self.at * MINUTE_MS)
        event = make(event_id=f"e{self.n}", user_id=user, time_ms=time_ms, **more)
        record = Given(topics.of_event(event), 3, self.n, time_ms, user.encode(), msgspec.json.encode(event))
        absorbed = self.path.absorb([[record]], lambda _, keys: [self._stored.get(k) for k in keys], time_ms)
        self._stored.update(absorbed.states.get(3, []))
        for served in self.path.serve(absorbed.causes, time_ms):
            self.slates[user] = served.slate

    def describe(self, *items: Item) -> None:
        self.path.knowledge.describe([(item.item_id, item) for item in items])

    def state(self, user: str) -> State:
        return decode(self._stored[user.encode()])

    def explain(
        self, user: str, item: str | None = None, *, minute: float | None = None, **more: Any
    ) -> Explanation:
        now_ms = EXAMPLE_MS + int((self.at if minute is None else minute) * MINUTE_MS)
        return self.path.explain(self.state(user), user, now_ms, item, **more)


@pytest.fixture(scope="session")
def shop() -> Callable[..., Shop]:
    """Makes shops; ``rank`` and other stages' settings and fields of ``PathSettings`` may be given."""

    def make(scorer: Scorer | None = None, **changed: Any) -> Shop:
        return Shop(SMALL._replace(**changed), scorer)

    return make


@pytest.fixture(scope="session")
def crowd() -> Callable[[Shop], Shop]:
    """Lets five shoppers look at a, b, c and d one after the other, less and less of them."""

    def visit(shop: Shop) -> Shop:
        from schemas.events import Browse

        for user in range(5):
            for n, item in enumerate("abcd"[: 2 + user % 3]):
                shop.take(Browse, f"u{user}", item_id=item, category=f"c{n % 2}", brand="x", price=10.0 + n)
        return shop

    return visit
