"""How soon a killed worker with much state is ready again, on real Kafka, with its state folder and without it.

    PYTHONPATH=tests/support python tests/bench/restart.py --users 200000

Every user gets two events; then the worker is killed with more events under way and started again.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_result import write
from chaos import Oracle, WorkerProcess, wait_for
from rich.progress import track

from schemas import topics
from schemas.events import AnyEvent, Browse
from streams.broker import kafka

APP_ID = "restart"
IN_FLIGHT = 5_000
SETTLE_S = 900.0


def browses(n_users: int, visits: int, start_ms: int) -> Iterator[AnyEvent]:
    for visit in range(visits):
        for u in range(n_users):
            yield Browse(
                event_id=f"{start_ms}-{visit}-{u}",
                user_id=f"user-{u}",
                item_id=f"item-{(u * 31 + visit * 7) % 5_000}",
                category=f"category-{u % 40}",
                price=float(u % 100),
                time_ms=start_ms + visit,
            )


def send(oracle: Oracle, events: Iterator[AnyEvent]) -> None:
    for event in events:
        oracle.send(topics.BROWSE, event)
    oracle.flush()


def restart(oracle: Oracle, worker: WorkerProcess, wipe: bool) -> dict[str, float]:
    send(oracle, browses(IN_FLIGHT, 1, int(time.time() * 1000)))
    worker.kill()
    if wipe:
        shutil.rmtree(worker.datadir / worker.worker_id)
    started = time.monotonic()
    worker.log_path.write_text("")
    worker.start()
    wait_for(worker.ready, "ready again", SETTLE_S, worker)
    ready_s = time.monotonic() - started
    wait_for(lambda: oracle.settled(APP_ID), "caught up", SETTLE_S, worker)
    return {"ready_s": round(ready_s, 1), "caught_up_s": round(time.monotonic() - started, 1)}


def measure(n_users: int) -> dict[str, Any]:
    with kafka() as broker, tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(broker.bootstrap_servers)
        worker = WorkerProcess(broker.bootstrap_servers, APP_ID, "w1", Path(folder)).start()
        wait_for(worker.ready, "ready", worker=worker)
        send(oracle, browses(n_users, 2, int(time.time() * 1000)))
        wait_for(lambda: oracle.settled(APP_ID), "all users have state", SETTLE_S, worker)
        runs = {
            name: restart(oracle, worker, wipe)
            for name, wipe in track([("state folder kept", False), ("state folder lost", True)], "restarts")
        }
        assert worker.stop() == 0, worker.tail()
        findings = oracle.check(APP_ID)
    return {"users": n_users, **runs, "sound": findings.sound, "repeated_slates": findings.repeated_slates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200_000)
    write("restart", measure(parser.parse_args().users))


if __name__ == "__main__":
    main()
