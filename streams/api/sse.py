"""Server-sent events (WHATWG HTML): a user's slate as it changes, and channels of everything that comes."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Final

from aiohttp import web

from schemas.api import NoQuery, StreamQuery
from streams.api import metrics
from streams.api.gate import secure
from streams.api.live import CHANNELS, EVENTS, Hub, Tap, Watch, as_message
from streams.api.operations import EVENT_STREAM, Operation, id_of
from streams.api.problems import AwayError, BadRequestError
from streams.api.settings import ApiSettings
from streams.api.slates import Slates
from streams.api.store import LOGS, Logged, Store
from streams.api.tail import Tail
from streams.follow import FollowedRecord

PING: Final = b": ping\n\n"
RETRY: Final = b"retry: 2000\n\n"
MAX_RESUMED: Final = 200
"""Reports sent again to who comes back."""
STALLED_S: Final = 30.0
"""Seconds after which who takes nothing is left."""
ALIASES: Final = {"metrics": ("quality", "checks", "model", "value")}


class Streams:
    """Open streams, so many at most."""

    def __init__(self, settings: ApiSettings, hub: Hub, store: Store, slates: Slates, tail: Tail) -> None:
        self._settings = settings
        self._hub = hub
        self._store = store
        self._slates = slates
        self._tail = tail
        self._open: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/users/{user}/slate/stream",
                name="slate-stream",
                tag="streams",
                summary="A user's slate now, and again whenever it changes.",
                handler=self.slate,
                scope="read",
                gives=None,
                media=EVENT_STREAM,
                refuses=(503,),
            ),
            Operation(
                method="GET",
                path="/v1/stream",
                name="stream",
                tag="streams",
                summary="What comes on some topics, at a bearable pace.",
                handler=self.channels,
                scope="read",
                query=StreamQuery,
                gives=None,
                media=EVENT_STREAM,
                refuses=(503,),
            ),
        ]

    async def slate(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """One user's."""
        user = id_of(request, "user")
        watch = self._hub.watch(user.encode())
        held = self._slates.newest(user)
        if request.headers.get("Last-Event-ID", "") != held.id.decode():
            watch.put(held.id, held.body)
        try:
            return await self._send(request, "slate", watch, watch.take)
        finally:
            self._hub.unwatch(user.encode(), watch)

    async def channels(self, request: web.Request, query: StreamQuery) -> web.StreamResponse:
        """Some channels."""
        names = channels(query.topics)
        first = list(self._since(names, _since_ms(request, query)))
        tap = self._hub.tap(names, query.max_per_s)
        try:
            await self._tail.wanted(EVENTS in names)
            return await self._send(request, "channels", tap, tap.take, first)
        finally:
            self._hub.untap(tap)
            await asyncio.shield(self._tail.settle())

    def _since(self, names: frozenset[str], since_ms: int | None) -> Iterator[bytes]:
        """Reports from a time on, the oldest first; those of that very millisecond may have been sent before."""
        if since_ms is None:
            return
        for name in sorted(names & CHANNELS.keys()):
            if (topic := CHANNELS[name]) in LOGS:
                newest = takewhile(lambda each: each.time_ms >= since_ms, self._store.newest(topic))
                for each in reversed(list(islice(newest, MAX_RESUMED))):
                    yield as_message(name, _record(topic, each), each.body)

    async def _send(
        self,
        request: web.Request,
        kind: str,
        news: Watch | Tap,
        take: Callable[[], list[bytes]],
        first: list[bytes] | None = None,
    ) -> web.StreamResponse:
        if len(self._open) >= self._settings.max_streams:
            raise AwayError(
                f"{len(self._open)} streams are open.",
                fix="Come again, ask another replica, or raise api.max_streams.",
                retry_s=5,
            )
        response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"})
        secure(response)
        task = asyncio.current_task()
        assert task is not None, "handlers run in tasks"
        self._open.add(task)
        metrics.STREAMS.labels(kind).inc()
        try:
            await response.prepare(request)
            await self._write(response, [RETRY, *(first or [])])
            while True:
                try:
                    async with asyncio.timeout(self._settings.ping_s):
                        await news.news.wait()
                    sent = take()
                except TimeoutError:
                    sent = [PING]
                await self._write(response, sent)
                metrics.SENT.labels(kind).inc(len(sent))
        except ConnectionError:
            return response
        except TimeoutError:  # it would wait for its last bytes to be taken, for ever
            if request.transport is not None:
                request.transport.abort()
            return response
        finally:
            self._open.discard(task)
            metrics.STREAMS.labels(kind).dec()

    async def _write(self, response: web.StreamResponse, messages: list[bytes]) -> None:
        async with asyncio.timeout(STALLED_S):
            await response.write(b"".join(messages))

    async def close(self, _: web.Application) -> None:
        """End every stream; clients come again to another replica."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


def channels(text: str) -> frozenset[str]:
    """Names of channels in ``a,b``."""
    found: set[str] = set()
    for name in filter(None, (each.strip() for each in text.split(","))):
        found.update(ALIASES.get(name, (name,)))
    unknown = sorted(found - CHANNELS.keys() - {EVENTS})
    if unknown or not found:
        raise BadRequestError(
            f"There is no channel {unknown[0]!r}." if unknown else "No channel is named.",
            fix=f"Known are: {', '.join([*CHANNELS, EVENTS, *ALIASES])}.",
        )
    return frozenset(found)


def _since_ms(request: web.Request, query: StreamQuery) -> int | None:
    last = request.headers.get("Last-Event-ID", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) <= 15 else query.since_ms


def _record(topic: str, report: Logged) -> FollowedRecord:
    return FollowedRecord(topic, report.partition, report.offset, report.time_ms, report.key, None, ())
