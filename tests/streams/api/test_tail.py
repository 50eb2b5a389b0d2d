"""The shop's events are followed while somebody looks, and again after that failed."""

import asyncio

from streams.api.live import EVENTS, Hub
from streams.api.tail import Tail
from streams.follow import Follower


def test_who_looks_after_a_failure_has_it_begin_anew(embedded: str) -> None:
    async def look() -> tuple[Follower | None, Follower | None, Follower | None]:
        hub = Hub()
        tail, tap = Tail({"bootstrap.servers": embedded}, hub), hub.tap([EVENTS], 20)
        await tail.wanted(True)
        first = tail._follower
        tail._failed(OSError("the broker went away"))
        await tail.wanted(True)
        second = tail._follower
        hub.untap(tap)
        await tail.settle()
        assert first is not None
        await asyncio.to_thread(first.stop)
        return first, second, tail._follower

    first, second, left = asyncio.run(look())
    assert None not in (first, second)
    assert first is not second
    assert left is None
