"""Workers load what is promoted, off the event loop, and go on with what they have when it is broken."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from schemas import topics
from schemas.snapshots import About, Manifest
from streams.broker import KafkaBroker
from streams.follow import FollowedRecord, Follower
from streams.snapshots.errors import SnapshotBrokenError, StoreUnreachableError
from streams.snapshots.follow import PromotedModel
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.store import Part, Snapshot, SnapshotStore
from streams.snapshots.versions import VersionRecord, Versions

PATIENCE_S = 30.0
ABOUT = About(model="embedding", features=2, settings={})


class GatedStore(SnapshotStore):
    """One whose reads wait for ``gate``, and fail as often as ``n_failures`` says."""

    def __init__(self, url: str) -> None:
        super().__init__(SnapshotSettings(url=url))
        self.gate = threading.Event()
        self.gate.set()
        self.reads: list[str] = []
        self.threads: set[int] = set()
        self.n_failures = 0

    def read(self, version: str, checksum: str | None = None) -> Snapshot:
        self.reads.append(version)
        self.threads.add(threading.get_ident())
        assert self.gate.wait(PATIENCE_S)
        if self.n_failures:
            self.n_failures -= 1
            raise StoreUnreachableError("The store is away.", fix="Wait.")
        return super().read(version, checksum)


class Bench:
    """A worker's end: a store with versions, the topic as a ``Versions`` of its own, and what was handed over."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.store = GatedStore(str(folder))
        self.told = Versions()
        self.served: list[tuple[str, float]] = []
        self.failures: list[BaseException] = []
        self.model = PromotedModel(self.store, self.serve, self.failures.append, **more)
        self.loop_thread = threading.get_ident()

    def write(self, value: float) -> str:
        vectors = np.full((3, 4), value, np.float32)
        version = self.store.write(Part({"vectors": vectors}, {"items": ["a", "b", "c"]}), ABOUT).version
        self._tell(VersionRecord.of(self.store.announcement(version)))
        return version

    def promote(self, version: str) -> None:
        self._tell(VersionRecord.of(self.told.promotion(version, actor="me", detail="by hand", time_ms=1)))

    def serve(self, manifest: Manifest, snapshot: Snapshot) -> None:
        assert threading.get_ident() == self.loop_thread
        assert snapshot.names == {"items": ["a", "b", "c"]}
        self.served.append((manifest.version, float(snapshot.arrays["vectors"][0, 0])))

    async def settled(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.model.loading:
                await asyncio.sleep(0.005)

    async def reading(self, n: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.store.reads) < n:
                await asyncio.sleep(0.005)

    def _tell(self, record: VersionRecord) -> None:
        self.told.hear(record.key, record.value)
        self.model.apply([FollowedRecord(record.topic, 0, 0, 0, record.key, record.value, ())])


@pytest.fixture
def on_loop(tmp_path: Path) -> Callable[..., Bench]:
    """Runs ``scenario(bench)`` on an event loop."""

    def run(scenario: Callable[[Bench], Awaitable[None]], **more: Any) -> Bench:
        async def main() -> Bench:
            bench = Bench(tmp_path, **more)
            await scenario(bench)
            await bench.settled()
            return bench

        return asyncio.run(main())

    return run


def test_what_is_promoted_is_handed_over_once(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        version = bench.write(1.0)
        await bench.settled()
        assert bench.served == []
        for _ in range(3):
            bench.promote(version)
            await bench.settled()
        assert bench.served == [(version, 1.0)]
        assert bench.model.serving == version
        bench.promote(bench.write(2.0))

    bench = on_loop(scenario)
    assert [value for _, value in bench.served] == [1.0, 2.0]
    assert bench.loop_thread not in bench.store.threads


def test_the_event_loop_turns_while_a_snapshot_is_read(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.store.gate.clear()
        bench.promote(bench.write(1.0))
        await bench.reading(1)  # turns the loop, or never ends
        assert bench.model.loading
        assert bench.served == []
        bench.store.gate.set()

    assert len(on_loop(scenario).served) == 1


def test_of_several_promotions_in_a_row_the_last_is_handed_over(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.store.gate.clear()
        versions = [bench.write(float(i)) for i in range(5)]
        bench.promote(versions[0])
        await bench.reading(1)
        for version in versions[1:]:
            bench.promote(version)
        bench.store.gate.set()
        await bench.settled()
        assert bench.served == [(versions[4], 4.0)]
        assert bench.store.reads == [versions[0], versions[4]]

    on_loop(scenario)


def test_going_back_to_what_serves_while_another_is_read_hands_nothing_over(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        one, other = bench.write(1.0), bench.write(2.0)
        bench.promote(one)
        await bench.settled()
        bench.store.gate.clear()
        bench.promote(other)
        await bench.reading(2)
        bench.promote(one)
        bench.store.gate.set()
        await bench.settled()
        assert bench.served == [(one, 1.0)]
        assert bench.model.serving == one

    on_loop(scenario)


def test_a_broken_snapshot_is_logged_and_counted_once_and_the_old_one_serves(
    on_loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: Bench) -> None:
        good, bad = bench.write(1.0), bench.write(2.0)
        bench.promote(good)
        await bench.settled()
        (tmp_path / bad / "model.safetensors").write_bytes(b"nothing")
        bench.promote(bad)
        await bench.settled()
        bench.model.apply([])
        bench.write(3.0)  # any other record
        await bench.settled()
        assert (bench.model.serving, bench.model.n_broken) == (good, 1)
        assert bench.served == [(good, 1.0)]
        bench.promote(bench.write(4.0))

    with caplog.at_level(logging.ERROR, "streams.snapshots.follow"):
        bench = on_loop(scenario)
    assert [value for _, value in bench.served] == [1.0, 4.0]
    (record,) = caplog.records
    assert "snapshot_refused" in record.message
    assert "fix:" in record.message
    assert bench.failures == []


def test_a_snapshot_that_is_gone_leaves_the_old_one(on_loop: Any, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        good, gone = bench.write(1.0), bench.write(2.0)
        bench.promote(good)
        await bench.settled()
        (tmp_path / gone / "manifest.json").unlink()
        bench.promote(gone)
        await bench.settled()
        assert (bench.model.serving, bench.model.n_broken) == (good, 1)

    on_loop(scenario)


def test_a_manifest_other_than_the_announced_one_is_refused(on_loop: Any, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        version = bench.write(1.0)
        path = tmp_path / version / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b'"features": 2', b'"features": 3'))
        bench.promote(version)
        await bench.settled()
        assert (bench.served, bench.model.n_broken) == ([], 1)

    on_loop(scenario)


def test_a_store_that_is_away_is_asked_again_and_not_for_ever(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.store.n_failures = 2
        version = bench.write(1.0)
        bench.promote(version)
        await bench.settled()
        assert bench.served == [(version, 1.0)]
        bench.store.n_failures = 3
        bench.promote(bench.write(2.0))
        await bench.settled()
        assert (bench.model.serving, bench.model.n_broken) == (version, 1)
        assert len(bench.store.reads) == 6

    on_loop(scenario, retries_s=(0.0, 0.0))


def test_news_end_the_wait_for_a_store_that_is_away(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.store.n_failures = 1
        bench.promote(bench.write(1.0))
        await bench.reading(1)
        newer = bench.write(2.0)
        bench.promote(newer)
        await bench.settled()
        assert bench.served == [(newer, 2.0)]

    on_loop(scenario, retries_s=(10 * PATIENCE_S,))


def test_what_serve_refuses_is_counted_and_what_it_fails_of_is_passed_on(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        refuse: list[BaseException] = [
            SnapshotBrokenError.of("manifest.json", "features 1", "2"),
            ZeroDivisionError("on purpose"),
        ]

        def serve(*_: object) -> None:
            raise refuse.pop(0)

        model = PromotedModel(bench.store, serve, bench.failures.append)
        bench.model = model
        bench.promote(bench.write(1.0))
        await bench.settled()
        assert (model.serving, model.n_broken, bench.failures) == (None, 1, [])
        bench.promote(bench.write(2.0))
        await bench.settled()
        assert [type(error) for error in bench.failures] == [ZeroDivisionError]

    on_loop(scenario)


def test_stopping_drops_what_is_being_read(on_loop: Any) -> None:
    async def scenario(bench: Bench) -> None:
        bench.store.gate.clear()
        bench.promote(bench.write(1.0))
        await bench.reading(1)
        await bench.model.stop()
        bench.store.gate.set()
        assert not bench.model.loading
        assert bench.served == []

    bench = on_loop(scenario)
    assert bench.served == []


def test_it_follows_the_topic_on_a_broker(kafka: KafkaBroker, make_topic: Any, on_loop: Any) -> None:
    topic = make_topic("versions", partitions=1, cleanup_policy="compact")
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

    async def scenario(bench: Bench) -> None:
        versions = [bench.write(float(i)) for i in range(2)]
        for version in versions:
            promoted = bench.told.promotion(version, actor="me", detail="by hand", time_ms=1)
            record = VersionRecord.of(promoted)
            producer.produce(topic, record.value, record.key)
        await asyncio.to_thread(producer.flush)
        conf = {"bootstrap.servers": kafka.bootstrap_servers}
        follower = Follower(conf, [topic], bench.model.apply, bench.failures.append)
        follower.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await follower.caught_up
            await bench.settled()
        finally:
            await asyncio.to_thread(follower.stop)
        assert bench.served[-1] == (versions[1], 1.0)

    assert on_loop(scenario).failures == []


def test_the_topic_is_the_one_of_the_catalogue() -> None:
    topic = topics.topic(topics.VERSIONS)
    assert (topic.partitions, topic.cleanup, topic.internal) == (1, "compact", False)
