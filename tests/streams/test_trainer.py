"""A trainer beside a worker on a real broker: what it learns serves, and killed it goes on where it was."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from chaos import WorkerProcess, wait_for
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from topic_content import all_of

from models.retrieve.contract import Interactions
from schemas import topics
from schemas.audit import AuditEntry
from schemas.events import Browse
from schemas.outputs import Slate
from schemas.snapshots import Announced, Manifest
from streams import kafka_admin
from streams.broker import KafkaBroker
from streams.engine.outbox import Outbox
from streams.settings import Settings, load
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.store import SnapshotStore
from streams.snapshots.versions import Versions

pytest.importorskip("torch")

from streams.trainer import Trainer

N, STEPS = 40, 6
"""Shoppers look at six neighbours in a ring of forty items: five examples each."""
SMALL = {
    "RILLET_EMBED__ENABLED": "true",
    "RILLET_EMBED__DIM": "16",
    "RILLET_EMBED__LENGTH": "4",
    "RILLET_EMBED__ONLINE_BATCH": "32",
    "RILLET_EMBED__ONLINE_RATE": "0.01",
    "RILLET_EMBED__MIN_COUNT": "1",
    "RILLET_EMBED__SNAPSHOT_S": "2",
    "RILLET_EMBED__JURY_SHARE": "0",
    "RILLET_RANK__FILTER_VIEWED": "false",
}


def rounds(n_users: int, name: str) -> Iterator[Browse]:
    """Side by side, so that a user's events are a while apart in the topic."""
    now_ms = int(time.time() * 1000)
    for step in range(STEPS):
        for user in range(n_users):
            yield browse(f"{name}-{user}", (7 * user + step) % N, now_ms + 1_000 * step)


def browse(user: str, item: int, time_ms: int) -> Browse:
    return Browse(event_id=f"{user} {item} {time_ms}", user_id=user, time_ms=time_ms, item_id=f"i{item}")


class Shop:
    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 1, "log_level": 0}
        )

    def send(self, events: Iterator[Browse] | Sequence[Browse]) -> None:
        for event in events:
            self._producer.produce(
                topics.BROWSE, msgspec.json.encode(event), event.user_id.encode(), timestamp=event.time_ms
            )
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def slate_of(self, event: Browse) -> Slate:
        """That a new event causes."""
        reader = Consumer({"bootstrap.servers": self._servers, "group.id": "reader"})
        partitions = reader.list_topics(topics.SLATES, timeout=10).topics[topics.SLATES].partitions
        reader.assign([TopicPartition(topics.SLATES, p, OFFSET_END) for p in partitions])
        reader.consume(1, 1.0)
        self.send([event])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for message in reader.consume(100, 0.1):
                if not message.error():
                    slate = msgspec.json.decode(message.value(), type=Slate)
                    if slate.event_id == event.event_id:
                        reader.close()
                        return slate
        raise AssertionError("no slate came")


def versions(servers: str) -> Versions:
    found = Versions()
    for record in all_of(servers, topics.VERSIONS):
        found.hear(record.key, record.value)
    return found


def newest(servers: str) -> Announced | None:
    return next(iter(versions(servers).newest_first()), None)


