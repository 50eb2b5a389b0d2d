"""Events/s of the simulated shop on one core: ``python tests/bench/simulate.py [--out FILE]``.

One run makes ``SECONDS`` of the shop's time in ticks of a second, JSON included; the figure is events over
wall clock seconds. With the oracle asked for a tenth of the looks, and with no oracle. Nothing is sent
anywhere."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.simulate.settings import SimulateSettings
from models.simulate.shop import Shop

SECONDS = 200
RUNS = 7
BAR = 50_000
START_MS = 1_700_000_000_000


def events_per_s(settings: SimulateSettings) -> tuple[float, float]:
    """One run, the making of the shop not counted: events a second of the wall clock, and of the processor's."""
    shop = Shop(settings, np.random.default_rng(settings.seed), START_MS)
    began, began_cpu = time.perf_counter(), time.process_time()
    n = sum(shop.advance(float(s), START_MS + 1000 * s).n for s in range(1, SECONDS + 1))
    return n / (time.perf_counter() - began), n / (time.process_time() - began_cpu)


def measured(settings: SimulateSettings) -> dict[str, Any]:
    """Median and spread over ``RUNS`` runs."""
    runs = [events_per_s(settings) for _ in range(RUNS)]
    wall, cpu = (sorted(rates) for rates in zip(*runs, strict=True))
    return {
        "n": RUNS,
        "median": round(statistics.median(wall)),
        "p10": round(float(np.percentile(wall, 10))),
        "best": round(wall[-1]),
        "median_per_cpu_second": round(statistics.median(cpu)),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "simulate.json")
    out = parser.parse_args().out
    settings = SimulateSettings(slice_events=16_384, day_s=float(SECONDS))
    result = {
        "what": "events/s of the simulated shop, JSON included",
        "bar": BAR,
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "machine": {"cpus": os.cpu_count(), "arch": platform.machine(), "system": platform.system()},
        "load_1min": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "msgspec": version("msgspec"),
        },
        "oracle_for_a_tenth": measured(settings),
        "no_oracle": measured(settings.model_copy(update={"oracle_share": 0.0})),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
