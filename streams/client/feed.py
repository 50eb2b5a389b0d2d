"""One topic as an iterator, plain or asynchronous: ``for slate in feed`` and ``async for slate in feed``."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, Self, TypeVar

from streams.client.reader import Reader, Record
from streams.errors import BrokerError

T = TypeVar("T")

LOOK_S: Final = 0.5
"""How long one look at the broker lasts at most; a record ends it at once."""


class Feed(Generic[T]):
    """Values as they come, for one thread or task; ``records`` has keys, times and removed keys as well.

    The value before counts as taken when the next one is asked for. An ``anext`` that was cancelled loses nothing.
    An error ends it; whoever mended the cause asks for another feed. Asynchronous ones wait in a thread of their own.
    Closed by ``with``, ``async with``, ``close`` or ``aclose``, or together with its ``Rillet``.
    """

    def __init__(self, reader: Reader[T]) -> None:
        self._reader = reader
        self._pending: asyncio.Future[Record[T] | None] | None = None
        self._thread = ThreadPoolExecutor(1, f"read {reader.output.topic}")

    @property
    def n_repeats(self) -> int:
        """Records dropped because their id had come before."""
        return self._reader.n_repeats

    @property
    def n_unreadable(self) -> int:
        """Records dropped because they are not what the topic holds; the first is logged as a warning."""
        return self._reader.n_unreadable

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._reader.ended

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while (record := self._record()) is not None:
            if record.value is not None:
                return record.value
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while (record := await self._arecord()) is not None:
            if record.value is not None:
                return record.value
        raise StopAsyncIteration

    def records(self) -> Iterator[Record[T]]:
        """With key, time and place; the value is None where a key was removed."""
        while (record := self._record()) is not None:
            yield record

    async def arecords(self) -> AsyncIterator[Record[T]]:
        """As ``records``, for ``async for``."""
        while (record := await self._arecord()) is not None:
            yield record

    def _record(self) -> Record[T] | None:
        while not self._reader.ended:
            record = self._reader.next(LOOK_S)
            if record is not None:
                return record
        self.close()
        return None

    async def _arecord(self) -> Record[T] | None:
        while self._pending is not None or not self._reader.ended:
            record = await self._next()
            if record is not None:
                return record
        await self.aclose()
        return None

    async def _next(self) -> Record[T] | None:
        """What was fetched ahead costs no thread; a look that was left in mid-wait is taken up again."""
        if self._pending is None:
            if self._reader.has_fetched:
                return self._reader.next(0)
            loop = asyncio.get_running_loop()
            self._pending = loop.run_in_executor(self._thread, self._reader.next, LOOK_S)
        try:
            record = await asyncio.shield(self._pending)
        except BrokerError:
            self._pending = None
            raise
        self._pending = None
        return record

    def close(self) -> None:
        """Commit what was taken, and leave the group."""
        self._reader.close()

    async def aclose(self) -> None:
        """As ``close``, without holding up the event loop."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.close)
        self._pending = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
