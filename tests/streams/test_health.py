"""Liveness, readiness and metrics, asked for over HTTP."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from streams.errors import SettingsError
from streams.health import Health, check_address


async def get(port: int, path: str) -> tuple[int, Any, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        body = await (answer.json() if answer.content_type == "application/json" else answer.text())
        return answer.status, body, answer.headers["Content-Type"]


def ask(health: Health, *paths: str) -> list[tuple[int, Any, str]]:
    async def main() -> list[tuple[int, Any, str]]:
        port = await health.start("127.0.0.1", 0)
        try:
            return [await get(port, path) for path in paths]
        finally:
            await health.stop()

    return asyncio.run(main())


def health(missing: Callable[[], list[str]] = list, refresh: Callable[[], None] = lambda: None) -> Health:
    return Health(missing, refresh)


def test_it_lives_whatever_is_missing() -> None:
    ((status, body, _),) = ask(health(lambda: ["tables recovered"]), "/livez")
    assert (status, body["status"]) == (200, "alive")
    assert body["uptime_s"] >= 0.0


def test_it_is_ready_when_nothing_is_missing_and_tells_what_is() -> None:
    missing = iter([["tables recovered", "partitions assigned"], []])
    waiting, ready = ask(health(lambda: next(missing)), "/readyz", "/readyz")
    assert waiting[:2] == (503, {"status": "waiting", "missing": ["tables recovered", "partitions assigned"]})
    assert ready[:2] == (200, {"status": "ready", "missing": []})


def test_metrics_are_brought_up_to_date_before_they_are_served() -> None:
    refreshed: list[int] = []
    ((status, body, content_type),) = ask(health(refresh=lambda: refreshed.append(1)), "/metrics")
    assert (status, refreshed) == (200, [1])
    assert content_type.startswith("text/plain; version=")
    assert "# TYPE " in body


def test_other_paths_are_not_found() -> None:
    assert ask(health(), "/")[0][0] == 404


def test_nothing_listens_after_it_stopped() -> None:
    async def main() -> None:
        ours = health()
        port = await ours.start("127.0.0.1", 0)
        await ours.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(port, "/livez")

    asyncio.run(main())


def test_stopping_what_never_started_is_no_error() -> None:
    asyncio.run(health().stop())


def test_an_address_that_is_taken_is_refused_with_the_setting_that_names_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Nothing can listen on 127.0.0.1:{port}") as refused:
            check_address("127.0.0.1", port, "trainer")
    assert "RILLET_TRAINER__WEB_PORT" in str(refused.value)
    check_address("127.0.0.1", port, "trainer")
