"""Followers: topics that every worker reads in full (catalogue, shared knowledge), each with its own offsets.

No consumer group, so no rebalance: a follower starts at a time or at the beginning, reports when it has caught up with
what was there at its start, and goes on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.broker import is_embedded

log = logging.getLogger(__name__)

T = TypeVar("T")

TOPIC_PATIENCE_S: Final = 10.0
"""A topic made a moment ago is unknown to some brokers for a while, and so is its leader after an election."""

UNSETTLED: Final = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)

GATHER_S: Final = 0.05

FINAL_ERRORS: Final = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._FATAL)
"""What no waiting mends; the client itself goes on after everything else."""


class FollowedRecord(NamedTuple):
    """A record as ``models.ingest`` takes it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, message: Message) -> "FollowedRecord":
        """The record in a message without error."""
        return cls(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            message.headers() or (),
        )


Apply = Callable[[Sequence[FollowedRecord]], None]


class Follower:
    """Reads all partitions of some topics in a thread and applies the messages, in batches, on the event loop.

    It begins at the offset that ``starts`` gives for a topic and partition, at ``since_ms``, or at the beginning; an
    embedded broker finds no time: there it begins at the beginning and passes over what is older. A batch is gathered
    for 50 ms; ``prompt`` hands on at once what has come, which costs more turns of the event loop.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        topics: Sequence[str],
        apply: Apply,
        on_failure: Callable[[BaseException], None],
        *,
        since_ms: int | None = None,
        starts: Mapping[tuple[str, int], int] | None = None,
        max_batch: int = 2_000,
        prompt: bool = False,
    ) -> None:
        self._consumer = Consumer(
            {
                **settings,
                "group.id": "rillet-follower",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "logger": log,
            }
        )
        self._topics = topics
        self._apply = apply
        self._on_failure = on_failure
        self._since_ms = since_ms
        self._passes_over_old = False
        self._from = starts or {}
        self._max_batch = max_batch
        self._prompt = prompt
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow {topics[0]}", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self.caught_up: asyncio.Future[None]

    def start(self) -> None:
        """Begin reading; ``caught_up`` ends when all that was there now has been applied."""
        self._loop = asyncio.get_running_loop()
        self.caught_up = self._loop.create_future()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what was fetched and not applied is dropped."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            starts = self._when_known(self._starts)
            ends = {(p.topic, p.partition): self._when_known(partial(self._high, p)) for p in starts}
            self._consumer.assign(starts)
            waiting = {tp for tp, end in ends.items() if end > 0}
            self._settle(waiting)
            while not self._stopping.is_set():
                messages = self._fetch()
                records = [FollowedRecord.of(message) for message in messages if self._is_wanted(message)]
                if records:
                    self._deliver(records)
                reached = {_place(message) for message in messages if _passes(message, ends)}
                if reached & waiting:
                    waiting -= reached
                    self._settle(waiting)
        except Exception as error:  # a thread has no one to raise to
            if not self._stopping.is_set():
                self._on_failure(error)
        finally:
            self._consumer.close()

    def _fetch(self) -> list[Message]:
        if not self._prompt:
            return list(self._consumer.consume(self._max_batch, GATHER_S))
        first = self._consumer.poll(GATHER_S)
        return [] if first is None else [first, *self._consumer.consume(self._max_batch - 1, 0)]

    def _is_wanted(self, message: Message) -> bool:
        if message.error():
            return False
        return not self._passes_over_old or message.timestamp()[1] >= (self._since_ms or 0)

    def _starts(self) -> list[TopicPartition]:
        partitions, cluster = [], ""
        for topic in self._topics:
            told = self._consumer.list_topics(topic, timeout=30)
            metadata, cluster = told.topics[topic], str(told.cluster_id)
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            partitions += [
                TopicPartition(topic, p, self._from.get((topic, p), OFFSET_BEGINNING))
                for p in metadata.partitions
            ]
        self._passes_over_old = is_embedded(cluster)
        if self._since_ms is None or self._passes_over_old:
            return partitions
        at = [TopicPartition(p.topic, p.partition, self._since_ms) for p in partitions]
        return list(self._consumer.offsets_for_times(at, timeout=30))

    def _high(self, tp: TopicPartition) -> int:
        low, high = self._consumer.get_watermark_offsets(tp, timeout=30)
        return int(high) if high > low else 0

    def _when_known(self, ask: Callable[[], T]) -> T:
        """What the brokers answer, once they agree on the topic and its leaders."""
        deadline = time.monotonic() + TOPIC_PATIENCE_S
        while True:
            try:
                return ask()
            except KafkaException as error:
                unsettled = error.args[0].code() in UNSETTLED
                if not unsettled or time.monotonic() > deadline or self._stopping.wait(0.1):
                    raise

    def _settle(self, waiting: set[tuple[str, int]]) -> None:
        if not waiting:
            self._loop.call_soon_threadsafe(self._mark_caught_up)

    def _mark_caught_up(self) -> None:
        if not self.caught_up.done():
            self.caught_up.set_result(None)

    def _deliver(self, records: Sequence[FollowedRecord]) -> None:
        """Have the event loop apply ``records`` and wait for it, unless told to stop: the loop may wait for us then."""
        applied = asyncio.run_coroutine_threadsafe(self._hand_over(records), self._loop)
        while not self._stopping.is_set():
            if wait([applied], timeout=0.1).done:
                applied.result()
                return

    async def _hand_over(self, records: Sequence[FollowedRecord]) -> None:
        if not self._stopping.is_set():
            self._apply(records)


def _place(message: Message) -> tuple[str, int]:
    return message.topic(), message.partition()


def _passes(message: Message, ends: Mapping[tuple[str, int], int]) -> bool:
    """Whether nothing is left before the end that its partition had at the start.

    The end of a partition is told apart from its last record: transaction marks and compacted records have offsets too.
    """
    error = message.error()
    if error is None:
        return bool(message.offset() + 1 >= ends[_place(message)])
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.code() in FINAL_ERRORS or error.fatal():
        raise KafkaException(error)
    log.warning("follower_error topic=%s partition=%s: %s", message.topic(), message.partition(), error)
    return False
