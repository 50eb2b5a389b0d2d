"""Who comes back gets what was missed; who takes nothing is left, connection and all."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from schemas import topics
from schemas.api import NoQuery
from streams.api import sse
from streams.api.live import Hub
from streams.api.settings import ApiSettings
from streams.api.slates import Slates
from streams.api.sse import Streams
from streams.api.store import Logged, Store
from streams.api.tail import Tail
from streams.api.workers import Workers

MIB = 1024 * 1024


def test_reports_from_a_time_on_are_found_without_reading_the_others(tmp_path: Path) -> None:
    looked_at: list[int] = []

    class Watched(Store):
        def newest(self, topic: str, before: bytes | None = None) -> Iterator[Logged]:
            for each in super().newest(topic, before):
                looked_at.append(each.time_ms)
                yield each

    store, hub = Watched(tmp_path), Hub()
    for offset in range(100):
        store.changes().add(topics.ALERTS, 0, offset, 1_000 + offset, b"s", b"{}").write()
    streams = Streams(ApiSettings(), hub, store, Slates(store, Workers([], 4)), Tail({}, hub))
    found = list(streams._since(frozenset({"alerts"}), 1_098))
    assert [each.split(b"\n")[1] for each in found] == [b"id: 1098", b"id: 1099"]
    assert looked_at == [1_099, 1_098, 1_097]
    store.close()


def test_the_connection_of_a_client_that_takes_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STALLED_S", 0.2)
    store = Store(tmp_path)
    asyncio.run(asyncio.wait_for(leave_a_stalled_client(store), 20))
    store.close()


async def leave_a_stalled_client(store: Store) -> None:
    hub = Hub()
    streams = Streams(ApiSettings(), hub, store, Slates(store, Workers([], 4)), Tail({}, hub))

    async def handle(request: web.Request) -> web.StreamResponse:
        return await streams.slate(request, NoQuery())

    app = web.Application()
    app.router.add_get("/{user}", handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    with socket.create_connection(runner.addresses[0]) as client:
        client.sendall(b"GET /u HTTP/1.1\r\nHost: a\r\n\r\n")
        while not len(streams):
            await asyncio.sleep(0.01)
        while len(streams):
            hub.slate(b"u", b"1", b"x" * MIB)
            await asyncio.sleep(0.01)
        assert runner.server is not None
        while runner.server.connections:
            await asyncio.sleep(0.01)
    await runner.cleanup()
