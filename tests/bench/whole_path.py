"""Whole path on real Kafka, everything on one machine: broker, load generator and workers.

    PYTHONPATH=tests/support python tests/bench/whole_path.py --seconds 300

A simulated shop sends as fast as the workers take it, at most ``--rate``; each browse, search, purchase or click is
due a fresh slate. The rate is what they published a second in the steady part, memory their resident set. A worker
computes on one core: ``--workers 2`` uses what the broker and the load leave of the second.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench_result import write
from chaos import WorkerProcess, wait_for
from confluent_kafka import Producer
from rich.progress import Progress

from models.simulate.settings import SimulateSettings
from models.simulate.shop import Shop
from schemas.topics import BEHAVIOUR
from streams.broker import KafkaBroker, kafka

MAX_AHEAD = 4_000
"""Events sent and not yet processed at most: the load follows the workers' pace and never outruns it for good."""

WARM_UP_SHARE = 0.1
"""Share of the run at its start that is left out."""

SHOP = SimulateSettings(
    n_shoppers=50_000, n_items=10_000, events_per_s=5_000.0, slice_events=8_192, oracle_share=0.0
)


class Load(threading.Thread):
    """Sends the events of a simulated shop, never more than ``MAX_AHEAD`` beyond what was processed."""

    def __init__(self, servers: str, rate: float) -> None:
        super().__init__(daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
            }
        )
        self._shop = Shop(SHOP, np.random.default_rng(7), int(time.time() * 1000))
        self._tick_s = 0.1 * rate / SHOP.events_per_s
        self.n_sent = self.n_processed = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        shop_s = 0.0
        while not self.stopping.is_set():
            if self.n_sent - self.n_processed > MAX_AHEAD:
                time.sleep(0.01)
                continue
            shop_s += self._tick_s
            batch = self._shop.advance(shop_s, int(time.time() * 1000))
            for topic, key, value, time_ms in zip(
                batch.topics, batch.keys, batch.values, batch.time_ms, strict=True
            ):
                self._producer.produce(topic, value, key, timestamp=time_ms)
                self.n_sent += topic in BEHAVIOUR
            self._producer.poll(0)
        self._producer.flush()


def measure(workers: list[WorkerProcess], broker: KafkaBroker, seconds: float, rate: float) -> dict[str, Any]:
    """Drive the workers for ``seconds`` and sample them a few times a second."""
    of_workers = [psutil.Process(worker.process.pid) for worker in workers]
    processes = {
        "workers": of_workers,
        "broker": [psutil.Process(broker.pid)],
        "load generator": [psutil.Process()],
    }
    load = Load(broker.bootstrap_servers, rate)
    load.start()
    samples: list[tuple[float, float, float]] = []
    started = time.monotonic()
    cpu = laps = None
    with Progress() as progress:
        bar = progress.add_task("whole path", total=seconds)
        while (at := time.monotonic() - started) < seconds:
            now = metrics_of(workers)
            load.n_processed = sum(v for k, v in now.items() if k.startswith("rillet_records_total"))
            slates = now.get('rillet_slates_total{kind="user"}', 0.0)
            samples.append((at, slates, sum(process.memory_info().rss for process in of_workers) / 2**20))
            if cpu is None and at > seconds * WARM_UP_SHARE:
                cpu = {name: cpu_s(each) for name, each in processes.items()}
                laps, from_s, from_slates = stages(now), at, slates
            progress.update(bar, completed=at, description=f"{slates / max(at, 1):,.0f} slates/s")
            time.sleep(0.2)
    span_s = samples[-1][0] - from_s
    n = samples[-1][1] - from_slates
    spent = {name: (cpu_s(each) - cpu[name]) / span_s for name, each in processes.items()}
    load.stopping.set()
    load.join()
    steady = [s for s in samples if s[0] >= from_s]
    per_stage = {name: total - laps.get(name, 0.0) for name, total in stages(now).items()}
    return {
        "workers": len(workers),
        "seconds": round(span_s, 1),
        "slates": int(n),
        "slates_per_s": round(n / span_s),
        "slates_per_s_by_tenth": tenths(steady),
        "rss_mib_by_tenth": [
            round(float(np.median(part))) for part in np.array_split([s[2] for s in steady], 10)
        ],
        "cores_used": {name: round(cores, 2) for name, cores in spent.items()},
        "us_per_slate_by_stage": {
            name: round(s / n * 1e6, 1) for name, s in sorted(per_stage.items(), key=lambda each: -each[1])
        },
    }


def tenths(steady: list[tuple[float, float, float]]) -> list[int]:
    parts = np.array_split(np.array(steady), 10)
    return [round((part[-1, 1] - part[0, 1]) / (part[-1, 0] - part[0, 0])) for part in parts]


def stages(metrics: dict[str, float]) -> dict[str, float]:
    prefix = "rillet_stage_seconds_total{stage="
    return {name[len(prefix) + 1 : -2]: value for name, value in metrics.items() if name.startswith(prefix)}


def metrics_of(workers: list[WorkerProcess]) -> dict[str, float]:
    """The counters of all workers, added up."""
    total: Counter[str] = Counter()
    for worker in workers:
        total.update(worker.metrics())
    return dict(total)


def cpu_s(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--rate", type=float, default=20_000.0, help="events a second offered")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with kafka() as broker, tempfile.TemporaryDirectory() as folder:
        workers = []
        for number in range(arguments.workers):
            at = Path(folder) / str(number)
            at.mkdir()
            workers.append(WorkerProcess(broker.bootstrap_servers, "whole-path", f"w{number}", at).start())
            wait_for(workers[-1].ready, "the worker is ready", worker=workers[-1])
        figures = measure(workers, broker, arguments.seconds, arguments.rate)
        for worker in workers:
            worker.stop()
    write("whole_path" if arguments.workers == 1 else f"whole_path_{arguments.workers}_workers", figures)


if __name__ == "__main__":
    main()
