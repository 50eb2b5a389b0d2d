"""A Faust transport over aiokafka whose source topics arrive as batches of records, guarded against skipped offsets.

Changelog topics keep single messages: recovery reads them through the same consumer.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import aiokafka
import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.engine.guard import OffsetGuard, Verdict
from streams.engine.unreadable import tolerate_unreadable_batches

log = logging.getLogger(__name__)


class RecordBatch(NamedTuple):
    """Consecutive records of one partition, the value of one Faust event.

    ``starts_at`` is the offset that follows the batch before it: the first record's, unless the log has a hole there.
    """

    tp: TP
    epoch: int
    starts_at: int
    records: Sequence[aiokafka.ConsumerRecord]

    @property
    def end(self) -> int:
        """The offset that follows the last record."""
        return int(self.records[-1].offset) + 1


class RecordBatchSchema(faust.Schema):  # type: ignore[misc]
    """Hands the list of records through as it is."""

    def compile(self, app: faust.App, **_: Any) -> Any:
        """Return the decoder that Faust calls for each message."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return create_event(None, message.value, None, message)

        return decode


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Yields one message a partition and chunk for batched topics; see ``RecordBatch``."""

    @property
    def _transport(self) -> "BatchTransport":
        return self.transport  # type: ignore[no-any-return]

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch what has arrived, never waiting to fill a batch."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, fetched in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            if tp.topic not in self._transport.batched_topics:
                for record in fetched:
                    yield tp, self._to_message(tp, record)
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            async for batch in self._chunks(TP(*tp), fetched):
                yield tp, self._batch_message(batch)

    async def _chunks(self, tp: TP, fetched: list[Any]) -> AsyncIterator[RecordBatch]:
        size = self._transport.max_batch_records
        guard = self._transport.guard
        epoch = guard.epoch
        if guard.expected(tp) is None:
            earliest = (await self.earliest_offsets(tp))[tp]
            if guard.expected(tp) is None:
                guard.expect(tp, earliest)
        for at in range(0, len(fetched), size):
            if guard.epoch != epoch or not epoch:
                return
            chunk = fetched[at : at + size]
            admission = guard.admit(tp, chunk[0].offset, chunk[-1].offset)
            if admission.verdict is Verdict.SEEK_BACK:
                await self._seek_back(tp, admission.expected, chunk[0].offset)
                return
            if admission.verdict is Verdict.HOLE:
                log.warning("hole_in_log tp=%s from=%d to=%d", tp, admission.expected, chunk[0].offset)
            chunk = chunk[admission.n_delivered_before :] if admission.n_delivered_before else chunk
            if chunk:
                yield RecordBatch(tp, guard.epoch, admission.expected, chunk)

    async def _seek_back(self, tp: TP, expected: int, found: int) -> None:
        earliest = (await self.earliest_offsets(tp))[tp]
        transport = self._transport
        if earliest > expected:
            log.error("events_lost_to_retention tp=%s from=%d to=%d", tp, expected, earliest)
            transport.on_lost(tp.topic, earliest - expected)
            transport.guard.expect(tp, earliest)
            expected = earliest
        transport.on_guard(tp.topic)
        log.warning("offset_guard tp=%s expected=%d found=%d", tp, expected, found)
        await self.seek_wait({tp: expected})

    def _batch_message(self, batch: RecordBatch) -> ConsumerMessage:
        last = batch.records[-1]
        return ConsumerMessage(
            batch.tp.topic,
            batch.tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            batch,
            None,
            0,
            0,
            batch.tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """Seek to the commits and begin a new epoch of the guard there."""
        await super().perform_seek()
        batched = self._transport.batched_topics
        self._transport.guard.begin(
            {
                TP(*tp): committed
                for tp in self.assignment()
                if tp.topic in batched and (committed := self._committed_offset[tp]) is not None
            }
        )

    def _new_offset(self, tp: TP) -> int | None:
        # Batches of a partition are acknowledged in order, so the last one acknowledged covers all before it.
        if tp.topic not in self._transport.batched_topics:
            return super()._new_offset(tp)  # type: ignore[no-any-return]
        acked = self._acked[tp]
        if not acked:
            return None
        end = int(max(acked)) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return end

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self._transport.batched_topics:
            await super()._add_gap(tp, offset_from, offset_to)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, answering as soon as there is one record."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        tolerate_unreadable_batches()
        return consumer


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with batched source topics.

    Set it with ``app.transport = BatchTransport(app.conf.broker, app, batched_topics=…, max_batch_records=…)``.
    """

    Consumer = BatchConsumer

    def __init__(
        self,
        *args: Any,
        batched_topics: frozenset[str],
        max_batch_records: int,
        on_guard: Callable[[str], None] = lambda _: None,
        on_lost: Callable[[str, int], None] = lambda *_: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batched_topics = batched_topics
        self.max_batch_records = max_batch_records
        self.on_guard = on_guard
        """Told the topic when the guard seeks a partition back."""
        self.on_lost = on_lost
        """Told the topic and how many records retention deleted before they were read."""
        self.guard = OffsetGuard()
