"""Reads one topic, from where it is told, and remembers what the application has taken.

Blocking, and for one thread at a time; ``feed`` and ``read_model`` put it behind an interface.

With a group, its members share the partitions and each goes on behind what was committed; without one, all partitions
are read. A record counts as taken when the next one is asked for, and only then may its offset be committed: what an
application was busy with when it died comes again.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.broker import is_embedded, ping
from streams.client.outputs import Output, UnreadableError
from streams.client.repeats import WINDOW, Repeats
from streams.errors import BrokerError, BrokerRefusedError, InputError
from streams.follow import FINAL_ERRORS, FollowedRecord
from streams.partitioner import partition_of
from streams.patience import edges, patiently

log = logging.getLogger(__name__)

T = TypeVar("T")

Since = datetime | Literal["beginning", "end"]
"""Where to begin: at a record's time (a datetime without zone is UTC), at the oldest record, or at what comes next."""

TIMEOUT_S: Final = 30.0
MAX_BATCH: Final = 100
"""Records fetched ahead. Those of a group must be taken within ``max.poll.interval.ms``, 5 minutes."""

NO_GROUP: Final = "rillet-client"
"""Kafka's client wants a group's name even where nothing is committed."""


REBALANCED: Final = (
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
)


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """One record; ``value`` is None where the key was removed."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: T | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What to read, and how."""

    conf: Mapping[str, Any]
    """How to connect: ``KafkaSettings.client_conf()``."""
    group: str | None = None
    since: Since = "end"
    """With a group: where it has committed nothing yet."""
    key: bytes | None = None
    """Only records with this key: one partition is read."""
    follow: bool = True
    """Otherwise the reading ends with what was there when it began."""
    window: int = WINDOW
    """Ids by which repeats are known; 0 lets them through."""


