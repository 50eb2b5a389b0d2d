"""Whether the API lives, is ready, and how far it is."""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.api import Health, NoQuery, System
from streams.api import metrics
from streams.api.answers import json
from streams.api.operations import Operation
from streams.api.read_model import ReadModel
from streams.api.store import Store
from streams.api.workers import Workers

TEXT: Final = "text/plain"


class Standing:
    """Reads what the others know of themselves."""

    def __init__(
        self, read_model: ReadModel, store: Store, workers: Workers, n_streams: Callable[[], int]
    ) -> None:
        self._read_model = read_model
        self._store = store
        self._workers = workers
        self._n_streams = n_streams
        self._began_s = time.monotonic()
        self.draining = False

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/livez",
                name="livez",
                tag="system",
                summary="Answers while the event loop turns.",
                handler=self.livez,
                scope=None,
                gives=Health,
            ),
            Operation(
                method="GET",
                path="/readyz",
                name="readyz",
                tag="system",
                summary="Whether all that was on the topics at the start is held.",
                handler=self.readyz,
                scope=None,
                gives=Health,
                answers=(503,),
            ),
            Operation(
                method="GET",
                path="/metrics",
                name="metrics",
                tag="system",
                summary="Figures for Prometheus.",
                handler=self.metrics,
                scope=None,
                gives=None,
                media=TEXT,
            ),
            Operation(
                method="GET",
                path="/v1/system",
                name="system",
                tag="system",
                summary="How far the read model is, and whether the workers answer.",
                handler=self.system,
                scope="read",
                gives=System,
                slow=True,
            ),
        ]

    def missing(self) -> list[str]:
        """What keeps it from being ready."""
        missing = ["going on: it was told to stop"] if self.draining else []
        return missing if self._read_model.caught_up else [*missing, "read model caught up"]

    async def livez(self, _: web.Request, __: NoQuery) -> web.StreamResponse:
        """Alive."""
        return json(Health(status="alive", uptime_s=round(self._uptime_s(), 1)))

    async def readyz(self, _: web.Request, __: NoQuery) -> web.StreamResponse:
        """Ready, or what is missing."""
        missing = self.missing()
        body = Health(status="waiting" if missing else "ready", missing=missing)
        return json(body, status=503 if missing else 200)

    async def metrics(self, _: web.Request, __: NoQuery) -> web.StreamResponse:
        """Figures."""
        metrics.READY.set(not self.missing())
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def system(self, _: web.Request, __: NoQuery) -> web.StreamResponse:
        """All there is to know."""
        return json(
            System(
                version=version("rillet"),
                uptime_s=round(self._uptime_s(), 1),
                caught_up=self._read_model.caught_up,
                n_streams=self._n_streams(),
                size_bytes=self._store.size_bytes,
                topics=self._read_model.standing(),
                workers=await self._workers.standing(),
            )
        )

    def _uptime_s(self) -> float:
        return time.monotonic() - self._began_s
