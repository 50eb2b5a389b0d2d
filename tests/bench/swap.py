"""What a swap of the embedding model costs a worker under load, on real Kafka.

    PYTHONPATH=tests/support python tests/bench/swap.py --swaps 8

A shop of 10,000 items, a tenth of them launched on the way, sends at a steady rate. Every 20 s a version that a learner
made before is promoted as ``rillet models promote`` does it. Latency is that of ``latency.py``, by when the event was
sent: in the 8 s before a promotion was published, from then until 2 s after the first slate of the new version, and in
the 8 s after that. The first version, before which none serves, is told apart. A fetch is known by ``processed_ms``,
which its slates share.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from bench_result import quantiles, write
from chaos import WorkerProcess, wait_for
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from models.embed.jury import Jury
from models.embed.learner import Learner
from models.embed.portable import abroad
from models.knowledge.base import KnowledgeBase
from models.rank.features import VERSION
from models.retrieve.contract import Interactions
from models.simulate.settings import SimulateSettings
from models.simulate.shop import Shop
from schemas import topics
from schemas.catalog import Item
from schemas.snapshots import EMBEDDING, About, Announced
from streams.broker import kafka
from streams.settings import Settings, load
from streams.snapshots.decide import decide
from streams.snapshots.store import MODEL, Part, SnapshotStore
from streams.snapshots.versions import VersionRecord, Versions
from streams.trainer import SHAPE, Apprentice

WARM_UP_S = 30.0
EVERY_S, NEAR_S, SETTLED_S = 20.0, 8.0, 2.0
LEARNED_S = 60.0
"""Seconds of the shop that a version has learned more than the one before."""
TICK_S = 0.001


class Look(msgspec.Struct):
    """All that a learner is told of an event."""

    user_id: str = ""
    item_id: str = ""
    time_ms: int = 0
    event_id: str = ""


class Event(NamedTuple):
    """A record to be sent ``at_s`` after the start."""

    at_s: float
    topic: str
    key: bytes
    value: bytes | None
    time_ms: int


class Slate(msgspec.Struct):
    """All that is read of a slate."""

    event_id: str
    processed_ms: int
    model_version: str


class Read(NamedTuple):
    """A slate, when its event was sent and when it could be read, and the version of the embedding model."""

    sent_at: float
    read_at: float
    processed_ms: int
    version: str


class Subscriber(threading.Thread):
    """Notes when each slate could be read."""

    def __init__(self, servers: str) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer({"bootstrap.servers": servers, "group.id": "swap", "fetch.wait.max.ms": 10})
        partitions = self._consumer.list_topics(topics.SLATES, timeout=10).topics[topics.SLATES].partitions
        self._consumer.assign([TopicPartition(topics.SLATES, p, OFFSET_END) for p in partitions])
        self.read: list[tuple[float, bytes]] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and not message.error():
                self.read.append((time.perf_counter(), message.value()))
        self._consumer.close()


class Promoter(threading.Thread):
    """Promotes one version after the other."""

    def __init__(self, settings: Settings, announced: Sequence[Announced], begin_at: float) -> None:
        super().__init__(daemon=True)
        self._settings, self._announced, self._begin_at = settings, announced, begin_at
        self.published_at: dict[str, float] = {}
        """By version, when its promotion was about to be published."""

    def run(self) -> None:
        versions = Versions()
        producer = Producer(self._settings.kafka.producer())
        for n, announced in enumerate(self._announced):
            record = VersionRecord.of(announced)
            producer.produce(record.topic, record.value, record.key)
            producer.flush()
            versions.hear(record.key, record.value)
            promoted = versions.promotion(
                announced.version, actor="swap", detail="bench", time_ms=int(time.time() * 1000)
            )
            time.sleep(max(self._begin_at + n * EVERY_S - time.perf_counter(), 0.0))
            self.published_at[announced.version] = time.perf_counter()
            decide(self._settings, promoted, "promotion")
            told = VersionRecord.of(promoted)
            versions.hear(told.key, told.value)


def shop(settings: SimulateSettings, start_ms: int) -> Shop:
    return Shop(settings, np.random.default_rng(11), start_ms)


def learned(store: SnapshotStore, settings: Settings, simulated: SimulateSettings, n: int) -> list[Announced]:
    """Versions of which each has learned more than the one before."""
    torch.set_num_threads(1)
    knowledge = KnowledgeBase(settings.knowledge, settings.retrieve)
    n_items = settings.knowledge.max_items
    learner = Learner(settings.embed, n_items, knowledge.attributes, settings.interest)
    assert knowledge.embedding is not None
    knowledge.embedding.pupil = Apprentice(learner, Jury(settings.embed, n_items, settings.interest))
    visited = shop(simulated, 0)
    knowledge.describe([(item.item_id, item) for item in visited.catalogue() if isinstance(item, Item)])
    announced = []
    for version in range(1, n + 1):
        learner.observe(looks(visited, version * LEARNED_S, knowledge))
        about = About(
            model=EMBEDDING,
            features=VERSION,
            settings=settings.embed.model_dump(mode="json", include=SHAPE),
            metrics={"loss": learner.loss, "n_examples": float(learner.n_examples)},
        )
        manifest = store.write(Part(*abroad(learner.export(), knowledge.vocabularies)), about)
        announced.append(store.announcement(manifest.version))
    return announced


def looks(visited: Shop, until_s: float, knowledge: KnowledgeBase) -> Interactions:
    batch = visited.advance(until_s, int(until_s * 1000))
    decode = msgspec.json.Decoder(Look).decode
    seen = [
        decode(value)
        for topic, value in zip(batch.topics, batch.values, strict=True)
        if topic == topics.BROWSE and value is not None
    ]
    n = len(seen)
    return Interactions(
        user=np.array([hash(each.user_id) for each in seen]).astype(np.uint64),
        session=np.zeros(n, np.uint64),
        item=knowledge.vocabularies.items.encode([each.item_id for each in seen]),
        kind=np.ones(n, np.uint8),
        time_s=np.array([each.time_ms / 1000.0 for each in seen]),
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


def events(simulated: SimulateSettings, seconds: float, start_ms: int) -> Iterator[Event]:
    visited = shop(simulated, start_ms)
    for tick in range(int(seconds / 0.01)):
        at_s = (tick + 1) * 0.01
        batch = visited.advance(at_s, start_ms + int(at_s * 1000))
        for topic, key, value, time_ms in zip(
            batch.topics, batch.keys, batch.values, batch.time_ms, strict=True
        ):
            yield Event(at_s, topic, key, value, time_ms)


def fill_catalogue(servers: str, simulated: SimulateSettings) -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    for item in shop(simulated, int(time.time() * 1000)).catalogue():
        if isinstance(item, Item):
            producer.produce(topics.ITEMS, msgspec.json.encode(item), item.item_id.encode())
            producer.poll(0)
    producer.flush()


def send(servers: str, due: Sequence[Event], started: float) -> dict[str, float]:
    """When each event was sent, by its id."""
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "acks": "all", "linger.ms": 0}
    )
    decode = msgspec.json.Decoder(Look).decode
    ids = [decode(event.value).event_id if event.value else "" for event in due]
    sent_at: dict[str, float] = {}
    for event_id, event in zip(ids, due, strict=True):
        while time.perf_counter() - started < event.at_s:
            producer.poll(0)
            time.sleep(TICK_S)
        if event.topic in topics.BEHAVIOUR:
            sent_at[event_id] = time.perf_counter()
        producer.produce(event.topic, event.value, event.key, timestamp=event.time_ms)
    producer.flush()
    return sent_at


def measure(servers: str, settings: Settings, announced: Sequence[Announced], rate: float) -> dict[str, Any]:
    seconds = WARM_UP_S + len(announced) * EVERY_S
    simulated = simulation(rate)
    fill_catalogue(servers, simulated)
    due = list(events(simulated, seconds, int(time.time() * 1000)))
    subscriber = Subscriber(servers)
    started = time.perf_counter()
    promoter = Promoter(settings, announced, started + WARM_UP_S)
    subscriber.start()
    promoter.start()
    sent_at = send(servers, due, started)
    promoter.join()
    wait_for(lambda: time.perf_counter() - subscriber.read[-1][0] > 1.0, "quiet")
    subscriber.stopping.set()
    subscriber.join()
    decode = msgspec.json.Decoder(Slate).decode
    slates = [(at, decode(value)) for at, value in subscriber.read]
    read = [
        Read(sent_at[slate.event_id], at, slate.processed_ms, slate.model_version.partition("/")[2])
        for at, slate in slates
        if slate.event_id in sent_at
    ]
    return figures(read, promoter.published_at)


def figures(read: Sequence[Read], published_at: dict[str, float]) -> dict[str, Any]:
    swapped_at = {
        version: min((each.read_at for each in read if each.version == version), default=float("inf"))
        for version in published_at
    }
    first, *later = published_at
    versions_by_fetch: dict[int, set[str]] = defaultdict(set)
    for each in read:
        versions_by_fetch[each.processed_ms].add(each.version)
    return {
        "slates": len(read),
        "swaps": sum(at < float("inf") for at in swapped_at.values()),
        "published_to_first_slate_s": [round(swapped_at[v] - at, 3) for v, at in published_at.items()],
        "first_version": of_windows(read, [first], published_at, swapped_at),
        "later_versions": of_windows(read, later, published_at, swapped_at),
        "slates_by_version": dict(Counter(each.version or "none" for each in read)),
        "fetches": len(versions_by_fetch),
        "fetches_that_mix_versions": sum(len(found) > 1 for found in versions_by_fetch.values()),
    }


def of_windows(
    read: Sequence[Read],
    versions: Sequence[str],
    published_at: dict[str, float],
    swapped_at: dict[str, float],
) -> dict[str, Any]:
    windows: dict[str, Callable[[str], tuple[float, float]]] = {
        "before": lambda v: (published_at[v] - NEAR_S, published_at[v]),
        "during": lambda v: (published_at[v], swapped_at[v] + SETTLED_S),
        "after": lambda v: (swapped_at[v] + SETTLED_S, swapped_at[v] + SETTLED_S + NEAR_S),
    }
    return {name: of_spans(read, [window(v) for v in versions]) for name, window in windows.items()}


def of_spans(read: Sequence[Read], spans: Sequence[tuple[float, float]]) -> dict[str, Any]:
    latencies_ms, pauses_ms, seconds = [], [], 0.0
    for start, stop in spans:
        inside = [each for each in read if start <= each.sent_at < stop]
        latencies_ms += [(each.read_at - each.sent_at) * 1000 for each in inside]
        pauses_ms.append(np.diff(sorted(each.read_at for each in inside)).max(initial=0.0) * 1000)
        seconds += stop - start
    return {
        "slates_per_s": round(len(latencies_ms) / seconds),
        "latency": quantiles(latencies_ms, "ms"),
        "longest_pause_ms": round(float(max(pauses_ms)), 1),
    }


def simulation(rate: float) -> SimulateSettings:
    return SimulateSettings(n_items=10_000, n_shoppers=20_000, events_per_s=rate, rhythm=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=300.0, help="events a second")
    parser.add_argument("--swaps", type=int, default=8)
    arguments = parser.parse_args()
    with kafka() as broker, tempfile.TemporaryDirectory() as folder:
        servers, url = broker.bootstrap_servers, f"{folder}/models"
        extra = {"RILLET_EMBED__ENABLED": "true", "RILLET_SNAPSHOTS__URL": url}
        settings = load(environ={**extra, "RILLET_BOOTSTRAP_SERVERS": servers})
        store = SnapshotStore(settings.snapshots)
        announced = learned(store, settings, simulation(arguments.rate), arguments.swaps + 1)
        worker = WorkerProcess(servers, "swap", "w1", Path(folder), extra).start()
        wait_for(worker.ready, "the worker is ready", worker=worker)
        found = measure(servers, settings, announced, arguments.rate)
        worker.stop()
        n_items = store.manifest(announced[-1].version).parts[MODEL].n_names["items"]
    size = {"items": n_items, "snapshot_bytes": announced[-1].size_bytes}
    write("swap", {"events_per_s": arguments.rate, **size, **found})


if __name__ == "__main__":
    main()
