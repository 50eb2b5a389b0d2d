"""Followers on a real broker: what was there is applied before ``caught_up``, what comes later as well."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from streams.follow import FollowedRecord, Follower

PATIENCE_S = 30.0


class Applied:
    """What a follower applied, and the failure it reported; both can be waited for on the loop."""

    def __init__(self) -> None:
        self.records: list[FollowedRecord] = []
        self.failures: list[BaseException] = []
        self.threads: set[int] = set()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def apply(self, records: Sequence[FollowedRecord]) -> None:
        self.records += records
        self.threads.add(threading.get_ident())
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        self.failures.append(error)
        self._loop.call_soon_threadsafe(self._changed.set)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


@pytest.fixture
def send(kafka: Any) -> Callable[..., None]:
    """Writes (key, value) pairs, and returns when the broker has them."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})

    def write(topic: str, *pairs: tuple[bytes, bytes | None], partition: int = 0, **more: Any) -> None:
        for key, value in pairs:
            producer.produce(topic, value, key, partition=partition, **more)
        assert producer.flush(30) == 0

    return write


@pytest.fixture
def follow(kafka: Any) -> Callable[..., None]:
    """Runs ``scenario(follower, applied)`` around a started follower, which is stopped at the end."""

    def run(
        topics: Sequence[str],
        scenario: Callable[[Follower, Applied], Awaitable[None]],
        apply: Callable[[Sequence[FollowedRecord]], None] | None = None,
        **more: Any,
    ) -> Applied:
        async def main() -> Applied:
            applied = Applied()
            settings = {"bootstrap.servers": kafka.bootstrap_servers}
            follower = Follower(settings, topics, apply or applied.apply, applied.fail, **more)
            follower.start()
            try:
                await scenario(follower, applied)
            finally:
                await asyncio.to_thread(follower.stop)
            assert not follower._thread.is_alive()
            return applied

        return asyncio.run(main())

    return run


async def catch_up(follower: Follower, applied: Applied) -> None:
    follower.caught_up.add_done_callback(lambda _: applied._changed.set())
    await applied.until(lambda: follower.caught_up.done() or applied.failures)
    assert applied.failures == []


def test_it_has_caught_up_when_all_that_was_there_is_applied(make_topic: Any, send: Any, follow: Any) -> None:
    topic = make_topic("follow", partitions=3)
    for partition in range(3):
        send(topic, *((b"k%d" % i, b"%d" % i) for i in range(500)), partition=partition)
    applied = follow([topic], catch_up, max_batch=100)
    assert len(applied.records) == 1_500
    for partition in range(3):
        mine = [record for record in applied.records if record.partition == partition]
        assert [record.offset for record in mine] == list(range(500))
        assert [record.value for record in mine] == [b"%d" % i for i in range(500)]
    assert applied.failures == []


def test_records_arrive_whole(make_topic: Any, send: Any, follow: Any) -> None:
    topic = make_topic("follow", partitions=1)
    send(topic, (b"k", b"v"), timestamp=1_700_000_000_123, headers=[("h", b"1"), ("h", b"2")])
    send(topic, (b"gone", None))
    assert follow([topic], catch_up).records[0] == FollowedRecord(
        topic, 0, 0, 1_700_000_000_123, b"k", b"v", [("h", b"1"), ("h", b"2")]
    )
    assert follow([topic], catch_up).records[1][4:] == (b"gone", None, ())


def test_it_begins_where_it_is_told_to_and_elsewhere_at_the_beginning(
    make_topic: Any, send: Any, follow: Any
) -> None:
    topic = make_topic("follow", partitions=2)
    for partition in range(2):
        send(topic, *((b"k", b"%d" % i) for i in range(5)), partition=partition)
    applied = follow([topic], catch_up, starts={(topic, 1): 3})
    assert sorted((record.partition, record.offset) for record in applied.records) == [
        *((0, offset) for offset in range(5)),
        (1, 3),
        (1, 4),
    ]


def test_empty_topics_are_caught_up_with_at_once(make_topic: Any, follow: Any) -> None:
    assert follow([make_topic("follow"), make_topic("follow")], catch_up).records == []


def test_it_goes_on_with_what_comes_later(make_topic: Any, send: Any, follow: Any) -> None:
    one, other = make_topic("follow", partitions=1), make_topic("follow", partitions=1)
    send(one, (b"k", b"before"))

    async def scenario(follower: Follower, applied: Applied) -> None:
        await catch_up(follower, applied)
        await asyncio.to_thread(send, other, (b"k", b"after"))
        await applied.until(lambda: len(applied.records) == 2)

    assert follow([one, other], scenario).values == [b"before", b"after"]


