"""Crash scenarios on real Kafka, each repeated with other seeds; the oracle folds every event itself.

python tests/bench/crash.py --runs 5
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench_result import write
from chaos import Run, join_and_kill, kill_three_times
from rich.progress import track

from streams.broker import kafka

N_EVENTS = 12_000
SCENARIOS = {
    "one worker, kill -9 three times": lambda servers, folder, seed: kill_three_times(
        servers, folder, N_EVENTS, seed
    ),
    "the same, state folder lost each time": lambda servers, folder, seed: kill_three_times(
        servers, folder, N_EVENTS, seed, wipe=True
    ),
    "second worker joins under load, first is killed": lambda servers, folder, seed: join_and_kill(
        servers, folder, N_EVENTS, seed
    ),
}


def summary(runs: list[Run]) -> dict[str, object]:
    findings = [asdict(run.findings) for run in runs]
    totals = {name: sum(found[name] for found in findings) for name in findings[0]}
    return {
        "runs": len(runs),
        "sound": sum(run.findings.sound for run in runs),
        "events": sum(run.n_events for run in runs),
        **totals,
        "offset_guard_fired": sum(run.guard_fired for run in runs),
        "settled_s": sorted(round(run.settle_s, 1) for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    n_runs = parser.parse_args().runs
    figures = {}
    for name, scenario in SCENARIOS.items():
        runs = []
        for seed in track(range(n_runs), description=name):
            with kafka() as broker, tempfile.TemporaryDirectory() as folder:
                runs.append(scenario(broker.bootstrap_servers, Path(folder), seed))
        figures[name] = summary(runs)
    write("crash", figures)


if __name__ == "__main__":
    main()
