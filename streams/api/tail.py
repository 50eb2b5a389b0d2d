"""The shop's own events as they come, read while somebody looks and never held."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas import topics
from streams.api.live import EVENTS, Hub, one_line
from streams.follow import FollowedRecord, Follower

log = logging.getLogger(__name__)

MAX_BYTES: Final = 65_536
"""Larger events are told of without their value."""
_encode = msgspec.json.Encoder().encode


class Tail:
    """Follows the topics of the shop from now on, as long as the hub has someone for them."""

    def __init__(self, conf: Mapping[str, Any], hub: Hub) -> None:
        self._conf = conf
        self._hub = hub
        self._follower: Follower | None = None
        self._lock = asyncio.Lock()

    async def wanted(self, wanted: bool) -> None:
        """Begin, if somebody wants it and it has not begun."""
        async with self._lock:
            if wanted and self._follower is None:
                self._follower = self._begin()
                self._follower.start()

    async def settle(self) -> None:
        """End, if nobody is left."""
        async with self._lock:
            follower = self._follower
            if follower is not None and not self._hub.wants(EVENTS):
                self._follower = None
                await asyncio.to_thread(follower.stop)

    def _begin(self) -> Follower:
        now_ms = time.time_ns() // 1_000_000
        return Follower(self._conf, topics.BEHAVIOUR, self._apply, self._failed, since_ms=now_ms)

    def _apply(self, records: Sequence[FollowedRecord]) -> None:
        for record in records:
            self._hub.add(record, _body(record.value))

    def _failed(self, error: BaseException) -> None:
        """The next who looks has it begin anew."""
        log.warning("events_unreadable: %s", error)
        self._follower = None


def _body(value: bytes | None) -> bytes | None:
    """The event as one line of JSON, None where it is none."""
    if value is None or len(value) > MAX_BYTES:
        return None
    try:
        parsed = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value if one_line(value) else _encode(parsed)
