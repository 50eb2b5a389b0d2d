"""Acknowledges fetches, in order, once everything they caused is on the broker."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import faust
import numpy as np

from models.path import Served
from streams import metrics
from streams.engine.membership import Membership
from streams.engine.outbox import Parcel
from streams.engine.state import StateTable

MAX_IN_FLIGHT = 8
"""Fetches whose delivery is awaited at the same time; the agent waits when there are more."""


class Acknowledger:
    """A bounded queue between the agent, which goes on with the next fetch, and the deliveries of the last ones."""

    def __init__(self, tables: Sequence[StateTable], membership: Membership) -> None:
        self._membership = membership
        self._n_waiting = 0
        self._unconfirmed: deque[tuple[float, dict[tuple[str, int], int]]] = deque()
        self._tables = {table.changelog: table for table in tables}
        self._queue: asyncio.Queue[tuple[faust.Event, Parcel, list[Served]]] = asyncio.Queue(MAX_IN_FLIGHT)

    @property
    def is_idle(self) -> bool:
        """Whether everything handed over is acknowledged."""
        return self._n_waiting == 0

    async def put(self, event: faust.Event, parcel: Parcel, served: list[Served]) -> None:
        """Hand over a sealed parcel; waits while too many are under way."""
        self._n_waiting += 1
        await self._queue.put((event, parcel, served))

    async def run(self) -> None:
        """Serve the queue; a delivery that fails ends it with the broker's error, and with it the worker."""
        while True:
            event, parcel, served = await self._queue.get()
            await parcel.delivered
            self._remember(parcel)
            event.ack()
            self._n_waiting -= 1
            sent_s = np.array([each.timestamp_ms for each in served]) / 1000.0
            metrics.LATENCY.observe(np.maximum(time.time() - sent_s, 0.0))
            metrics.SLATES.labels("user").inc(len(served))

    def _remember(self, parcel: Parcel) -> None:
        """Mark changelog offsets as held by RocksDB once a later heartbeat shows that no one else wrote before them."""
        self._unconfirmed.append((time.monotonic(), parcel.last_offset))
        while self._unconfirmed and self._unconfirmed[0][0] < self._membership.confirmed_at:
            for (changelog, partition), offset in self._unconfirmed.popleft()[1].items():
                self._tables[changelog].persisted(partition, offset)
