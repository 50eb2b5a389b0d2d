"""Writes what a bench measured: one JSON a bench, with all that is needed to read the figures later."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parents[1] / "bench" / "results"
PACKAGES = ("aiokafka", "confluent-kafka", "faust-streaming", "msgspec", "numba", "numpy", "rocksdict")


def quantiles(values: Sequence[float], unit: str) -> dict[str, float]:
    """n, median, p90, p99 and maximum of a sample."""
    at = np.quantile(np.asarray(values, float), [0.5, 0.9, 0.99, 1.0])
    names = ("median", "p90", "p99", "max")
    return {"n": len(values)} | {
        f"{name}_{unit}": round(float(v), 4) for name, v in zip(names, at, strict=True)
    }


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Write ``results/<name>.json`` and print it."""
    root = Path(__file__).parents[2]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    result = {
        "bench": name,
        "commit": commit.stdout.strip(),
        "machine": {"cores": os.cpu_count(), "processor": _processor(), "system": platform.system()},
        "versions": {"python": sys.version.split()[0]} | {p: version(p) for p in PACKAGES},
        "figures": figures,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return path


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
