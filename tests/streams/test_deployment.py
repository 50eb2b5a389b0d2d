"""All processes of the compose file together, against a real Kafka: health, slates, traces, metrics, dashboards."""

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from chaos import wait_for
from compose import Compose, compose
from confluent_kafka import Producer
from otlp_collector import Collector, collector
from prometheus_tools import tool
from topic_content import all_of

from schemas import topics
from streams.broker import KafkaBroker
from streams.dashboards.catalogue import DASHBOARDS
from streams.dashboards.panel import Query
from streams.follow import FollowedRecord

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SERVED = ("worker-1", "worker-2", "trainer", "api")
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
TOKEN = {"Authorization": "Bearer rillet-on-loopback"}


@pytest.fixture(scope="module")
def spans() -> Iterator[Collector]:
    with collector() as there:
        yield there


@pytest.fixture(scope="module")
def running(
    module_kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory, spans: Collector
) -> Iterator[Compose]:
    """Started in the order that the services ask for, ready by their own health checks."""
    extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": spans.address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with compose(module_kafka.bootstrap_servers, tmp_path_factory.mktemp("compose"), extra) as there:
        assert there.run("topics") == 0, there.log("topics").read_text()
        for name in SERVED:
            there.start(name)
        for name in SERVED:
            wait_for(lambda name=name: there.ready(name), f"{name} is ready", timeout_s=300)
        yield there


class Shop:
    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 1}
        )

    def view(self, user: str, event_id: str, headers: list[tuple[str, bytes]], **fields: Any) -> None:
        event = {
            "event_id": event_id,
            "user_id": user,
            "time_ms": int(time.time() * 1000),
            "item_id": "i1",
            **fields,
        }
        self.send(user, json.dumps(event).encode(), headers)

    def send(self, user: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self._producer.produce(topics.BROWSE, value, user.encode(), headers=headers)
        assert self._producer.flush(10) == 0

    def found(self, topic: str, accept: Callable[[FollowedRecord], bool]) -> FollowedRecord:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for record in all_of(self._servers, topic):
                if accept(record):
                    return record
        raise AssertionError(f"nothing such came on {topic}")

    def slate(self, event_id: str) -> dict[str, bytes]:
        """Headers of the slate that the event caused."""
        found = self.found(
            topics.SLATES, lambda record: dict(record.headers).get("rillet.event-id") == event_id.encode()
        )
        return dict(found.headers)


@pytest.fixture(scope="module")
def shop(running: Compose, module_kafka: KafkaBroker) -> Shop:
    return Shop(module_kafka.bootstrap_servers)


def get(address: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.read().decode()


def test_the_health_checks_of_the_services_pass(running: Compose) -> None:
    assert [name for name in SERVED if not running.healthy(name)] == []


def test_an_event_becomes_a_slate_on_its_topic_and_over_http(running: Compose, shop: Shop) -> None:
    shop.view("u1", "e1", [])
    headers = shop.slate("e1")
    assert "traceparent" not in headers
    address = f"{running.address('api')}/v1/users/u1/slate"
    wait_for(lambda: '"e1"' in get(address, **TOKEN)[1], "the API has the slate", timeout_s=30)


def test_the_slate_belongs_to_the_trace_of_its_event(shop: Shop, spans: Collector) -> None:
    shop.view("u2", "e2", [("traceparent", PARENT.encode()), ("tracestate", b"shop=7")])
    headers = shop.slate("e2")
    version, trace_id, span_id, flags = headers["traceparent"].decode().split("-")
    assert (version, trace_id, flags, headers["tracestate"]) == ("00", TRACE_ID, "01", b"shop=7")
    assert span_id != SPAN_ID
    links = lambda: [link.trace_id.hex() for span in spans.spans for link in span.links]  # noqa: E731
    wait_for(lambda: TRACE_ID in links(), "a span is linked to the trace", timeout_s=30)


def test_the_trace_of_a_cloudevent_is_carried_on(shop: Shop) -> None:
    event = {"event_id": "e3", "user_id": "u3", "time_ms": int(time.time() * 1000), "item_id": "i1"}
    envelope = {"specversion": "1.0", "id": "e3", "type": "shop.browse", "source": "/shop", "data": event}
    value = json.dumps({**envelope, "traceparent": PARENT}).encode()
    shop.send("u3", value, [("content-type", b"application/cloudevents+json")])
    assert shop.slate("e3")["traceparent"].decode().split("-")[1] == TRACE_ID


def test_a_dead_letter_keeps_the_trace_of_its_record(shop: Shop) -> None:
    shop.send("u4", b'{"broken', [("traceparent", PARENT.encode())])
    letter = shop.found(topics.DEAD_LETTER, lambda record: record.value == b'{"broken')
    assert dict(letter.headers)["traceparent"] == PARENT.encode()


@pytest.mark.parametrize("name", SERVED)
def test_metrics_follow_the_conventions_of_prometheus(running: Compose, name: str) -> None:
    _, served = get(f"{running.address(name)}/metrics")
    ended = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=served, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


class Prometheus:
    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, query: str) -> list[Any]:
        asked = query.replace("$__rate_interval", "1m").replace("$__range", "5m")
        status, body = get(f"{self._address}/api/v1/query?{urllib.parse.urlencode({'query': asked})}")
        assert status == 200
        return list(json.loads(body)["data"]["result"])

    def ready(self) -> bool:
        try:
            return get(f"{self._address}/-/ready")[0] == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def prometheus(running: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """With the settings and rules of the compose file."""
    program, folder = tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    given = ROOT / "deploy" / "prometheus"
    (folder / "alerts.yml").write_text((given / "alerts.yml").read_text())
    settings = re.sub(r" *scrape_timeout: .*\n", "", running.mapped((given / "prometheus.yml").read_text()))
    settings = re.sub(r"interval: \d+s", "interval: 1s", settings)
    (folder / "prometheus.yml").write_text(settings)
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *options, f"--web.listen-address={address}"], stdout=log, stderr=log
        )
    try:
        started = Prometheus(f"http://{address}")
        wait_for(started.ready, "Prometheus is ready", timeout_s=60)
        yield started
    finally:
        process.terminate()
        process.wait(20)


