"""Shadow learners on a real log: ``python tests/bench/shadows.py [share …]``, 1, 0.3 and 0.1 by default.

The first half of rees46-sample is replayed to an embedded broker, ``rillet shadows --since beginning`` learns it, then
the second half is replayed and counted, as ``rillet value FILE --from 0.5 --anew`` counts it, whose figures stand
beside. What is lost is NDCG@20 with its interval of 95%, all windows together.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
from bench_result import write
from chaos import WorkerProcess, wait_for
from topic_content import all_of

from models.value.report import combined
from schemas import topics
from schemas.value import ValueReport
from streams import broker
from streams.evaluation import REPEATS
from streams.settings import variable

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOG, MAPPING = "rees46-sample/events.csv.gz", "rees46-sample"
SHARES = (1.0, 0.3, 0.1)
QUIET_S, PATIENCE_S = 5.0, 600.0
Z = 1.96


def halves(folder: Path) -> list[Path]:
    """The rows are in the order of time."""
    head, *rows = gzip.decompress((DATA / LOG).read_bytes()).decode().splitlines(keepends=True)
    parts = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    paths = [folder / "first.csv", folder / "second.csv"]
    for path, part in zip(paths, parts, strict=True):
        path.write_text("".join([head, *part]))
    return paths


def rillet(*arguments: object, **environ: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *map(str, arguments)],
        check=True,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def replay(servers: str, path: Path) -> None:
    rillet("replay", path, "--mapping", MAPPING, "--restart", RILLET_BOOTSTRAP_SERVERS=servers)


def offline() -> dict[str, list[float]]:
    """Mean and interval by source."""
    options = [option for setting in REPEATS.items() for option in ("--set", "=".join(setting))]
    found = rillet("value", DATA / LOG, "--mapping", MAPPING, "--from", "0.5", "--anew", "--json", *options)
    return {
        each["source"]: [round(bound, 6) for bound in each["lost"]["interval"]]
        for each in json.loads(found)["anew"]
        if each["lost"]["measure"] == "ndcg@20"
    }


def told(servers: str) -> list[ValueReport]:
    return [
        msgspec.json.decode(each.value or b"", type=ValueReport) for each in all_of(servers, topics.VALUE)
    ]


def learned(servers: str, shadows: WorkerProcess) -> None:
    """Wait until no window came for a while."""
    n, since = 0, time.monotonic()

    def is_quiet() -> bool:
        nonlocal n, since
        assert shadows.running, shadows.tail()
        if (now := len(told(servers))) != n:
            n, since = now, time.monotonic()
        return bool(n and time.monotonic() - since > QUIET_S)

    wait_for(is_quiet, "all is learned", PATIENCE_S, shadows)


def lost(share: float, folder: Path) -> dict[str, Any]:
    first, second = halves(folder)
    extra = {variable(name): value for name, value in REPEATS.items()}
    extra |= {"RILLET_VALUE__SHADOW_SHARE": str(share), "RILLET_VALUE__REPORT_S": "1"}
    with broker.embedded() as servers:
        replay(servers, first)
        shadows = WorkerProcess(servers, "bench", "shadows", folder, extra, "shadows --since beginning")
        with shadows.start():
            wait_for(lambda: "caught_up" in shadows.tail(), "the first half is learned", PATIENCE_S, shadows)
            replay(servers, second)
            learned(servers, shadows)
            assert shadows.process
            memory = psutil.Process(shadows.process.pid).memory_info().rss
            assert shadows.stop() == 0
        whole = combined(told(servers))
    assert whole
    return {
        "trials": whole.n,
        "ndcg_all": whole.all_in["ndcg"],
        "lost": {
            each.player: [each.left_out, round(Z * each.left_out_error, 6)]
            for each in whole.values
            if each.metric == "ndcg" and each.left_out_error
        },
        "rss_mib": round(memory / 2**20),
    }


if __name__ == "__main__":
    figures: dict[str, Any] = {}
    for each in [float(text) for text in sys.argv[1:]] or SHARES:
        with tempfile.TemporaryDirectory() as name:
            figures[f"share {each:g}"] = lost(each, Path(name))
            print(json.dumps(figures), flush=True)
    figures["offline"] = offline()
    write("shadows", figures)
