"""The newest value of each key of a compacted topic, kept in memory and up to date by a thread of its own."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final, Generic, Self, TypeVar

from streams.client.reader import Reader, Record

T = TypeVar("T")

LOOK_S: Final = 0.2
MAX_ENTRIES: Final = 1_000_000


class ReadModel(Generic[T]):
    """Newest values by key, bounded by ``max_entries``: the key that was updated longest ago is dropped first.

    Started by ``with``, ``async with`` or ``start``. Read from any thread. When reading fails, every question raises
    the error.
    """

    def __init__(self, reader: Reader[T], max_entries: int = MAX_ENTRIES) -> None:
        self._reader = reader
        self._max_entries = max_entries
        self._values: OrderedDict[bytes, T] = OrderedDict()
        self._caught_up: Future[None] = Future()
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"read {reader.output.topic}", daemon=True)
        self.n_dropped = 0
        """Keys that did not fit."""

    def start(self) -> Self:
        """Begin reading."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread; the values stay."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    async def caught_up(self) -> None:
        """Wait until all that was on the topic at the start is here."""
        await asyncio.shield(asyncio.wrap_future(self._caught_up))

    def wait_until_caught_up(self, timeout_s: float | None = None) -> None:
        """As ``caught_up``, without an event loop; ``TimeoutError`` when it takes longer."""
        self._caught_up.result(timeout_s)

    def get(self, key: str) -> T | None:
        """The newest value of ``key``, None without one."""
        self._check()
        return self._values.get(key.encode())

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        self._check()
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        """The keys there are now, the one updated longest ago first."""
        self._check()
        return iter([key.decode(errors="replace") for key in list(self._values)])

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # that of the time before would grow with every question

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                record = self._reader.next(LOOK_S)
                if record is not None:
                    self._apply(record)
                if self._reader.caught_up and not self._caught_up.done():
                    self._caught_up.set_result(None)
        except Exception as error:  # a thread has no one to raise to
            self._fail(error)
        finally:
            self._reader.close()
            if not self._caught_up.done():
                self._caught_up.cancel()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        if not self._caught_up.done():
            self._caught_up.set_exception(error)

    def _apply(self, record: Record[T]) -> None:
        key = record.key or b""
        if record.value is None:
            self._values.pop(key, None)
            return
        self._values[key] = record.value  # never missing in between: others read meanwhile
        self._values.move_to_end(key)
        if len(self._values) > self._max_entries:
            del self._values[next(iter(self._values))]
            self.n_dropped += 1

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)
