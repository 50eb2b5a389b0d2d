"""Spans of OpenTelemetry: when they are made, what they say, and that they reach a collector."""

from typing import Any, NamedTuple

import pytest
from otlp_collector import collector

from schemas import topics
from streams.errors import SettingsError
from streams.tracing import MAX_LINKS, Traced, Untraced, tracing

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01".encode()
SOMEWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


class Given(NamedTuple):
    headers: Any = ()
    topic: str = topics.BROWSE
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        SOMEWHERE | {"OTEL_SDK_DISABLED": "true"},
        SOMEWHERE | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_traced_unless_the_variables_of_the_standard_ask_for_it(environ: dict[str, str]) -> None:
    off = tracing(environ, "shop", "w1")
    assert isinstance(off, Untraced)
    with off.fetch([]):
        off.close()


def test_another_protocol_than_http_is_refused_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match=r"not by grpc") as refused:
        tracing(SOMEWHERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "shop", "w1")
    assert "4318" in str(refused.value)


def test_a_span_a_fetch_linked_to_the_traces_of_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as there:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": there.address}
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.address)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        ours = tracing(environ, "shop", "w1")
        assert isinstance(ours, Traced)
        traced = Given([("traceparent", PARENT)])
        with ours.fetch([[traced, Given()], [Given(topic=topics.SEARCH)]]):
            pass
        with pytest.raises(RuntimeError), ours.fetch([[Given()]]):
            raise RuntimeError
        ours.close()
    span, failed = there.spans
    said = {each.key: each.value for each in span.attributes}
    assert span.name == "process fetch"
    assert said["messaging.batch.message_count"].int_value == 3
    assert said["messaging.consumer.group.name"].string_value == "shop"
    (link,) = span.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert there.resources[0] == {
        "service.name": "rillet-worker",
        "service.instance.id": "w1",
        "deployment.environment.name": "test",
    }
    assert failed.status.code == failed.status.STATUS_CODE_ERROR


def test_links_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as there:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{there.address}/v1/traces")
        ours = tracing({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": there.address}, "shop", "w1")
        with ours.fetch([[Given([("traceparent", PARENT)])] * (MAX_LINKS + 5)]):
            pass
        ours.close()
    assert len(there.spans[0].links) == MAX_LINKS
    assert there.spans[0].dropped_links_count == 0
