"""Events/s of ``rillet replay`` into a real Kafka, and of reading alone: ``python tests/bench/replay.py``.

Each run sends a made log of ``EVENTS`` looks and purchases to topics of its own broker, as fast as possible,
every event confirmed. A log that has to be sorted is measured beside one in order, each with its peak memory,
in a process of its own."""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_result import write

from streams import broker, kafka_admin
from streams.settings import KafkaSettings, Settings

EVENTS = 500_000
RUNS = 3
USERS = 20_000
ITEMS = 5_000
MAPPING = """
[file]
in_order = {in_order}
[columns]
user = "user"
item = "item"
price = "price"
category = "category"
[time]
column = "time"
format = "ms"
[kind]
column = "kind"
values = {{ view = "view", cart = "cart", buy = "purchase" }}
"""
READ = r"""
import re, sys, time
from pathlib import Path
from streams.log import read_log
began = time.perf_counter()
n = sum(1 for _ in read_log(sys.argv[1], sys.argv[2]))
seconds = time.perf_counter() - began
peak_kb = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]
print(n / seconds, int(peak_kb) / 1024)
"""


def make_log(folder: Path, n: int, *, in_order: bool) -> tuple[Path, Path]:
    """A log of ``n`` events, an event every 10 ms, and its mapping."""
    rng = random.Random(7)
    times = list(range(n))
    if not in_order:
        rng.shuffle(times)
    name = "ordered" if in_order else "shuffled"
    path, mapping = folder / f"{name}.csv", folder / f"{name}.toml"
    with path.open("w") as file:
        file.write("user,item,price,category,time,kind\n")
        for at in times:
            user, item = int(USERS * rng.random() ** 2), int(ITEMS * rng.random() ** 2)
            kind = rng.choices(("view", "cart", "buy"), (90, 7, 3))[0]
            file.write(f"u{user},i{item},{item % 90}.5,c{item % 40},{1_700_000_000_000 + 10 * at},{kind}\n")
    mapping.write_text(MAPPING.format(in_order=str(in_order).lower()))
    return path, mapping


def read_alone(path: Path, mapping: Path) -> tuple[float, float]:
    """Events a second, and peak memory in MB."""
    command = [sys.executable, "-c", READ, str(path), str(mapping)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    per_s, peak_mb = map(float, done.stdout.split())
    return per_s, peak_mb


def replayed(path: Path, mapping: Path) -> float:
    """Events a second into Kafka."""
    command = [sys.executable, "-m", "streams.cli", "replay", str(path), "--mapping", str(mapping)]
    done = subprocess.run(
        [*command, "--restart", "--json"], capture_output=True, text=True, check=True, env=os.environ.copy()
    )
    summary = json.loads(done.stdout)
    assert summary["complete"], "every event is confirmed"
    return float(summary["events_per_s"])


def median(measure: Callable[[], float]) -> dict[str, Any]:
    """Of ``RUNS`` runs."""
    runs = [measure() for _ in range(RUNS)]
    return {
        "n": RUNS,
        "median": round(statistics.median(runs)),
        "worst": round(min(runs)),
        "best": round(max(runs)),
    }


def measured(n: int, *, in_order: bool) -> dict[str, Any]:
    """One kind of log."""
    with tempfile.TemporaryDirectory(prefix="rillet-bench-") as folder:
        path, mapping = make_log(Path(folder), n, in_order=in_order)
        os.environ["XDG_STATE_HOME"] = folder
        per_s, peak_mb = read_alone(path, mapping)
        with broker.kafka() as kafka:
            os.environ["RILLET_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
            kafka_admin.ensure(Settings(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)))
            return {
                "events": n,
                "file_mb": round(path.stat().st_size / 1e6),
                "read_events_per_s": round(per_s),
                "read_peak_mb": round(peak_mb),
                "replay_events_per_s": median(lambda: replayed(path, mapping)),
            }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    n = parser.parse_args().events
    write("replay", {"in_order": measured(n, in_order=True), "sorted": measured(n, in_order=False)})


if __name__ == "__main__":
    main()
