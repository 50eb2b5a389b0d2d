"""Carries a topic: micro-batches, delivered before their offsets are committed, so that nothing is lost.

After a crash at most one batch is carried twice, with the same event ids."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams import metrics
from streams.connect.hearing import Hearing
from streams.connect.outbox import Outbox
from streams.errors import BrokerRefusedError
from streams.follow import FINAL_ERRORS, FollowedRecord
from streams.log.records import Carried, Records
from streams.settings import KafkaSettings

BATCH: Final = 500
"""Records, at most: what a crash may carry twice."""
POLL_S: Final = 0.2
WAIT_S: Final = 0.5
MOVED: Final = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,
    KafkaError._STATE,
)
"""A commit came after its partitions had gone to another member, which carries the batch again."""
_LOG: Final = logging.getLogger(__name__)


@dataclass
class Totals:
    """Of one run. ``lag`` counts the records between what was carried and the ends."""

    n_records: int = 0
    n_left_out: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    """By topic, delivered."""
    n_lost: int = 0
    lag: int = 0
    seconds: float = 0.0

    @property
    def records_per_s(self) -> float:
        """Of this run."""
        return self.n_records / self.seconds if self.seconds else 0.0


class Connection:
    """One topic's way to the topics of Rillet. Without ``hearing`` no entries of the catalogue are sent.

    ``stop`` may come from a signal handler.
    """

    def __init__(
        self,
        source: KafkaSettings,
        topic: str,
        group: str,
        records: Records,
        outbox: Outbox,
        *,
        hearing: Hearing | None = None,
        since_ms: int | None = None,
        keep_refused: bool = False,
        max_per_user: int = 64,
        on_batch: Callable[[Totals], None] = lambda _: None,
    ) -> None:
        self._topic = topic
        self._read = records
        self._outbox = outbox
        self._since_ms = since_ms
        self._hearing = hearing
        self._keep_refused = keep_refused
        self._max_per_user = max_per_user
        self._on_batch = on_batch
        self._stopping = False
        self._ended: set[int] = set()
        self.totals = Totals()
        self._consumer = Consumer(
            {
                **source.consumer(),
                "group.id": group,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 16_384,
                "session.timeout.ms": 10_000,
                "log_level": 0,
            }
        )

    def stop(self) -> None:
        """End in order after the batch at hand; at once when asked twice."""
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True

    def run(self, *, once: bool = False) -> Totals:
        """Carry until ``stop`` is called, or, ``once``, until the end of the topic.

        Raises:
            BrokerRefusedError: the topic cannot be read, or what it becomes cannot be written.
        """
        began = time.monotonic()
        try:
            if self._hearing:
                self._hearing.begin(lambda: self._stopping)
            self._consumer.subscribe([self._topic], on_assign=self._begin, on_revoke=self._forget)
            while not self._stopping and not (once and self._at_the_end()):
                for part in self._parts(self._batch()):
                    if not self._carry(part):
                        break
                    self._commit([record for record, _ in part])
                self._hear()
                self.totals.seconds = time.monotonic() - began
                self.totals.lag = self._lag()
                metrics.CONNECT_LAG.labels(self._topic).set(self.totals.lag)
                self._on_batch(self.totals)
        finally:
            self._consumer.close()
            if self._hearing:
                self._hearing.close()
        return self.totals

    def _hear(self) -> None:
        """Set right what another member sent that is older than what was sent here."""
        if self._hearing and not self._stopping and self._hearing.catch_up():
            self._deliver()

    def _batch(self) -> list[FollowedRecord]:
        """What has come; waits a moment where nothing has."""
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(BATCH - 1, 0.0)]
        return [FollowedRecord.of(each) for each in messages if self._is_record(each)]

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            self._ended.discard(message.partition())
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add(message.partition())
        elif error.code() in (*FINAL_ERRORS, KafkaError.UNKNOWN_TOPIC_OR_PART) or error.fatal():
            raise BrokerRefusedError(
                f"{self._topic} cannot be read: {error.str()}.",
                fix="Check that it is there, and grant the user Read on it and on the consumer group.",
            )
        else:
            _LOG.warning("connect_error topic=%s: %s", self._topic, error)
        return False

    def _parts(self, batch: list[FollowedRecord]) -> Iterator[list[tuple[FollowedRecord, Carried]]]:
        """Cut so that a crash repeats at most ``max_per_user`` events of a user: no more than workers remember.

        A record that becomes more of them goes alone.
        """
        part: list[tuple[FollowedRecord, Carried]] = []
        n: Counter[str] = Counter()
        for record in batch:
            carried = self._read(record)
            more = Counter(each.event.user_id for each in carried.events)
            if part and any(n[user] + more[user] > self._max_per_user for user in more):
                yield part
                part, n = [], Counter()
            part.append((record, carried))
            n += more
        if part:
            yield part

    def _carry(self, batch: list[tuple[FollowedRecord, Carried]]) -> bool:
        """Whether all that the batch became is delivered; not where it was stopped before."""
        for record, carried in batch:
            if self._hearing is None:
                carried = carried._replace(entries=[])
            self._count(carried)
            if carried.rejection is None:
                self._outbox.carry(record, carried)
            else:
                self._outbox.refuse(self._told(record), carried.rejection)
        self.totals.n_records += len(batch)
        return self._deliver()

    def _deliver(self) -> bool:
        """Whether all that was handed over is delivered; not where it was stopped before."""
        while not self._outbox.wait(WAIT_S):
            if self._stopping:
                return False
        for topic, n in self._outbox.sent.items():
            metrics.CONNECT_SENT.labels(topic).inc(n)
        self.totals.sent += self._outbox.sent
        self._outbox.sent.clear()
        return True

    def _count(self, carried: Carried) -> None:
        if carried.rejection is not None:
            self.totals.refused[carried.rejection.reason.value] += 1
            outcome = "refused"
        elif carried.events or carried.entries:
            outcome = "carried"
        else:
            self.totals.n_left_out += 1
            outcome = "left_out"
        metrics.CONNECT_RECORDS.labels(self._topic, outcome).inc()

    def _told(self, record: FollowedRecord) -> FollowedRecord:
        """The record with what the mapping reads of it and nothing else, unless all is to be kept."""
        if self._keep_refused:
            return record
        rows = self._read.rows(record)
        return record._replace(key=None, value=msgspec.json.encode(rows) if rows else None, headers=())

    def _commit(self, batch: list[FollowedRecord]) -> None:
        ends = {record.partition: record.offset + 1 for record in batch}
        offsets = [TopicPartition(self._topic, partition, end) for partition, end in ends.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in MOVED:
                raise BrokerRefusedError(
                    f"Offsets of {self._topic} cannot be committed: {error.args[0].str()}.",
                    fix="Grant the user Read on the consumer group, or see whether the broker is up; run it again.",
                ) from error
            _LOG.warning("connect_commit topic=%s: %s", self._topic, error.args[0].str())

    def _at_the_end(self) -> bool:
        assigned = {each.partition for each in self._consumer.assignment()}
        return bool(assigned) and assigned <= self._ended

    def _lag(self) -> int:
        lag = 0
        for place in self._consumer.position(self._consumer.assignment()):
            _, high = self._consumer.get_watermark_offsets(place, cached=True)
            lag += max(0, high - place.offset) if place.offset >= 0 else 0
        return lag

    def _forget(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._ended -= {each.partition for each in partitions}

    def _begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin at the commits, tell what retention took away behind them; a new group begins at its time."""
        placed = consumer.committed(partitions, timeout=30)
        for each in placed:
            if each.offset >= 0:
                self._check_lost(each)
        if self._since_ms is not None:
            new = [
                TopicPartition(each.topic, each.partition, self._since_ms)
                for each in placed
                if each.offset < 0
            ]
            found = consumer.offsets_for_times(new, timeout=30) if new else []
            placed = [each for each in placed if each.offset >= 0] + found
        consumer.assign(placed)

    def _check_lost(self, place: TopicPartition) -> None:
        low, _ = self._consumer.get_watermark_offsets(place, timeout=30)
        if place.offset < low:
            self.totals.n_lost += low - place.offset
            metrics.LOST.labels(self._topic).inc(low - place.offset)
            _LOG.error(
                "connect_lost topic=%s partition=%d records=%d: retention deleted them before they were carried",
                self._topic, place.partition, low - place.offset,
            )  # fmt: skip
