"""A Faust transport over aiokafka whose source topics arrive as whole fetches, guarded against skipped offsets.

Changelog topics keep single messages: recovery reads them through the same consumer.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import aiokafka
import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.utils.futures import notify

from streams.engine.guard import OffsetGuard, Verdict
from streams.engine.membership import Membership
from streams.engine.unreadable import tolerate_unreadable_batches

log = logging.getLogger(__name__)


FETCH_MAX_WAIT_MS = 25
"""How long a broker may hold a fetch that finds nothing. Kafka answers as soon as a record comes, librdkafka's mock
cluster only when the wait is over; Faust's 1,500 ms made slates of the embedded broker a second old."""


REFRESH_S = 0.002
SMALL_FETCH = 32
"""Fewer records than this that were there within this time, seconds, wait as long again for younger ones."""


VANISHED_S = 1.0
"""How long records may be under way to an idle agent, seconds. Faust drops some around rebalances."""


class RecordBatch(NamedTuple):
    """Consecutive records of one partition.

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


class Fetched(NamedTuple):
    """What one fetch brought, the value of one Faust event: batches of several partitions."""

    epoch: int
    batches: list[RecordBatch]


class RecordBatchSchema(faust.Schema):  # type: ignore[misc]
    """Hands what was fetched through as it is."""

    def compile(self, app: faust.App, **_: Any) -> Any:
        """Return the decoder that Faust calls for each message."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return create_event(None, message.value, None, message)

        return decode


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Yields one message for all batched records of a fetch, at most ``max_batch_records`` at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ends: dict[TP, int] = {}
        """Offset that follows the last acknowledged record, by partition with anything to commit."""
        self._done: dict[TP, int] = {}
        """As ``_ends``, of every partition of this epoch, whether committed or not."""
        self._idle_since: float | None = None
        self._dropped: set[TP] = set()
        """Partitions of which something fetched was not delivered: they are sought back before the next fetch."""

    @property
    def _transport(self) -> "BatchTransport":
        return self.transport  # type: ignore[no-any-return]

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch what has arrived, never waiting to fill a batch."""
        self._drop_vanished()
        await self._fetch_again()
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        gathered: list[RecordBatch] = []
        room = self._transport.max_batch_records
        self._dropped.update(TP(*tp) for tp in records if tp.topic in self._transport.batched_topics)
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
                if gathered and len(batch.records) > room:
                    yield gathered[0].tp, self._fetched_message(gathered)
                    gathered, room = [], self._transport.max_batch_records
                gathered.append(batch)
                room -= len(batch.records)
            if self._transport.guard.expected(tp) == fetched[-1].offset + 1:
                self._dropped.discard(TP(*tp))
        if gathered:
            yield gathered[0].tp, self._fetched_message(gathered)

    def fetch_again(self, tp: TP, offset: int) -> None:
        """Go back to ``offset`` before the next fetch: what was delivered from there on did not reach the agent."""
        self._transport.guard.expect(tp, offset)
        self._transport.on_guard(tp.topic)
        self._dropped.add(tp)

    async def _fetch_again(self) -> None:
        """Without this, records dropped around a rebalance would wait for the next one of their partition."""
        guard, epoch = self._transport.guard, self._transport.guard.epoch
        for tp in sorted(self._dropped):
            if not self.flow_active or guard.epoch != epoch:
                return
            expected = guard.expected(tp)
            if expected is not None and tp in self.assignment():
                await self._seek(tp, expected)  # seek_wait would hang when the partition goes meanwhile
            self._dropped.discard(tp)

    def _drop_vanished(self) -> None:
        """Have fetched again what was delivered to Faust and never reached the agent, which has nothing to do."""
        guard, now = self._transport.guard, time.monotonic()
        vanished = {
            tp: done
            for tp, done in self._done.items()
            if done < (guard.expected(tp) or done) and self.flow_active
        }
        if not vanished or not self._transport.is_idle():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > VANISHED_S:
            self._idle_since = None
            for tp in sorted(vanished.keys() & self.assignment()):
                log.warning("fetch_vanished tp=%s from=%d to=%d", tp, vanished[tp], guard.expected(tp))
                self.fetch_again(tp, vanished[tp])

    async def _chunks(self, tp: TP, fetched: list[Any]) -> AsyncIterator[RecordBatch]:
        size = self._transport.max_batch_records
        guard = self._transport.guard
        epoch = guard.epoch
        for at in range(0, len(fetched), size):
            if guard.epoch != epoch or guard.expected(tp) is None:
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

    def _fetched_message(self, batches: list[RecordBatch]) -> ConsumerMessage:
        tp, last = batches[0].tp, batches[0].records[-1]
        self._read_offset[tp] = None  # else Faust drops a fetch whose first partition was sought back
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            Fetched(batches[0].epoch, batches),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """Seek to the commits and begin a new epoch of the guard there.

        Fetching goes on meanwhile, and what it brings before the epoch begins is dropped. So the epoch begins first and
        the partitions are sought after it, once more, those without a commit to their first record: else what was
        dropped would come again only when the guard meets a newer record.
        """
        await super().perform_seek()
        ours = [tp for tp in self.assignment() if tp.topic in self._transport.batched_topics]
        fresh = [tp for tp in ours if self._committed_offset[tp] is None]
        firsts = await self.earliest_offsets(*fresh) if fresh else {}
        starts = {TP(*tp): firsts.get(tp, self._committed_offset[tp]) for tp in ours}
        self._ends.clear()
        self._done = dict(starts)
        self._idle_since = None
        self._transport.guard.begin(starts)
        await self.seek_wait(starts)

    def ack(self, message: ConsumerMessage) -> bool:
        """Mark all records of a fetch as done. Fetches are acknowledged in order, so each covers all before it."""
        fetched = message.value
        if not isinstance(fetched, Fetched):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        if fetched.epoch == self._transport.guard.epoch:
            self._ends.update((batch.tp, batch.end) for batch in fetched.batches)
            self._done.update((batch.tp, batch.end) for batch in fetched.batches)
        notify(self._waiting_for_ack)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from [tp for tp in self._ends if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic in self._transport.batched_topics:
            return self._ends.pop(tp, None)
        return super()._new_offset(tp)  # type: ignore[no-any-return]

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self._transport.batched_topics:
            await super()._add_gap(tp, offset_from, offset_to)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with a short fetch wait and tolerance for unreadable batches."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        tolerate_unreadable_batches()
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        """What has been fetched; a few records that lay there already together with those that came after them.

        aiokafka sends the next fetch when the last is taken, so what it brought waits while the agent works, and
        younger records wait for the turn after it.
        """
        started = time.perf_counter()
        records: dict[TP, list[Any]]
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        lay_there = time.perf_counter() - started < REFRESH_S
        if lay_there and 0 < sum(map(len, records.values())) < SMALL_FETCH:
            more = await super()._fetch_records(consumer, active_partitions, REFRESH_S, max_records)
            for tp, younger in more.items():
                records.setdefault(tp, []).extend(younger)
        return records

    async def on_start(self) -> None:
        """Start, and follow the heartbeats."""
        await super().on_start()
        if self.transport.membership is not None:
            self.transport.membership.watch(self._consumer._coordinator)


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
        membership: Membership | None = None,
        on_guard: Callable[[str], None] = lambda _: None,
        on_lost: Callable[[str, int], None] = lambda *_: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batched_topics = batched_topics
        self.max_batch_records = max_batch_records
        self.membership = membership
        self.is_idle: Callable[[], bool] = lambda: False
        """Whether the agent waits for records and all it caused is acknowledged."""
        self.on_guard = on_guard
        """Told the topic when the guard seeks a partition back."""
        self.on_lost = on_lost
        """Told the topic and how many records retention deleted before they were read."""
        self.guard = OffsetGuard()