def test_records_are_applied_on_the_event_loop(make_topic: Any, send: Any, follow: Any) -> None:
    topic = make_topic("follow", partitions=1)
    send(topic, (b"k", b"v"))
    assert follow([topic], catch_up).threads == {threading.get_ident()}


def test_what_cannot_be_applied_is_reported_and_ends_it(make_topic: Any, send: Any, follow: Any) -> None:
    topic = make_topic("follow", partitions=1)
    send(topic, (b"k", b"v"))
    error = ValueError("no facts")

    def refuse(_: Sequence[FollowedRecord]) -> None:
        raise error

    async def scenario(follower: Follower, applied: Applied) -> None:
        await applied.until(lambda: applied.failures)
        await asyncio.to_thread(follower._thread.join, PATIENCE_S)
        assert not follower.caught_up.done()

    assert follow([topic], scenario, apply=refuse).failures == [error]


def test_a_topic_that_is_not_there_is_reported(
    unique: Any, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.follow.TOPIC_PATIENCE_S", 0.5)

    async def scenario(_: Follower, applied: Applied) -> None:
        await applied.until(lambda: applied.failures)

    (failure,) = follow([unique("absent")], scenario).failures
    assert isinstance(failure, KafkaException)
    assert "UNKNOWN_TOPIC_OR_PART" in str(failure)


def test_stopping_ends_it_while_nothing_comes(make_topic: Any, follow: Any) -> None:
    async def scenario(follower: Follower, applied: Applied) -> None:
        await catch_up(follower, applied)
        follower.stop()
        assert not follower._thread.is_alive()

    assert follow([make_topic("follow")], scenario).failures == []


def test_stopping_on_the_loop_ends_it_while_records_wait_to_be_applied(
    make_topic: Any, send: Any, follow: Any
) -> None:
    topic = make_topic("follow", partitions=1)
    send(topic, *((b"k", b"%d" % i) for i in range(5_000)))

    async def scenario(follower: Follower, applied: Applied) -> None:
        await applied.until(lambda: applied.records)
        # The loop is busy here, so the next batch waits for it for ever.
        follower.stop()
        assert not follower._thread.is_alive()

    assert follow([topic], scenario, max_batch=1).failures == []


def test_a_compacted_topic_gives_the_latest_of_each_key_and_its_tombstones(
    make_topic: Any, send: Any, follow: Any
) -> None:
    topic = make_topic("follow", partitions=1, cleanup_policy="compact")
    send(topic, (b"a", b"old"), (b"b", b"1"), (b"a", b"new"), (b"b", None))
    applied = follow([topic], catch_up)
    latest = {record.key: record.value for record in applied.records}
    assert latest == {b"a": b"new", b"b": None}


def test_it_starts_at_a_time(make_topic: Any, send: Any, follow: Any) -> None:
    topic = make_topic("follow", partitions=2)
    for at in (1_000, 2_000, 3_000):
        send(topic, (b"k", b"%d" % at), timestamp=1_700_000_000_000 + at)
    # Nothing on partition 1 is that young.
    send(topic, (b"k", b"old"), partition=1, timestamp=1_700_000_000_000)
    assert follow([topic], catch_up, since_ms=1_700_000_001_500).values == [b"2000", b"3000"]


def test_it_starts_at_a_time_on_an_embedded_broker_too_which_finds_none(embedded: str) -> None:
    producer = Producer({"bootstrap.servers": embedded})
    for value, at_ms in ((b"old", 1_700_000_000_000), (b"young", 1_700_000_002_000)):
        producer.produce("shop", value, b"k", timestamp=at_ms)
    assert producer.flush(30) == 0

    async def main() -> list[bytes | None]:
        applied, since_ms = Applied(), 1_700_000_001_000
        follower = Follower(
            {"bootstrap.servers": embedded}, ["shop"], applied.apply, applied.fail, since_ms=since_ms
        )
        follower.start()
        await asyncio.wait_for(follower.caught_up, PATIENCE_S)
        follower.stop()
        return applied.values

    assert asyncio.run(main()) == [b"young"]


def test_it_catches_up_with_transactions_whose_last_record_is_a_mark(
    kafka: Any, make_topic: Any, unique: Any, follow: Any
) -> None:
    topic = make_topic("follow", partitions=1)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": unique("transaction")}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"committed", b"k")
    producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce(topic, b"aborted", b"k")
    producer.flush(30)
    producer.abort_transaction(30)
    assert follow([topic], catch_up).values == [b"committed"]