def learned(servers: str, n_examples: int) -> Callable[[], Announced | None]:
    """The newest version once it has learned as many examples."""

    def found() -> Announced | None:
        announced = newest(servers)
        return announced if announced and announced.metrics["n_examples"] >= n_examples else None

    return found


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_what_the_trainer_learns_serves_and_a_kill_counts_nothing_twice(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    servers, shop = own_kafka.bootstrap_servers, Shop(own_kafka.bootstrap_servers)
    url = str(tmp_path / "models")
    extra = {**SMALL, "RILLET_SNAPSHOTS__URL": url}
    for name in ("worker", "trainer"):
        (tmp_path / name).mkdir()
    worker = WorkerProcess(servers, "shop", "one", tmp_path / "worker", extra)
    trainer = WorkerProcess(servers, "shop", "trainer", tmp_path / "trainer", extra, "trainer")
    with worker.start(), trainer.start():
        wait_for(worker.ready, "the worker is ready", worker=worker)
        shop.send(rounds(1_000, "first"))
        first = wait_for(learned(servers, 5_000), "a version of all that was sent", worker=trainer)
        assert first.metrics["n_examples"] == 5_000

        now_ms = int(time.time() * 1000)
        wait_for(lambda: serves(shop, servers, now_ms), "the promoted version serves", worker=worker)
        slate = shop.slate_of(browse("new", 11, now_ms))
        assert "i12" in [item.item_id for item in slate.items[:3]]
        said = {reason.source for item in slate.items for reason in item.reasons}
        assert "embedding" in said

        trainer.kill()
        shop.send(rounds(300, "second"))
        trainer.start()
        again = wait_for(learned(servers, 6_500), "it has learned the rest", worker=trainer)
        assert again.metrics["n_examples"] == 6_500, "each once"
        assert again.parent is not None
        assert trainer.stop() == 0
        assert worker.stop() == 0

    store = SnapshotStore(SnapshotSettings(url=url))
    snapshot = store.read(again.version, again.checksum)
    assert sorted(snapshot.names["items"]) == sorted(f"i{item}" for item in range(N))
    read_to = {each.partition: each.offset for each in snapshot.manifest.offsets}
    assert sum(read_to.values()) == len(all_of(servers, topics.INTERACTIONS))
    entries = [
        msgspec.json.decode(each.value or b"", type=AuditEntry) for each in all_of(servers, topics.AUDIT)
    ]
    assert {each.action for each in entries if each.actor == "rillet trainer"} == {"promotion"}


@pytest.mark.kafka
def test_a_version_waits_for_a_broker_that_left_and_is_announced_before_it_is_promoted(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    settings = small(own_kafka.bootstrap_servers, str(tmp_path / "models"))
    kafka_admin.ensure(settings)
    failures: list[BaseException] = []
    trainer = learning(settings, failures.append)
    outbox = Outbox(settings.kafka.client_conf())

    async def main() -> Manifest:
        own_kafka.stop()
        telling = asyncio.create_task(trainer.tell(outbox))
        async with asyncio.timeout(30):
            while not trainer.versions.announced:
                await asyncio.sleep(0.01)
        trainer.learner.observe(looks(100))  # learning goes on
        done, _ = await asyncio.wait([telling], timeout=1.0)
        assert not done
        assert trainer.versions.promoted is None
        assert len(outbox) == 1, "no promotion of what is not announced"
        await asyncio.to_thread(own_kafka.start)
        return await telling

    try:
        manifest = asyncio.run(main())
    finally:
        assert outbox.close() == 0
    found = versions(own_kafka.bootstrap_servers)
    assert list(found.announced) == [manifest.version]
    assert found.promoted is not None
    assert found.promoted.version == manifest.version
    assert trainer.store.read(manifest.version, found.promoted.checksum).manifest == manifest
    assert failures == []


@pytest.mark.kafka
def test_what_a_store_that_was_away_missed_is_in_the_next_version(
    own_kafka: KafkaBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "models"
    place.write_text("no folder")
    settings = small(own_kafka.bootstrap_servers, str(place))
    failures: list[BaseException] = []
    trainer = learning(settings, failures.append)

    async def main() -> None:
        running = asyncio.create_task(trainer.run())
        async with asyncio.timeout(60):
            while "snapshot_delayed" not in caplog.text:
                await asyncio.sleep(0.05)
            place.unlink()
            while trainer.versions.promoted is None:
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])

    kafka_admin.ensure(settings)
    asyncio.run(main())
    found = newest(own_kafka.bootstrap_servers)
    assert found is not None
    assert found.metrics["n_examples"] == trainer.learner.n_examples
    assert failures == []


@pytest.mark.kafka
@pytest.mark.parametrize("broken", [False, True])
def test_a_promoted_version_that_cannot_be_compared_is_passed_over(
    broken: bool, own_kafka: KafkaBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = tmp_path / "models"
    before = small(own_kafka.bootstrap_servers, str(url))
    kafka_admin.ensure(before)
    outbox = Outbox(before.kafka.client_conf())
    first = asyncio.run(learning(before, print).tell(outbox))
    if broken:
        for file in url.rglob("*.safetensors"):
            file.write_bytes(b"nonsense")
    trainer = learning(before if broken else small(own_kafka.bootstrap_servers, str(url), dim="24"), print)
    for record in all_of(own_kafka.bootstrap_servers, topics.VERSIONS):
        trainer.versions.hear(record.key, record.value)
    second = asyncio.run(trainer.tell(outbox))
    assert outbox.close() == 0
    promoted = versions(own_kafka.bootstrap_servers).promoted
    assert promoted is not None
    assert (promoted.version, promoted.previous) == (second.version, [first.version])
    assert ("promoted_passed_over" if broken else "promoted_of_other_settings") in caplog.text


def small(servers: str, url: str, dim: str = "16") -> Settings:
    changed = {"RILLET_BOOTSTRAP_SERVERS": servers, "RILLET_SNAPSHOTS__URL": url, "RILLET_EMBED__DIM": dim}
    return load(environ={**SMALL, **changed})


def learning(settings: Settings, on_failure: Callable[[BaseException], None]) -> Trainer:
    """It has learned of all items."""
    trainer = Trainer(settings, on_failure)
    trainer.knowledge.vocabularies.items.encode([f"i{item}" for item in range(N)])
    trainer.learner.observe(looks(3_000))
    return trainer


def looks(n: int) -> Interactions:
    """Of users who go around a ring of items."""
    each = np.arange(n)
    return Interactions(
        user=(each % 50).astype(np.uint64),
        session=np.zeros(n, np.uint64),
        item=((each // 50 + each % 50) % N).astype(np.int32),
        kind=np.ones(n, np.uint8),
        time_s=each * 10.0,
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


def serves(shop: Shop, servers: str, now_ms: int) -> bool:
    """Whether a slate names the version that is promoted."""
    promoted = versions(servers).promoted
    slate = shop.slate_of(browse(f"probe {time.monotonic()}", 3, now_ms))  # of one event comes no example
    return promoted is not None and slate.model_version.endswith(f"/{promoted.version}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_a_helper_works_for_the_trainer_and_ends_with_it(own_kafka: KafkaBroker, tmp_path: Path) -> None:
    servers, shop = own_kafka.bootstrap_servers, Shop(own_kafka.bootstrap_servers)
    extra = {
        **SMALL,
        "RILLET_SNAPSHOTS__URL": str(tmp_path / "models"),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    alone = {**extra, "WORLD_SIZE": "1"}
    worker = WorkerProcess(servers, "shop", "one", tmp_path, alone)
    leader = WorkerProcess(servers, "shop", "leader", tmp_path, {**extra, "RANK": "0"}, "trainer")
    helper = WorkerProcess(servers, "shop", "helper", tmp_path, {**extra, "RANK": "1"}, "trainer")
    with worker.start(), leader.start(), helper.start():
        wait_for(worker.ready, "the worker is ready", worker=worker)
        shop.send(rounds(300, "first"))
        version = wait_for(learned(servers, 1_500), "a version of all that was sent", worker=leader)
        assert version.metrics["n_examples"] == 1_500
        assert leader.stop() == 0
        assert helper.process is not None
        assert helper.process.wait(30) == 0
        steps = int(helper.log_path.read_text().rpartition("steps=")[2])
        assert 3 <= steps <= 1_500 // 32 + 1
        assert worker.stop() == 0
