"""The outbox: everything the worker publishes, through one librdkafka producer, with delivery awaited.

A source batch is acknowledged only when every record it caused is on the broker. Changelog records travel here too,
so that the order "state and outputs first, commit after" holds without exception.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

log = logging.getLogger(__name__)

Headers = list[tuple[str, bytes]]

PRODUCER_SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 1,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    "message.max.bytes": 3_000_000,
    "message.timeout.ms": 0,
}
"""``message.timeout.ms`` 0: while the broker is away records wait, agents take no more batches, nothing is dropped."""


class Parcel:
    """The records of one micro-batch. ``delivered`` ends when the broker has all of them, or fails with the error."""

    def __init__(self, producer: Producer, loop: asyncio.AbstractEventLoop) -> None:
        self._producer = producer
        self._loop = loop
        self._open = 1
        self._lock = threading.Lock()
        self._error: KafkaError | None = None
        self.delivered: asyncio.Future[None] = loop.create_future()
        self.last_offset: dict[tuple[str, int], int] = {}

    def add(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> None:
        """Send one record; the partition follows from the key."""
        self._count(1)
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._on_delivery)
                return
            except BufferError:
                self._producer.poll(0.05)

    def add_changelog(self, topic: str, partition: int, items: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Send state records to a named partition; ``last_offset`` tells how far they got."""
        messages = [{"key": key, "value": value} for key, value in items]
        while messages:
            self._count(len(messages))
            n_queued = self._producer.produce_batch(
                topic, messages, partition=partition, on_delivery=self._on_state_delivery
            )
            if n_queued < len(messages):
                self._count(n_queued - len(messages))
                messages = [m for m in messages if m.pop("_error", None) is not None]
                self._producer.poll(0.05)
            else:
                return

    def seal(self) -> None:
        """No more records follow."""
        self._done(None)

    def _count(self, n: int) -> None:
        with self._lock:
            self._open += n

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        self._done(error)

    def _on_state_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.last_offset[message.topic(), message.partition()] = message.offset()
        self._done(error)

    def _done(self, error: KafkaError | None) -> None:
        with self._lock:
            self._open -= 1
            self._error = self._error or error
            last = self._open == 0
        if last and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if self.delivered.done():
            return
        if self._error is None:
            self.delivered.set_result(None)
        else:
            self.delivered.set_exception(KafkaException(self._error))


class Outbox:
    """One idempotent producer and the thread that serves its delivery reports."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._producer = Producer({**PRODUCER_SETTINGS, **settings, "logger": log})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="outbox", daemon=True)
        self._thread.start()

    def parcel(self) -> Parcel:
        """Begin the records of one micro-batch."""
        return Parcel(self._producer, asyncio.get_running_loop())

    def __len__(self) -> int:
        """Records not yet on the broker."""
        return len(self._producer)

    def close(self, timeout_s: float = 10.0) -> int:
        """Deliver what is waiting; the number of records that could not be delivered in time is returned."""
        self._stopping.set()
        self._thread.join()
        return int(self._producer.flush(timeout_s))

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)
