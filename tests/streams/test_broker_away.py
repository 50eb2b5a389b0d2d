"""A broker that goes away, in order or killed, costs time and nothing else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import Oracle, WorkerProcess, shop_events, wait_for

from streams.broker import KafkaBroker

AWAY_S = 10
"""Longer than the session timeout of the workers in these tests."""


@pytest.mark.parametrize("leave", [KafkaBroker.stop, KafkaBroker.kill], ids=["stopped", "killed"])
def test_a_worker_waits_for_a_broker_that_left_and_goes_on_when_it_is_back(
    own_kafka: KafkaBroker, tmp_path: Path, leave: Callable[[KafkaBroker], None]
) -> None:
    worker = WorkerProcess(own_kafka.bootstrap_servers, "away", "w1", tmp_path).start()
    oracle = Oracle(own_kafka.bootstrap_servers)
    wait_for(worker.ready, "the worker is ready", worker=worker)
    back = threading.Event()

    def return_later() -> None:
        log = worker.log_path.read_text
        wait_for(lambda: "broker_away" in log(), "the worker says that it waits", worker=worker)
        wait_for(lambda: log().count("broker_away") > 1, "it says so again", worker=worker)
        own_kafka.start()
        back.set()

    n = 6_000
    for i, (topic, event) in enumerate(shop_events(n, 300, 1, int(time.time() * 1000) - n)):
        if i == n // 3:
            leave(own_kafka)
            threading.Thread(target=return_later).start()
        oracle.send(topic, event)
        if i % 50 == 0:
            time.sleep(50 / 2_000)
    assert back.wait(90)
    oracle.flush()
    wait_for(lambda: oracle.settled("away"), "all events are committed", worker=worker)
    assert worker.process is not None
    assert worker.stop() == 0
    found = oracle.check("away")
    assert found.sound, found
    log = worker.log_path.read_text()
    assert "CRITICAL" not in log
    assert len(log.splitlines()) < 60, "complaints are few"


def test_a_worker_started_without_its_broker_says_so_and_waits(
    own_kafka: KafkaBroker, tmp_path: Path
) -> None:
    own_kafka.stop()
    worker = WorkerProcess(own_kafka.bootstrap_servers, "early", "w1", tmp_path).start()
    wait_for(
        lambda: f"broker_away address={own_kafka.bootstrap_servers}" in worker.log_path.read_text(),
        "the worker says that it waits",
        worker=worker,
    )
    assert worker.running
    own_kafka.start()
    wait_for(worker.ready, "the worker is ready", worker=worker)
    assert worker.stop() == 0
