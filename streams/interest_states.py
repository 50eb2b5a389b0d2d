"""Users' interest states as the changelog of the interest table holds them: one by key, or all of them.

No worker is asked and none is disturbed. What is read is what recovery would make of the changelog: the newest value
of each key, unless it is older than the one before it by its offset stamps.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from rocksdict import Options, Rdict

from models.interest.codec import is_older
from schemas.topics import changelogs
from streams.broker import ping
from streams.engine.state import free, freed
from streams.errors import BrokerRefusedError, InputError
from streams.follow import FINAL_ERRORS
from streams.partitioner import partition_of
from streams.patience import edges
from streams.settings import Settings

TIMEOUT_S: Final = 30.0
BATCH: Final = 2_000


class Changed(NamedTuple):
    """A record of the changelog; ``done`` is how many offsets were passed up to it, all partitions together."""

    key: bytes
    value: bytes | None
    done: int


class Changelog:
    """A compacted topic, by default the changelog of the interest table, to the end that it had when it was opened."""

    def __init__(self, settings: Settings, topic: str | None = None) -> None:
        ping(settings.kafka.client_conf())
        self.topic = topic or changelogs(settings.worker.app_id)[0].name
        self._consumer = Consumer(
            {
                **settings.kafka.consumer(),
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 16_384,
                "log_level": 0,
            }
        )
        try:
            self._edges = self._watermarks()
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> "Changelog":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    @property
    def total(self) -> int:
        """Offsets to pass."""
        return sum(high - low for low, high in self._edges.values())

    def find(self, user_id: str) -> bytes | None:
        """The stored state of one user, from the partition where it lies."""
        key = user_id.encode()
        newest: bytes | None = None
        for changed in self.read([partition_of(key, len(self._edges))]):
            if changed.key == free(key):
                newest = later(changed.value, newest)
        return newest

    def read(self, partitions: list[int] | None = None) -> Iterator[Changed]:
        """Every record, each partition in order."""
        wanted = self._edges if partitions is None else {each: self._edges[each] for each in partitions}
        ends = {partition: high for partition, (low, high) in wanted.items() if high > low}
        begun = {partition: wanted[partition][0] for partition in ends}
        passed = dict.fromkeys(ends, 0)
        self._consumer.assign([TopicPartition(self.topic, each, OFFSET_BEGINNING) for each in ends])
        while ends:
            for message in self._fetch():
                partition, offset = message.partition(), message.offset()
                is_end = message.error() is not None
                if partition not in ends:
                    continue
                if not is_end and offset < ends[partition]:
                    passed[partition] = offset + 1 - begun[partition]
                    yield Changed(message.key() or b"", message.value(), sum(passed.values()))
                if offset + (not is_end) >= ends[partition]:
                    del ends[partition]

    def _fetch(self) -> list[Message]:
        """Records and ends of partitions, at least one."""
        first = self._consumer.poll(TIMEOUT_S)
        if first is None:
            raise self._refused(f"nothing came for {TIMEOUT_S:g} s")
        messages = [first, *self._consumer.consume(BATCH, 0)]
        for message in messages:
            error = message.error()
            if error is not None and (error.code() in FINAL_ERRORS or error.fatal()):
                raise self._refused(error.str())
        return [each for each in messages if each.error() is None or _is_end(each.error())]

    def _watermarks(self) -> dict[int, tuple[int, int]]:
        topic = self._consumer.list_topics(self.topic, timeout=TIMEOUT_S).topics[self.topic]
        if topic.error is not None:
            raise InputError(
                f"There is no topic {self.topic}: {topic.error.str()}",
                fix="Name the application as its workers do (worker.app_id, RILLET_APP_ID); "
                "`rillet topics create` creates what is missing.",
            )
        try:
            return {
                each: edges(self._consumer, self.topic, each, TIMEOUT_S) for each in sorted(topic.partitions)
            }
        except KafkaException as error:
            raise self._refused(error.args[0].str()) from error

    def _refused(self, cause: str) -> BrokerRefusedError:
        return BrokerRefusedError(
            f"{self.topic} cannot be read: {cause}", fix="Grant the user Describe and Read on the topic."
        )


def later(value: bytes | None, known: bytes | None) -> bytes | None:
    """Which of two values of a key recovery would keep; ``value`` comes behind ``known``."""
    return known if value and known and is_older(value, known) else value


@contextmanager
def newest(changelog: Changelog, on_done: Callable[[int], object]) -> Iterator[Iterator[tuple[bytes, bytes]]]:
    """User id and state of all users, in the order of their ids, held in a temporary RocksDB, not in memory."""
    with tempfile.TemporaryDirectory(prefix="rillet-states-") as folder:
        states = Rdict(str(Path(folder) / "newest"), options=Options(raw_mode=True))
        try:
            for changed in changelog.read():
                value = later(changed.value, states.get(changed.key))
                if value is None:
                    states.delete(changed.key)
                else:
                    states[changed.key] = value
                on_done(changed.done)
            yield ((freed(key), value) for key, value in states.items())
        finally:
            states.close()


def _is_end(error: KafkaError) -> bool:
    return bool(error.code() == KafkaError._PARTITION_EOF)
