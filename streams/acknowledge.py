"""Acknowledges fetches, in order, once everything they caused is on the broker.

What a fetch changes and publishes at once is in its own parcel; what is counted for several fetches together comes in
a later one, and the fetches are held until it has arrived as well.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import faust
import numpy as np

from models.path import Served
from streams import metrics
from streams.engine.membership import Membership
from streams.engine.outbox import Parcel
from streams.engine.state import StateTable

MAX_IN_FLIGHT = 8
"""Fetches whose delivery is awaited at the same time; the agent waits when there are more."""


class _Delivery(NamedTuple):
    number: int
    """Of the fetch, or of the last one that was counted."""
    parcel: Parcel
    event: faust.Event | None
    """None when fetches were counted."""
    served: list[Served]


class Acknowledger:
    """A bounded queue between the agent, which goes on with the next fetch, and the deliveries of the last ones.

    Fetches are numbered in the order in which they were taken.
    """

    def __init__(self, tables: Sequence[StateTable], membership: Membership) -> None:
        self._membership = membership
        self._unconfirmed: deque[tuple[float, dict[tuple[str, int], int]]] = deque()
        self._tables = {table.changelog: table for table in tables}
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue(MAX_IN_FLIGHT)
        self._held: deque[tuple[int, faust.Event]] = deque()
        """Fetches delivered, not counted yet, by their numbers."""
        self._n_open = 0

    @property
    def n_open(self) -> int:
        """Fetches handed over and not acknowledged."""
        return self._n_open

    @property
    def is_idle(self) -> bool:
        """Whether everything handed over is acknowledged."""
        return self._n_open == 0

    async def put(self, number: int, event: faust.Event, parcel: Parcel, served: list[Served]) -> None:
        """Hand over a sealed parcel of one fetch; waits while too many are under way."""
        self._n_open += 1
        await self._queue.put(_Delivery(number, parcel, event, served))

    async def put_counted(self, number: int, parcel: Parcel) -> None:
        """Hand over what was counted for the fetches up to ``number``."""
        await self._queue.put(_Delivery(number, parcel, None, []))

    async def run(self) -> None:
        """Serve the queue; a delivery that fails ends it with the broker's error, and with it the worker."""
        while True:
            delivery = await self._queue.get()
            await delivery.parcel.delivered
            self._remember(delivery.parcel)
            if delivery.event is None:
                self._acknowledge(delivery.number)
            else:
                self._held.append((delivery.number, delivery.event))
                _measure(delivery.served)

    def _acknowledge(self, number: int) -> None:
        while self._held and self._held[0][0] <= number:
            self._held.popleft()[1].ack()
            self._n_open -= 1

    def _remember(self, parcel: Parcel) -> None:
        """Mark changelog offsets as held by RocksDB once a later heartbeat shows that no one else wrote before them."""
        self._unconfirmed.append((time.monotonic(), parcel.last_offset))
        while self._unconfirmed and self._unconfirmed[0][0] < self._membership.confirmed_at:
            for (changelog, partition), offset in self._unconfirmed.popleft()[1].items():
                self._tables[changelog].persisted(partition, offset)


def _measure(served: list[Served]) -> None:
    sent_s = np.array([each.timestamp_ms for each in served]) / 1000.0
    metrics.LATENCY.observe(np.maximum(time.time() - sent_s, 0.0))
    metrics.SLATES.labels("user").inc(len(served))