WITHOUT_DATA = {
    "rillet-overview": {"Dead letters by reason", "Repeats", "Late slates", "Open streams"},
}
"""Panels that may be empty after a few events."""


def test_prometheus_reaches_every_process_and_the_dashboards_show_what_happens(
    prometheus: Prometheus, shop: Shop
) -> None:
    wait_for(lambda: len(prometheus.ask("up == 1")) == len(SERVED), "all targets are up", timeout_s=60)
    n = iter(range(10_000))

    def flows() -> bool:
        for _ in range(20):
            at = next(n)
            shop.view(f"v{at % 7}", f"p{at}", [], item_id=f"i{at % 5}")
        return bool(prometheus.ask('rate(rillet_slates_total{kind="user"}[1m]) > 0'))

    wait_for(flows, "slates are counted", timeout_s=60)
    for board in DASHBOARDS:
        for panel in (panel for row in board.rows for panel in row.panels):

            def shown(queries: Sequence[Query] = panel.queries) -> bool:
                answers = [prometheus.ask(query.expr) for query in queries]
                return any(answers)

            if board.name in WITHOUT_DATA and panel.title not in WITHOUT_DATA[board.name]:
                wait_for(shown, f"{board.title}: {panel.title} shows something")
            else:
                shown()


def test_a_health_check_fails_where_nothing_answers(running: Compose) -> None:
    port = running.ports["trainer"]
    running.ports["trainer"] = 1
    assert not running.healthy("trainer")
    running.ports["trainer"] = port


def test_all_end_in_order_when_they_are_told_to(running: Compose) -> None:
    assert running.stop(*SERVED) == dict.fromkeys(SERVED, 0)
