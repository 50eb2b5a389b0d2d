"""Whether this worker still is the member of its consumer group that it was: the fence against writing as a ghost.

A process that was stopped for longer than its session (SIGSTOP, a suspended machine, a starved container) goes on
where it was, while others have its partitions. What it wrote then would lie behind what the new owner wrote.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

POLL_S = 0.05


class Membership:
    """Knows by the heartbeats until when the membership is certain.

    ``on_expelled`` is told, in the consumer's thread, when the group no longer knows this member: nothing that was
    fetched before may be written any more.
    """

    def __init__(self, session_timeout_s: float, on_expelled: Callable[[], None]) -> None:
        self._session_timeout_s = session_timeout_s
        self._on_expelled = on_expelled
        self.confirmed_at = 0.0
        """Monotonic time at which the latest answered sign of life was sent, seconds."""

    def watch(self, coordinator: Any) -> None:
        """Follow what aiokafka's group coordinator hears from the broker."""
        coordinator._do_heartbeat = self._watched(coordinator, coordinator._do_heartbeat)
        coordinator._do_commit_offsets = self._watched(coordinator, coordinator._do_commit_offsets)
        coordinator._on_join_complete = self._confirming(coordinator._on_join_complete)

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can have this worker's partitions by now."""
        return time.monotonic() - self.confirmed_at <= self._session_timeout_s

    async def certain(self) -> None:
        """Return at once, or when the next heartbeat is answered; a worker that was expelled does not live so long."""
        if self.is_certain:
            return
        log.warning(
            "membership_uncertain since_s=%.1f, waiting for the broker", time.monotonic() - self.confirmed_at
        )
        while not self.is_certain:
            await asyncio.sleep(POLL_S)

    def _watched(
        self, coordinator: Any, call: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        """``call``, and whether the broker answered that it does not know this member (any more)."""

        async def watched(*args: Any) -> Any:
            sent_at, generation = time.monotonic(), coordinator.generation
            try:
                answer = await call(*args)
            finally:
                if generation > 0 > coordinator.generation:
                    self._on_expelled()
            if answer is True:
                self.confirmed_at = sent_at
            return answer

        return watched

    def _confirming(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def confirming(*args: Any) -> Any:
            self.confirmed_at = time.monotonic()
            return await call(*args)

        return confirming
