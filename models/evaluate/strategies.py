"""Ways to choose the slates of a closed loop: the path of the agents, and yardsticks beside it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from typing import Protocol

from numpy.random import Generator

from models.absorb import SILENT
from models.evaluate.prequential import wanted
from models.ingest import Ingest, IngestCatalog
from models.ingest.record import Record
from models.ingest.settings import IngestSettings
from models.path import Path
from models.simulate.reading import ReadSlate
from models.simulate.shop import Shop
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent


class Strategy(Protocol):
    """A way to choose slates. It sees what a worker sees: records, never the truth."""

    def follow(self, records: Sequence[Record], now_ms: int) -> Sequence[ReadSlate]:
        """Take the records of a step, those of the catalogue first, and give a slate to each user that is due one."""


Contestant = Callable[[Shop, int], Strategy]
"""Makes a strategy for a shop, with a seed for what the strategy draws by itself."""


class OfPath:
    """The path of the agents, in the order of a worker: it learns, then serves. Keeps one state a user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ingest_catalog = IngestCatalog(path.settings.ingest)
        self._states: dict[bytes, bytes] = {}

    def follow(self, records: Sequence[Record], now_ms: int) -> list[ReadSlate]:
        """See ``Strategy``."""
        batches = by_topic(records)
        if items := batches.pop(topics.ITEMS, None):
            self.path.describe(_items(self._ingest_catalog, items))
        if not batches:
            return []
        absorbed = self.path.absorb(list(batches.values()), self._load, now_ms)
        for states in absorbed.states.values():
            self._states.update(states)
        self.path.learn(self.path.join(absorbed))
        slates = [served.slate for served in self.path.serve(absorbed.causes, now_ms)]
        return [
            ReadSlate(slate.user_id, slate.slate_id, [item.item_id for item in slate.items])
            for slate in slates
        ]

    def _load(self, _partition: int, keys: list[bytes]) -> list[bytes | None]:
        return [self._states.get(key) for key in keys]


class Yardstick:
    """Serves the users that a worker would serve; a subclass has ``_offers`` and may ``_learn``."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._ingest, self._ingest_catalog = Ingest(IngestSettings()), IngestCatalog(IngestSettings())
        self._available: dict[str, None] = {}
        self._n_slates = 0

    def follow(self, records: Sequence[Record], now_ms: int) -> list[ReadSlate]:  # noqa: ARG002
        """See ``Strategy``."""
        users: dict[str, None] = {}
        for topic, batch in by_topic(records).items():
            if topic == topics.ITEMS:
                self._describe(_items(self._ingest_catalog, batch))
                continue
            for event in (accepted.event for accepted in self._ingest(batch).accepted):
                self._learn(event)
                if not isinstance(event, SILENT):
                    users[event.user_id] = None
        return [self._slate(user_id, items) for user_id, items in self._offers(list(users)).items()]

    def _describe(self, items: list[tuple[str, Item | None]]) -> None:
        for item_id, item in items:
            if item is not None and item.available:
                self._available[item_id] = None
            else:
                self._available.pop(item_id, None)

    def _slate(self, user_id: str, items: Sequence[str]) -> ReadSlate:
        self._n_slates += 1
        return ReadSlate(user_id, f"yardstick-{self._n_slates}", items)

    def _learn(self, event: AnyEvent) -> None:
        """Take an event into account."""

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        """Items for each user, best first."""
        raise NotImplementedError


class Popular(Yardstick):
    """The items for sale that were wanted most so far, on a tie the one wanted first.

    ``unseen`` leaves out what the user wanted before. Keeps a count an item and, if so, the items of each user.
    """

    def __init__(self, k: int, *, unseen: bool = False) -> None:
        super().__init__(k)
        self._counts: Counter[str] = Counter()
        self._seen: dict[str, set[str]] = {}
        self._unseen = unseen

    def _learn(self, event: AnyEvent) -> None:
        items = wanted(event)
        self._counts.update(items)
        if self._unseen:
            self._seen.setdefault(event.user_id, set()).update(items)

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        counts = self._counts
        seen = {user_id: self._seen.get(user_id, set()) for user_id in user_ids}
        n = self._k + max(map(len, seen.values()), default=0)
        top = nlargest(n, (item for item in counts if item in self._available), key=counts.__getitem__)
        return {
            user_id: [item for item in top if item not in left_out][: self._k]
            for user_id, left_out in seen.items()
        }


class Random(Yardstick):
    """Any items for sale."""

    def __init__(self, k: int, rng: Generator) -> None:
        super().__init__(k)
        self._rng = rng

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        items = list(self._available)
        k = min(self._k, len(items))
        picks = self._rng.random((len(user_ids), len(items))).argsort(axis=1)[:, :k]
        return {
            user_id: [items[i] for i in row] for user_id, row in zip(user_ids, picks.tolist(), strict=True)
        }


class Asked(Yardstick):
    """What somebody else says, such as the shop itself: ``ask`` gives a list of k for each of some users."""

    def __init__(self, k: int, ask: Callable[[Sequence[str], int], list[list[str]]]) -> None:
        super().__init__(k)
        self._ask = ask

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        return dict(zip(user_ids, self._ask(user_ids, self._k), strict=True))


def by_topic(records: Iterable[Record]) -> dict[str, list[Record]]:
    """As a fetch brings them; the catalogue first, so that no event names an item that is not described."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.topic != topics.ITEMS):
        found.setdefault(record.topic, []).append(record)
    return found


def _items(ingest: IngestCatalog, records: Sequence[Record]) -> list[tuple[str, Item | None]]:
    return [(c.id, c.entry) for c in ingest(records).changes if c.entry is None or isinstance(c.entry, Item)]
