"""Liveness, readiness, metrics and explanations over HTTP, on loopback unless told otherwise."""

import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.errors import SettingsError
from streams.explain.answer import Answer, refusal

JSON: Final = "application/json"
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Answers(Protocol):
    """What answers questions about users: by path, from the parameters of a GET or the body of a POST."""

    gets: Mapping[str, Callable[[Mapping[str, str]], Answer]]
    posts: Mapping[str, Callable[[bytes], Answer]]


class Health:
    """``/livez`` answers while the event loop turns, ``/readyz`` tells what is missing, ``/metrics`` all counts.

    ``answers`` answers questions about users, as ``streams.explain.answer`` lists them; without it none are taken.
    """

    def __init__(
        self,
        missing: Callable[[], list[str]],
        refresh: Callable[[], None],
        answers: Answers | None = None,
    ) -> None:
        self._missing = missing
        self._refresh = refresh
        self._answers = answers
        self._started = time.monotonic()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port is returned, which matters when 0 asked for a free one."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if self._answers is not None:
            for path, told in self._answers.gets.items():
                app.router.add_get(path, _told(told))
            for path, judged in self._answers.posts.items():
                app.router.add_post(path, _judged(judged))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "uptime_s": round(time.monotonic() - self._started, 1)})

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._missing()
        body = {"status": "waiting" if missing else "ready", "missing": missing}
        return web.json_response(body, status=503 if missing else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _told(answer: Callable[[Mapping[str, str]], Answer]) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return _sent(answer(request.query))

    return handle


def _judged(answer: Callable[[bytes], Answer]) -> Handler:
    """Bodies are JSON and say so: a page of another site cannot send that unasked."""

    async def handle(request: web.Request) -> web.Response:
        if request.content_type != JSON:
            return _sent(refusal(415, "The body is not declared as JSON.", f"Send Content-Type: {JSON}."))
        return _sent(answer(await request.read()))

    return handle


def _sent(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type=JSON)


def check_address(host: str, port: int, section: str) -> None:
    """Whether something can listen there; ``section`` of the settings names the address.

    Raises:
        SettingsError: nothing can.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on {host}:{port}: {error.strerror}.",
            fix=f"Set {section}.web_port (RILLET_{section.upper()}__WEB_PORT) to a free port, 0 for any; two "
            f"{section}s on one host need different ones.",
        ) from error
