"""Acknowledges source batches, in order, once everything they caused is on the broker."""

import asyncio
import time
from collections.abc import Sequence

import faust
import numpy as np

from models.path import Step
from streams import metrics
from streams.engine.outbox import Parcel
from streams.engine.state import StateTable

MAX_IN_FLIGHT = 8
"""Batches whose delivery is awaited at the same time; the agent waits when there are more."""


class Acknowledger:
    """A bounded queue between the agent, which goes on with the next batch, and the deliveries of the last ones."""

    def __init__(self, tables: Sequence[StateTable]) -> None:
        self._tables = {table.changelog: table for table in tables}
        self._queue: asyncio.Queue[tuple[faust.Event, Parcel, Step]] = asyncio.Queue(MAX_IN_FLIGHT)

    async def put(self, event: faust.Event, parcel: Parcel, step: Step) -> None:
        """Hand over a sealed parcel; waits while too many are under way."""
        await self._queue.put((event, parcel, step))

    async def run(self) -> None:
        """Serve the queue; a delivery that fails ends it with the broker's error, and with it the worker."""
        while True:
            event, parcel, step = await self._queue.get()
            await parcel.delivered
            for (changelog, partition), offset in parcel.last_offset.items():
                self._tables[changelog].persisted(partition, offset)
            event.ack()
            sent_s = np.array([served.timestamp_ms for served in step.served]) / 1000.0
            metrics.LATENCY.observe(np.maximum(time.time() - sent_s, 0.0))
            metrics.SLATES.labels("user").inc(len(step.served))
