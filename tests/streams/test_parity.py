"""What a worker publishes over a log is what ``evaluate`` says it would have published."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from chaos import WorkerProcess, shop_events, wait_for
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from models.evaluate.of_path import OfPath
from models.path import Path as PurePath
from schemas import topics
from schemas.events import AnyEvent
from schemas.outputs import Slate
from streams.broker import KafkaBroker
from streams.log import read_log
from streams.settings import Settings

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
N = 300
START_MS = 1_700_000_000_000


def simulated() -> list[AnyEvent]:
    return [event for _, event in shop_events(N, n_users=40, seed=5, start_ms=START_MS)]


def real() -> list[AnyEvent]:
    path = DATA / "rees46-sample" / "events.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return [each.event for each in islice(read_log(path, "rees46-sample"), N)]


@pytest.fixture
def worker(own_kafka: KafkaBroker, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(own_kafka.bootstrap_servers, "parity", "w1", tmp_path).start() as started:
        wait_for(started.ready, "the worker is ready", worker=started)
        yield started


class Online:
    """Sends one event at a time and waits for what it causes, so that their order is that of the log."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 0}
        )
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "parity-reader", "fetch.wait.max.ms": 5}
        )
        partitions = self._consumer.list_topics(topics.SLATES, timeout=10).topics[topics.SLATES].partitions
        self._consumer.assign([TopicPartition(topics.SLATES, p, OFFSET_BEGINNING) for p in partitions])

    def slates(self, events: Sequence[AnyEvent]) -> list[Slate]:
        return [self._slate(event) for event in events]

    def _slate(self, event: AnyEvent) -> Slate:
        self._producer.produce(
            topics.of_event(event),
            msgspec.json.encode(event),
            event.user_id.encode(),
            timestamp=event.time_ms,
        )
        self._producer.flush()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            message = self._consumer.poll(0.5)
            if message is not None and not message.error():
                slate = msgspec.json.decode(message.value(), type=Slate)
                if slate.event_id == event.event_id:
                    return slate
        raise AssertionError(f"no slate answers {event}")

    def close(self) -> None:
        self._consumer.close()


def told(slate: Slate) -> tuple[object, ...]:
    """All of a slate but when and from which record it was made."""
    return (
        slate.event_id,
        slate.user_id,
        slate.items,
        slate.model_version,
        slate.cold_start,
        slate.event_time_ms,
    )


@pytest.mark.kafka
@pytest.mark.parametrize("log", [simulated, real])
def test_slates_of_a_worker_and_of_evaluate_are_the_same(
    own_kafka: KafkaBroker, worker: WorkerProcess, log: Callable[[], list[AnyEvent]]
) -> None:
    events = log()
    online = Online(own_kafka.bootstrap_servers)
    published = online.slates(events)
    online.close()
    offline = OfPath(PurePath(Settings().path()))
    computed = [slate for event in events for slate in offline.slates([event], learn=True)]
    assert sum(bool(slate.items) for slate in published) > N // 2
    assert [told(slate) for slate in computed if slate] == [told(slate) for slate in published]
