"""Spans of OpenTelemetry: one a fetch, linked to the traces of its events, exported by OTLP.

On where ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set, unless ``OTEL_SDK_DISABLED``
or ``OTEL_TRACES_EXPORTER=none`` say otherwise; the SDK reads the other variables of the standard itself. No event and
no slate has a span here: their trace context travels in headers, by ``models.ingest.trace``, with or without this.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from models.ingest.record import Record
from models.ingest.trace import carried
from streams.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

MAX_LINKS: Final = 128
"""Of one span, the standard's default limit; further traces of the fetch are not linked."""
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Tracing(Protocol):
    """What the flow tells of its fetches."""

    def fetch(self, batches: Sequence[Sequence[Record]]) -> AbstractContextManager[None]:
        """Encloses the processing of one fetch."""

    def close(self) -> None:
        """Export what is waiting."""


class Untraced:
    """No tracing."""

    def fetch(self, batches: Sequence[Sequence[Record]]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing."""
        return nullcontext()

    def close(self) -> None:
        """Nothing."""


class Traced:
    """A span a fetch. What cannot be exported in time is dropped by the SDK, whose queue is bounded."""

    def __init__(self, exporter: "SpanExporter", group: str, worker: str) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        ours = {"service.name": "rillet-worker", "service.instance.id": worker}
        resource = Resource(ours).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("rillet", version("rillet"))
        self._group = group

    @contextmanager
    def fetch(self, batches: Sequence[Sequence[Record]]) -> Iterator[None]:
        """A span of kind consumer, with a link to each trace that the events belong to."""
        from opentelemetry.trace import SpanKind

        attributes: dict[str, Any] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": self._group,
            "messaging.batch.message_count": sum(map(len, batches)),
            "rillet.topics": sorted({records[0].topic for records in batches}),
        }
        links = _links(record for records in batches for record in records if record.headers)
        with self._tracer.start_as_current_span(
            "process fetch", kind=SpanKind.CONSUMER, attributes=attributes, links=links
        ):
            yield

    def close(self) -> None:
        """Export what is waiting, at most for the exporter's own timeout."""
        self._provider.shutdown()


def tracing(environ: Mapping[str, str], group: str, worker: str) -> Tracing:
    """As the standard's variables say.

    Raises:
        SettingsError: spans are wanted, and the packages for it are not installed, or the protocol is another one.
    """
    if not _wanted(environ):
        return Untraced()
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise SettingsError(
            f"Spans are sent by http/protobuf, not by {protocol}.",
            fix=f"Unset {_PROTOCOLS[1]}, and name the collector's HTTP port, 4318 by default.",
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{_ENDPOINTS[1]} asks for spans, which need a package that is not installed: {error.name}.",
            fix="Install it, pip install 'rillet[otel]', or set OTEL_SDK_DISABLED=true.",
        ) from error
    return Traced(OTLPSpanExporter(), group, worker)


def _wanted(environ: Mapping[str, str]) -> bool:
    if (
        environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        return False
    return any(environ.get(name) for name in _ENDPOINTS)


def _links(records: Iterable[Record]) -> list[Any]:
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    traces = islice(filter(None, map(carried, records)), MAX_LINKS)
    return [
        Link(
            SpanContext(
                int(trace.trace_id, 16),
                int(trace.span_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(trace.flags),
            )
        )
        for trace in traces
    ]
