"""One worker as a process: it says when it is ready, ends in order, and never writes what it must not."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from chaos import Oracle, WorkerProcess, read_all, shop_events, wait_for
from confluent_kafka import Producer

from models.quality.codec import decode as decode_profiles
from models.quality.settings import QualitySettings
from schemas import topics
from schemas.quality import QualityReport
from streams.broker import KafkaBroker

STOP_S = 15.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers, and leaves none behind."""
    started: list[WorkerProcess] = []

    def make(
        servers: str, app_id: str = "app", worker_id: str = "w1", datadir: Path = tmp_path, **extra: str
    ) -> WorkerProcess:
        datadir.mkdir(exist_ok=True)
        started.append(WorkerProcess(servers, app_id, worker_id, datadir, extra).start())
        return started[-1]

    yield make
    for worker in started:
        if worker.running:
            worker.kill()


def send(oracle: Oracle, n: int, seed: int = 1, per_s: int = 2_000, n_users: int = 200) -> None:
    """Events of the last seconds, at an even pace."""
    for i, (topic, event) in enumerate(shop_events(n, n_users, seed, int(time.time() * 1000) - n)):
        oracle.send(topic, event)
        if i % 50 == 0:
            time.sleep(50 / per_s)


def status(worker: WorkerProcess, path: str) -> int | None:
    """HTTP status, None when nothing listens."""
    try:
        return int(urllib.request.urlopen(f"{worker.health()}{path}", timeout=2).status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def assert_clean(log: str) -> None:
    assert "Traceback" not in log
    assert "Task was destroyed" not in log
    assert "\x1b" not in log
    assert "CRITICAL" not in log
    assert "ERROR" not in log


def test_a_worker_told_to_stop_under_load_ends_in_order_and_goes_on_where_it_was(
    own_kafka: KafkaBroker, start: Callable[..., WorkerProcess]
) -> None:
    worker, oracle = start(own_kafka.bootstrap_servers), Oracle(own_kafka.bootstrap_servers)
    before = wait_for(lambda: status(worker, "/readyz"), "health answers", worker=worker)
    assert worker.metrics()["rillet_recovering"] == 1, "it answers before the tables are there"
    wait_for(worker.ready, "the worker is ready", worker=worker)
    assert before == 503
    assert (status(worker, "/livez"), status(worker, "/readyz")) == (200, 200)

    load = threading.Thread(target=send, args=(oracle, 6_000))
    load.start()
    wait_for(lambda: len(oracle.sent) > 2_000, "the load runs", worker=worker)
    assert worker.process is not None
    worker.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    seen = set()
    while worker.running:
        seen.add(status(worker, "/readyz"))
        assert time.monotonic() - told < STOP_S, worker.tail()
    assert worker.process.returncode == 0
    assert 503 in seen
    load.join()
    oracle.flush()

    worker.start()
    wait_for(lambda: oracle.settled("app"), "all events are committed", worker=worker)
    assert worker.stop() == 0
    found = oracle.check("app")
    assert found.sound, found
    assert found.repeated_slates == 0, "what was acknowledged before the stop was committed"
    assert_clean(worker.log_path.read_text())


def test_a_worker_runs_on_the_embedded_broker(embedded: str, start: Callable[..., WorkerProcess]) -> None:
    worker, oracle = start(embedded), Oracle(embedded)
    wait_for(worker.ready, "the worker is ready", worker=worker)
    send(oracle, 500)
    oracle.flush()
    n_browsed = sum(topic == topics.BROWSE for topic, _, _ in oracle.sent)
    taken = f'rillet_records_total{{topic="{topics.BROWSE}"}}'
    wait_for(lambda: worker.metrics().get(taken) == n_browsed, "all events are taken", worker=worker)
    assert worker.stop() == 0
    slates = read_all(embedded, topics.SLATES)
    assert {slate.key().decode() for slate in slates} <= {event.user_id for event in oracle.sent.values()}
    assert slates
    assert_clean(worker.log_path.read_text())


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("RILLET_WORKER__SESION_TIMEOUT_S", "6", "did you mean worker.session_timeout_s?"),
        ("RILLET_WORKER__COMMIT_INTERVAL_S", "soon", "worker.commit_interval_s"),
        ("RILLET_WORKER__WEB_PORT", "taken", "Set worker.web_port"),
    ],
)
def test_wrong_settings_are_named_with_the_way_out_before_anything_starts(
    tmp_path: Path, variable: str, value: str, named: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        value = str(taken.getsockname()[1]) if value == "taken" else value
        done = subprocess.run(
            [sys.executable, "-c", "from streams.cli import main; main()", "worker"],
            env={
                **os.environ,
                "RILLET_BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "RILLET_DATADIR": str(tmp_path / "state"),
                variable: value,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert named in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_of_two_workers_with_one_id_the_first_is_expelled_and_says_so(
    own_kafka: KafkaBroker, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    servers = own_kafka.bootstrap_servers
    first, oracle = start(servers), Oracle(servers)
    wait_for(first.ready, "the first is ready", worker=first)
    load = threading.Thread(target=send, args=(oracle, 8_000, 1, 800))
    load.start()
    wait_for(lambda: len(oracle.sent) > 1_000, "the load runs", worker=first)
    second = start(servers, datadir=tmp_path / "elsewhere")
    wait_for(lambda: not first.running, "the first has ended", worker=first)
    assert first.process is not None
    assert first.process.returncode == 70
    assert "another worker has its id" in first.tail()
    assert "RILLET_WORKER_ID" in first.tail()
    load.join()
    oracle.flush()
    wait_for(lambda: oracle.settled("app"), "all events are committed", worker=second)
    assert second.stop() == 0, second.tail()
    found = oracle.check("app")
    assert found.sound, found
    # What the first left on its disk is no harm either: started again, it takes over soundly.
    send(oracle, 500, seed=2)
    first.start()
    oracle.flush()
    wait_for(lambda: oracle.settled("app"), "all events are committed", worker=first)
    assert first.stop() == 0
    found = oracle.check("app")
    assert found.sound, found


def test_a_worker_that_slept_longer_than_its_session_writes_nothing_more(
    own_kafka: KafkaBroker, start: Callable[..., WorkerProcess]
) -> None:
    servers = own_kafka.bootstrap_servers
    oracle = Oracle(servers)
    first = start(servers, worker_id="w1")
    wait_for(first.ready, "the first is ready", worker=first)
    second = start(servers, worker_id="w2")
    wait_for(second.ready, "the second is ready", worker=second)
    load = threading.Thread(target=send, args=(oracle, 24_000, 1, 1_500))
    load.start()
    wait_for(lambda: len(oracle.sent) > 4_000, "the load runs", worker=first)
    assert first.process is not None
    first.process.send_signal(signal.SIGSTOP)
    others = {"topic": topics.BROWSE}

    def second_has_all() -> bool:
        metrics = second.metrics()
        lags = [f'rillet_lag_records{{partition="{p}",topic="{others["topic"]}"}}' for p in range(4)]
        return second.ready() and all(name in metrics for name in lags)

    wait_for(second_has_all, "the second has all partitions", worker=second)
    before = sum(v for k, v in second.metrics().items() if k.startswith("rillet_records_total"))
    wait_for(
        lambda: (
            sum(v for k, v in second.metrics().items() if k.startswith("rillet_records_total"))
            > before + 2_000
        ),
        "the second works on all partitions",
        worker=second,
    )
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(30) == 70
    assert "it was silent for longer" in first.tail()
    first.start()
    load.join()
    oracle.flush()
    wait_for(lambda: oracle.settled("app"), "all events are committed", worker=first)
    wait_for(first.ready, "the first is back", worker=first)
    assert first.stop() == 0
    assert second.stop() == 0
    found = oracle.check("app")
    assert found.sound, found


def test_every_record_is_counted_once_in_the_quality_reports_whatever_is_killed(
    own_kafka: KafkaBroker, start: Callable[..., WorkerProcess]
) -> None:
    servers = own_kafka.bootstrap_servers
    oracle = Oracle(servers)
    windows = {
        "RILLET_QUALITY__WINDOW_S": "1",
        "RILLET_QUALITY__ALLOWED_LATENESS_S": "1",
        "RILLET_QUALITY__QUIET_S": "1",
    }
    worker = start(servers, **windows)
    wait_for(worker.ready, "the worker is ready", worker=worker)
    wrong = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    start_ms, n_wrong = int(time.time() * 1000), 0
    for i, (topic, event) in enumerate(shop_events(8_000, 100, 3, start_ms - 8_000)):
        oracle.send(topic, event)
        if i % 40 == 0:
            wrong.produce(topic, b"{", event.user_id.encode(), timestamp=event.time_ms)
            n_wrong += 1
            time.sleep(0.02)
        if i in (2_000, 4_000, 6_000):
            oracle.flush()
            worker.kill()
            worker.start()
    assert wrong.flush(20) == 0
    oracle.flush()
    n_sent = len(oracle.sent) + n_wrong

    def counted() -> int:
        reports = {}
        for message in read_all(servers, topics.QUALITY):
            report = msgspec.json.decode(message.value(), type=QualityReport)
            known = reports.setdefault(report.report_id, report)
            assert known == report, "a report that comes again is the same"
        return sum(report.n_events for report in reports.values())

    wait_for(lambda: counted() >= n_sent, "all windows are closed and reported", worker=worker)
    assert counted() == n_sent
    assert worker.stop() == 0
    left = {}
    for message in read_all(servers, "app-quality-changelog"):
        left[message.partition(), message.key()] = decode_profiles(message.value(), QualitySettings())
    open_windows = Counter({place: len(each.windows) for place, each in left.items()})
    assert open_windows.total() == 0, json.dumps({str(k): v for k, v in open_windows.items()})
