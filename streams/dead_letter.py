"""Refused records on ``events.dead-letter``: read, picked, and sent back to where they came from.

Reading moves no consumer group and removes nothing. What a dead letter is made of is said in
``models.ingest.dead_letter``; what is refused, and why, in ``models.ingest``.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from models.ingest.dead_letter import DeadLetter, Outgoing, exhume
from schemas import topics
from schemas.rejections import Rejection
from streams.broker import ping
from streams.errors import BrokerRefusedError, InputError
from streams.follow import FollowedRecord
from streams.settings import KafkaSettings

TIMEOUT_S: Final = 30.0
MAX_ATTEMPTS: Final = 3
_BATCH: Final = 500
_WAIT_S: Final = 0.2


class Buried(NamedTuple):
    """A dead letter and where it lies; ``letter`` is a rejection when the record is none of ours."""

    partition: int
    offset: int
    refused_ms: int
    letter: DeadLetter | Rejection


class Filter(NamedTuple):
    """Which dead letters are meant; what is not given does not restrict."""

    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None

    def accepts(self, letter: DeadLetter | Rejection) -> bool:
        """Whether the letter is meant; ``since_ms`` is heeded where reading begins."""
        if isinstance(letter, Rejection):
            return self.reason is None and self.topic is None
        return self.reason in (None, letter.reason) and self.topic in (None, letter.topic)


@dataclass
class Replayed:
    """What became of the letters that were to be sent back."""

    sent: Counter[str] = field(default_factory=Counter)
    """By source topic."""
    exhausted: int = 0
    """Refused too often already."""
    homeless: int = 0
    """Not ours, or from a topic that shops do not write to, or that is gone."""


class DeadLetters:
    """The dead letters that were there when it was opened, oldest first within a partition."""

    def __init__(self, kafka: KafkaSettings) -> None:
        ping(kafka.client_conf())
        self._consumer = Consumer({**kafka.consumer(), "log_level": 0})
        self._held = self._watermarks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def select(self, wanted: Filter) -> Iterator[Buried]:
        """Those that the filter accepts; may be asked again, and finds the same."""
        return (
            buried for buried in self._read(self._start(wanted.since_ms)) if wanted.accepts(buried.letter)
        )

    def find(self, partition: int, offset: int) -> tuple[FollowedRecord, DeadLetter | Rejection]:
        """The record at these coordinates, and what it says."""
        low, high = self._held.get(partition, (0, 0))
        if not low <= offset < high:
            held = ", ".join(f"{each}: {lo} to {hi - 1}" for each, (lo, hi) in self._held.items() if hi > lo)
            raise InputError(
                f"No dead letter lies at partition {partition}, offset {offset}; held are {held or 'none'}.",
                fix="`rillet dead-letter list` shows partitions and offsets.",
            )
        record = next(self._records({partition: offset}))
        return record, exhume(record)

    def _watermarks(self) -> dict[int, tuple[int, int]]:
        """First and next offset of each partition."""
        topic = self._consumer.list_topics(topics.DEAD_LETTER, timeout=TIMEOUT_S).topics[topics.DEAD_LETTER]
        if topic.error is not None:
            raise BrokerRefusedError(
                f"The topic {topics.DEAD_LETTER} cannot be read: {topic.error.str()}",
                fix="Create it with `rillet topics create`, or grant the user Describe and Read on it.",
            )
        return {
            partition: self._consumer.get_watermark_offsets(
                TopicPartition(topics.DEAD_LETTER, partition), timeout=TIMEOUT_S
            )
            for partition in sorted(topic.partitions)
        }

    def _start(self, since_ms: int | None) -> dict[int, int]:
        if since_ms is None:
            return {partition: low for partition, (low, _) in self._held.items()}
        asked = [TopicPartition(topics.DEAD_LETTER, partition, since_ms) for partition in self._held]
        found = self._consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def _read(self, start: dict[int, int]) -> Iterator[Buried]:
        for record in self._records(start):
            yield Buried(record.partition, record.offset, record.timestamp, exhume(record))

    def _records(self, start: dict[int, int]) -> Iterator[FollowedRecord]:
        """From ``start`` to the end that was there at the beginning."""
        ends = {p: self._held[p][1] for p, offset in start.items() if offset < self._held[p][1]}
        self._consumer.assign([TopicPartition(topics.DEAD_LETTER, p, start[p]) for p in ends])
        while ends:
            for message in self._fetch():
                end = ends.get(message.partition())
                if end is None:
                    continue
                if message.offset() >= end - 1:
                    del ends[message.partition()]
                if message.offset() < end:
                    yield FollowedRecord.of(message)

    def _fetch(self) -> list[Message]:
        """What has come, at least one message; ``consume`` alone would wait for a full batch."""
        deadline = time.monotonic() + TIMEOUT_S
        messages: list[Message] = []
        while not messages and time.monotonic() < deadline:
            messages = self._consumer.consume(_BATCH, timeout=_WAIT_S)
        failed = [message.error().str() for message in messages if message.error()]
        if failed or not messages:
            cause = failed[0] if failed else f"nothing came for {TIMEOUT_S:g} s"
            raise BrokerRefusedError(
                f"{topics.DEAD_LETTER} cannot be read on: {cause}",
                fix="Grant the user Read on the topic; if that is not it, the broker's log tells more.",
            )
        return messages


def replay(
    kafka: KafkaSettings,
    letters: Iterable[DeadLetter | Rejection],
    *,
    max_attempts: int = MAX_ATTEMPTS,
    dry_run: bool = False,
    on_each: Callable[[], object] = lambda: None,
) -> Replayed:
    """Send letters back to their source, with the original bytes, key, headers and timestamp.

    The header ``rillet.attempt`` carries on how often the record was refused. A letter refused
    ``max_attempts`` times is left where it is. ``on_each`` is called for each letter.

    Raises:
        BrokerRefusedError: Kafka did not take every record.
    """
    outcome = Replayed()
    sender = _Sender(kafka)
    for letter in letters:
        if isinstance(letter, Rejection) or letter.topic not in sender.homes:
            outcome.homeless += 1
        elif letter.attempt >= max_attempts:
            outcome.exhausted += 1
        else:
            outcome.sent[letter.topic] += 1
            if not dry_run:
                sender.send(letter.replayed())
        on_each()
    sender.finish()
    return outcome


class _Sender:
    """Produces records to the topics that shops write to, and remembers what the broker did not take."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = Producer({**kafka.producer(), "message.max.bytes": 4 * topics.MIB, "log_level": 0})
        there = self._producer.list_topics(timeout=TIMEOUT_S).topics
        self.homes = {t.name for t in topics.catalogue() if t.owner == "shop" and t.name in there}
        self._failures: Counter[str] = Counter()

    def send(self, record: Outgoing) -> None:
        stamp = {} if record.timestamp_ms is None else {"timestamp": record.timestamp_ms}
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=record.headers,
                    on_delivery=self._delivered,
                    **stamp,
                )
            except BufferError:
                self._producer.poll(1)
            except KafkaException as error:
                return self._failed(error.args[0])
            else:
                self._producer.poll(0)
                return None

    def finish(self) -> None:
        waiting = self._producer.flush(TIMEOUT_S)
        if waiting:
            self._failures[f"no answer within {TIMEOUT_S:g} s"] += waiting
        if self._failures:
            raise BrokerRefusedError(
                f"{self._failures.total()} records were not written: {', '.join(self._failures)}.",
                fix="Mend the cause and replay again: an event that arrives twice is counted once.",
            )

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed(error)

    def _failed(self, error: KafkaError) -> None:
        self._failures[error.str()] += 1
