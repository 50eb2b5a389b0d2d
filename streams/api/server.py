"""One API process: settings in, a read model that follows, routes, a graceful end.

When the broker is away, at the start too, it serves what it holds. A disk that cannot be written ends it: it goes on
from its own offsets when started again.
"""

import asyncio
import logging
import signal
import socket
import sys
import threading
from typing import Final

import uvloop
from aiohttp import web

from schemas.api import NoQuery
from streams.api.answers import json
from streams.api.catalogue import Catalogue
from streams.api.dead_letters import Refused
from streams.api.figures import Overview
from streams.api.gate import Gate, is_about_us, strangers
from streams.api.live import Hub
from streams.api.openapi import document
from streams.api.operations import EVENT_STREAM, Operation
from streams.api.page import LivePage
from streams.api.person import Person
from streams.api.post import Post
from streams.api.read_model import ReadModel, Sweeper
from streams.api.reports import Reports
from streams.api.slates import Slates
from streams.api.sse import Streams
from streams.api.store import Store
from streams.api.system import Standing
from streams.api.tail import Tail
from streams.api.tokens import Tokens
from streams.api.workers import Workers
from streams.broker_log import BrokerLog
from streams.broker_wait import wait_for_broker
from streams.errors import BrokerError, RilletError, SettingsError
from streams.explain.ask import default_url
from streams.settings import Settings

log = logging.getLogger("rillet")

EX_SOFTWARE: Final = 70
KEEPALIVE_S: Final = 75.0
SWITCH_S: Final = 0.0005
"""The threads that read the broker leave the interpreter to requests after so long."""


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is returned.

    Raises:
        SettingsError: the address is taken, or open to others without tokens; the folder is another's.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(BrokerLog(settings.kafka.bootstrap_servers))
    logging.getLogger("aiohttp.server").addFilter(is_about_us)
    sys.setswitchinterval(SWITCH_S)
    tokens = Tokens.of(settings.api)
    listening = _listen(settings)
    store = Store(settings.api.datadir)
    try:
        return uvloop.run(Api(settings, tokens, store).serve(listening))
    finally:
        store.close()


class Api:
    """Everything that one process serves."""

    def __init__(self, settings: Settings, tokens: Tokens, store: Store) -> None:
        self._settings = settings
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._given_up = threading.Event()
        self._hub = Hub()
        conf = settings.kafka.client_conf()
        self._read_model = ReadModel(settings, store, self._hub, self._crash)
        self._sweeper = Sweeper(store, settings.api)
        self._workers = Workers(
            settings.api.workers or [default_url(settings.worker)], settings.topics.partitions
        )
        self._post = Post(settings, self._crash)
        slates = Slates(store, self._workers)
        self._streams = Streams(settings.api, self._hub, store, slates, Tail(conf, self._hub))
        self._standing = Standing(self._read_model, store, self._workers, self._streams.__len__)
        self._page = LivePage()
        self._gate = Gate(settings.api, tokens)
        self._operations = [
            *slates.operations(),
            *Catalogue(store).operations(),
            *Person(self._workers).operations(),
            *self._post.operations(),
            *self._streams.operations(),
            *Reports(store).operations(),
            *Refused(store, settings.kafka).operations(),
            *self._standing.operations(),
            *Overview(self._workers).operations(),
        ]

    def document(self) -> dict[str, object]:
        """The OpenAPI document."""
        return document(self._operations)

    async def serve(self, listening: socket.socket) -> int:
        """Serve until told to end; the exit code is returned."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ending.set)
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            auto_decompress=False,  # it would unpack a bomb to its end, for anybody
            keepalive_timeout=KEEPALIVE_S,
            handler_cancellation=True,
        )
        await runner.setup()
        await self._workers.start()
        self._post.start()
        beside = [asyncio.create_task(work) for work in (self._follow(), self._hub.run())]
        for task in beside:
            task.add_done_callback(self._supervise)
        await web.SockSite(runner, listening, backlog=1024).start()
        host, port = listening.getsockname()[:2]
        log.info("api_started http=http://%s:%d", f"[{host}]" if ":" in host else host, port)
        await self._ending.wait()
        self._standing.draining = True
        self._given_up.set()
        for task in beside:
            task.cancel()
        await runner.cleanup()
        await self._workers.stop()
        await asyncio.to_thread(self._read_model.stop)
        await asyncio.to_thread(self._post.close)
        return _exit_code(self._failure) if self._failure else 0

    async def _follow(self) -> None:
        """Follow once the broker answers, and keep what is held within its bounds."""
        await asyncio.to_thread(wait_for_broker, self._settings, self._given_up)
        await self._read_model.start()
        await self._sweeper.run()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[strangers], client_max_size=self._settings.api.max_body_bytes)
        described = json(document(self._operations)).body
        for operation in [*self._operations, *_documents(described), *_of_page(self._page)]:
            handle = self._gate.wrap(operation)
            app.router.add_route(operation.method, operation.path, handle)
            if operation.method == "GET" and operation.media != EVENT_STREAM:
                app.router.add_route("HEAD", operation.path, handle)
        app.on_shutdown.append(self._streams.close)
        return app

    def _supervise(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)

    def _crash(self, error: BaseException) -> None:
        message = str(error) if isinstance(error, RilletError) else f"{type(error).__name__}: {error}"
        log.critical("api_stops exit=%d: %s", _exit_code(error), message)
        self._failure = error
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)


def _exit_code(error: BaseException) -> int:
    """What no other start mends is told apart."""
    return error.exit_code if isinstance(error, SettingsError | BrokerError) else EX_SOFTWARE


def _listen(settings: Settings) -> socket.socket:
    api = settings.api
    try:
        family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
        return socket.create_server((api.host, api.port), family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on {api.host}:{api.port}: {error.strerror}.",
            fix="Set api.port (RILLET_API__PORT) to a free port, 0 for any.",
        ) from error


def _documents(described: object) -> list[Operation]:
    async def openapi(_: web.Request, __: NoQuery) -> web.StreamResponse:
        return web.Response(body=described, content_type="application/json")

    return [
        Operation(
            method="GET",
            path="/openapi.json",
            name="openapi",
            tag="system",
            summary="This document.",
            handler=openapi,
            scope=None,
            gives=None,
        )
    ]


def _of_page(page: LivePage) -> list[Operation]:
    async def file(request: web.Request, _: NoQuery) -> web.StreamResponse:
        return await page.file(request)

    return [
        Operation(
            method="GET",
            path=path,
            name="page",
            tag="system",
            summary="The live page.",
            handler=file,
            scope=None,
            gives=None,
            media="text/html",
        )
        for path in ("/", "/{name:(?!v1/).+}")
    ]