@dataclass
class Reader(Generic[T]):
    """Opened by the first ``next``; ``close`` commits what was taken. An error closes it as well."""

    output: Output[T]
    reading: Reading
    n_repeats: int = 0
    n_unreadable: int = 0
    _consumer: Consumer | None = None
    _fetched: deque[Message] = field(default_factory=deque)
    _last: Message | None = None
    _ends: dict[int, int] | None = None
    """By partition, the end that it had when reading began; reached ones are left out. None before that."""
    _since_ms: int | None = None
    """Of an embedded broker, which finds no time: what is older is passed over."""
    _closed: bool = False

    def __post_init__(self) -> None:
        since = self.reading.since
        if not isinstance(since, datetime) and since not in ("beginning", "end"):
            raise InputError(
                f"since={since!r} is no place to begin.", fix='Give "beginning", "end" or a datetime.'
            )
        self._repeats = Repeats(self.reading.window)

    def next(self, timeout_s: float) -> Record[T] | None:
        """The next record that is wanted, None when none came in time. The one before counts as taken."""
        if self._closed:
            return None
        if self._last is not None:
            self._take(self._last)
            self._last = None
        if not (self._fetched or self.ended):
            self._fetch_or_close(timeout_s)
        while self._fetched:
            message = self._fetched.popleft()
            record = self._wanted(message)
            if record is not None:
                self._last = message
                return record
            self._take(message)
        return None

    @property
    def has_fetched(self) -> bool:
        """Whether ``next`` need not wait."""
        return bool(self._fetched)

    @property
    def caught_up(self) -> bool:
        """Whether all that was there when reading began has been handed out."""
        return self._ends is not None and not self._ends and not self._fetched

    @property
    def ended(self) -> bool:
        """Whether nothing more will come, and what came was taken."""
        return self._closed or (not self.reading.follow and self.caught_up and self._last is None)

    def close(self) -> None:
        """Commit what was taken and let the group's other members have the partitions."""
        self._closed = True
        self._fetched.clear()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _wanted(self, message: Message) -> Record[T] | None:
        key = message.key()
        if self.reading.key is not None and key != self.reading.key:
            return None
        if self._since_ms is not None and message.timestamp()[1] < self._since_ms:
            return None
        raw = FollowedRecord.of(message)
        try:
            value = None if raw.value is None else self.output.decode(raw)
        except UnreadableError as error:
            self.n_unreadable += 1
            level = logging.WARNING if self.n_unreadable == 1 else logging.DEBUG
            log.log(level, "unreadable_record %s-%d-%d: %s", raw.topic, raw.partition, raw.offset, error)
            return None
        if self.reading.window and self._repeats.is_repeat(self.output.identify(raw, value)):
            self.n_repeats += 1
            return None
        return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, key, value)

    def _fetch_or_close(self, timeout_s: float) -> None:
        """A consumer that was refused half-way would wait for ever, or pass over what it had fetched."""
        try:
            self._fetch(timeout_s)
        except BrokerError:
            self.close()
            raise

    def _fetch(self, timeout_s: float) -> None:
        """What is there, or the first to come: ``consume`` alone would wait for a full batch."""
        consumer = self._consumer or self._open()
        try:
            first = consumer.poll(timeout_s)
            messages = () if first is None else (first, *consumer.consume(MAX_BATCH - 1, 0))
        except KafkaException as error:
            raise self._refused(error.args[0]) from error
        self._fetched.extend(message for message in messages if self._is_record(message))

    def _is_record(self, message: Message) -> bool:
        error, partition = message.error(), message.partition()
        if error is None:
            self._passed(partition, message.offset() + 1)
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._passed(partition, message.offset())
        elif error.code() in (*FINAL_ERRORS, KafkaError.GROUP_AUTHORIZATION_FAILED) or error.fatal():
            raise self._refused(error)
        else:
            log.warning("client_error topic=%s: %s", self.output.topic, error)
        return False

    def _passed(self, partition: int, offset: int) -> None:
        """Compacted records and transaction marks have offsets too: the end may come without a last record."""
        if self._ends and offset >= self._ends.get(partition, offset + 1):
            del self._ends[partition]

    def _take(self, message: Message) -> None:
        if self.reading.group is None or self._consumer is None:
            return
        try:
            self._consumer.store_offsets(message)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:  # the partition is another member's by now
                raise

    def _open(self) -> Consumer:
        cluster = ping(self.reading.conf)
        since = self.reading.since
        if is_embedded(cluster) and isinstance(since, datetime):
            self._since_ms = time_ms(since)
        group = self.reading.group
        consumer = self._consumer = Consumer(
            {
                **self.reading.conf,
                "group.id": group or NO_GROUP,
                "enable.auto.commit": group is not None,
                "enable.auto.offset.store": False,
                "auto.commit.interval.ms": 1000,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 16_384,
                "logger": log,
            }
        )
        try:
            partitions = self._partitions(consumer)
            if group is not None and self.reading.key is None:
                consumer.subscribe([self.output.topic], on_assign=self._assigned)
            else:
                consumer.assign(self._begin(consumer, partitions))
        except KafkaException as error:
            raise self._refused(error.args[0]) from error
        return consumer

    def _partitions(self, consumer: Consumer) -> list[int]:
        topic = consumer.list_topics(self.output.topic, timeout=TIMEOUT_S).topics[self.output.topic]
        if topic.error is not None:
            raise self._refused(topic.error)
        key = self.reading.key
        return sorted(topic.partitions) if key is None else [partition_of(key, len(topic.partitions))]

    def _assigned(self, consumer: Consumer, assigned: Sequence[TopicPartition]) -> None:
        consumer.assign(self._begin(consumer, [each.partition for each in assigned]))

    def _begin(self, consumer: Consumer, partitions: Sequence[int]) -> list[TopicPartition]:
        """Where to begin in each; notes the ends that are there now."""
        there = {each: edges(consumer, self.output.topic, each, TIMEOUT_S) for each in partitions}
        starts = self._starts(consumer, there)
        if self.reading.group is not None and partitions:
            starts |= self._committed(consumer, starts)
        self._ends = {each: high for each, (low, high) in there.items() if max(low, starts[each]) < high}
        return [self._at(each, start) for each, start in starts.items()]

    def _starts(self, consumer: Consumer, there: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Where ``since`` lies, by partition, within ``there``: the oldest offset and the next one."""
        since = self.reading.since
        if since == "beginning" or self._since_ms is not None:
            return {partition: low for partition, (low, _) in there.items()}
        starts = {partition: high for partition, (_, high) in there.items()}
        if isinstance(since, datetime) and starts:
            asked = [self._at(partition, time_ms(since)) for partition in starts]
            found = patiently(lambda: consumer.offsets_for_times(asked, timeout=TIMEOUT_S))
            starts |= {each.partition: each.offset for each in found if each.offset >= 0}
        return starts

    def _committed(self, consumer: Consumer, starts: Mapping[int, int]) -> dict[int, int]:
        """Where the group goes on. Where it never was, the start is committed at once: what comes before its first
        commit would be lost to the next run otherwise."""
        asked = [self._at(partition) for partition in starts]
        found = patiently(lambda: consumer.committed(asked, timeout=TIMEOUT_S))
        known = {each.partition: each.offset for each in found if each.offset >= 0}
        fresh = [self._at(partition, start) for partition, start in starts.items() if partition not in known]
        if fresh:
            self._commit(consumer, fresh)
        return known

    def _commit(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        try:
            patiently(lambda: consumer.commit(offsets=places, asynchronous=False))
        except KafkaException as error:
            if error.args[0].code() not in REBALANCED:  # then all are assigned anew, and we are asked again
                raise

    def _at(self, partition: int, offset: int = OFFSET_INVALID) -> TopicPartition:
        return TopicPartition(self.output.topic, partition, offset)

    def _refused(self, error: KafkaError) -> BrokerRefusedError:
        return BrokerRefusedError(
            f"The topic {self.output.topic} cannot be read: {error.str()}",
            fix="Create it with `rillet topics create`, or grant the user Describe and Read on it"
            + (f" and Read on the group {self.reading.group}." if self.reading.group else "."),
        )


def time_ms(moment: datetime) -> int:
    """Milliseconds since 1970; UTC where no zone is given."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
