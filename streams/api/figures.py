"""The metrics that show how the system does, of every worker and of the API: what the live page draws.

For Prometheus there are the endpoints of the processes themselves.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.api import NoQuery
from schemas.figures import Figures, Sample, WorkerFigures
from streams.api.answers import json
from streams.api.operations import Operation
from streams.api.workers import Workers

PROCESS: Final = ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds")
OF_WORKERS: Final = (
    "rillet_build_info",
    "rillet_committed_offset",
    "rillet_embedding_info",
    "rillet_items",
    "rillet_lag_records",
    "rillet_lost_records_total",
    "rillet_memory_limit_bytes",
    "rillet_outbox_records",
    "rillet_ready",
    "rillet_records_total",
    "rillet_recovering",
    "rillet_rejected_total",
    "rillet_slate_latency_seconds_bucket",
    "rillet_slates_total",
    "rillet_source_bytes",
    "rillet_stage_seconds_total",
    "rillet_state_disk_free_bytes",
    "rillet_state_disk_size_bytes",
    "rillet_table_bytes",
    *PROCESS,
)
OF_THE_API: Final = (
    "rillet_api_entries",
    "rillet_api_records_total",
    "rillet_api_request_seconds_bucket",
    "rillet_api_requests_total",
    "rillet_api_stream_messages_total",
    "rillet_api_streams",
    "rillet_api_visible_seconds_bucket",
    *PROCESS,
)


class Overview:
    """Asks the workers."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/figures",
                name="figures",
                tag="system",
                summary="Lag, latency, memory and counts of the workers and the API, as their metrics have them.",
                handler=self.figures,
                scope="read",
                gives=Figures,
                slow=True,
            )
        ]

    async def figures(self, _: web.Request, __: NoQuery) -> web.StreamResponse:
        """All of them now."""
        texts = await self._workers.texts("/metrics")
        return json(await asyncio.to_thread(_figures, texts))


def _figures(texts: Mapping[str, str]) -> Figures:
    """Some 8 ms a worker, which requests should not wait for."""
    workers = [
        WorkerFigures(address=address, samples=list(samples(text, OF_WORKERS)))
        for address, text in texts.items()
    ]
    own = [each for each in samples(generate_latest().decode(), OF_THE_API) if each.value]
    return Figures(time_ms=time.time_ns() // 1_000_000, workers=workers, api=own)


def samples(text: str, names: tuple[str, ...]) -> Iterator[Sample]:
    """The samples of these names in a text as Prometheus reads it."""
    wanted = re.compile(rf"^(?:{'|'.join(names)})[ {{].*$", re.MULTILINE)
    for family in text_string_to_metric_families("\n".join(wanted.findall(text)) + "\n"):
        for name, labels, value, *_ in family.samples:
            yield Sample(name=name, labels=labels, value=value)
