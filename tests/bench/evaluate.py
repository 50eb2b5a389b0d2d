"""What the recommendations are worth on public logs, beside baselines: ``python tests/bench/evaluate.py [part …]``.

Parts, each with a result of its own: ``prequential`` (test-then-learn, the second half counted), ``sessions`` (the
literature's protocol), ``alone`` (the same with the other sources one at a time), ``freshness`` (test-then-learn,
knowledge updated each event, minute, hour, day, never). Weights are found on the first half, or on the last part of
the training sessions, by ``rillet tune``; never on what is counted. ``prequential:serenade`` does one log again.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
from bench_result import RESULTS, write

from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.evaluate.result import Evaluation, differences, scores
from models.path import Path as PurePath
from streams.evaluation import REPEATS, Log, settings_of
from streams.log import read_log

DATA = Path(os.environ.get("RILLET_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOGS = {
    "serenade": "serenade/train.tsv.gz",
    "rsc15-100k": "rsc15-100k/train_full.tsv.gz",
    "taobao-slice": "taobao-slice/events.csv.gz",
    "rees46-sample": "rees46-sample/events.csv.gz",
    "online-retail": "online-retail/transactions-2010-12_2011-08.csv.gz",
    "complete-journey": "complete-journey/transactions_sample.csv.gz",
    "diginetica": "diginetica/test.tsv.gz",
}
"""Of Diginetica the week of the test sessions: the whole log takes an hour with all baselines."""

SPLITS = {
    "diginetica": ("diginetica/train.tsv.gz", "diginetica/test.tsv.gz", 0.9),
    "serenade": ("serenade/train.tsv.gz", "serenade/test.tsv.gz", 0.8),
    "rsc15-100k": ("rsc15-100k/train_full.tsv.gz", "rsc15-100k/test.tsv.gz", 0.7),
}
"""Training and test sessions, and the share of the training ones from which on weights are tried."""

ALONE = ("session_knn", "covisitation")
"""Sources whose figures stand beside the merged ones."""

KEEP = [f"--set={name}={value}" for name, value in REPEATS.items()]
ROOM = ["--set=retrieve.session_knn.n_sessions=262144"]
"""All sessions of Diginetica at once, as the published figures have it."""


NEVER_S = 1e12
"""Knowledge stays what it was at half of the log."""


def rillet(*arguments: object) -> bytes:
    """The JSON that the command prints."""
    code = "from streams.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments), "--json"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def evaluated(*arguments: object) -> Evaluation:
    return msgspec.json.decode(rillet("evaluate", *arguments), type=Evaluation)


def tuned_best(folder: Path, *arguments: object) -> list[str]:
    """Options of the best of some tuned settings: the current item among the reminders, how long popularity lasts."""
    tried = []
    for current, days in product(("false", "true"), (3, 180)):
        file = folder / f"{current}-{days}.toml"
        options = [
            f"--set=retrieve.recent.current={current}",
            f"--set=retrieve.cold_start.half_life_s={days * 86_400}",
        ]
        found = msgspec.json.decode(rillet("tune", *arguments, *KEEP, *options, "--write", file))
        tried.append((found["logs"][0]["after"], [f"--config={file}", *options]))
    return max(tried)[1]


def summary(result: Evaluation) -> dict[str, Any]:
    """HR@20 and MRR@20 in percent, with their intervals."""
    rows = {
        each.name: {
            measure: [round(100 * bound, 2) for bound in each.overall[measure]]
            for measure in ("hr@20", "mrr@20")
        }
        for each in result.scores
    }
    best = [
        f"{each.b} is better on {each.measure}"
        for each in result.differences
        if each.interval.high < 0.0 and not each.measure.startswith("ndcg")
    ]
    return {
        "trials": result.n_trials,
        "events_per_s": round(result.events_per_s),
        "scores": rows,
        "beaten_by": best,
    }


def prequential(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """All logs, or ``only`` some, the others' figures staying as they were."""
    figures = json.loads((RESULTS / "evaluate_prequential.json").read_text())["figures"] if only else {}
    for name, file in LOGS.items():
        if only and name not in only:
            continue
        print("prequential", name, flush=True)
        log = [DATA / file, "--mapping", name]
        tuned = tuned_best(folder, *log)
        figures[name] = summary(evaluated(*log, *tuned, "--repeats", "--from=0.5", "--batch=8"))
        figures[name]["chosen"] = [option.removeprefix("--set=") for option in tuned[1:]]
        print(figures[name], flush=True)
    return figures


def sessions(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, (train, test, first) in SPLITS.items():
        print("sessions", name, flush=True)
        tuned = folder / "merged.toml"
        rillet(
            "tune",
            DATA / train,
            "--mapping",
            name,
            f"--first={first}",
            "--until=1",
            *KEEP,
            *ROOM,
            "--write",
            tuned,
        )
        files = [_only(folder, source) for source in ALONE]
        common = [
            "--protocol=sessions",
            "--train",
            DATA / train,
            "--test",
            DATA / test,
            "--mapping",
            name,
            *ROOM,
        ]
        compared = [f"--compare={file}" for file in files]
        static = evaluated(*common, f"--config={tuned}", *compared)
        online = evaluated(*common, f"--config={tuned}", "--no-baselines", "--online")
        figures[name] = {"static": summary(static), "online": summary(online)}
        print(figures[name], flush=True)
    return figures


def alone(folder: Path) -> dict[str, Any]:
    """The session protocol with one source at a time; the logs have neither attributes nor queries for the others."""
    figures: dict[str, Any] = {}
    for name, (train, test, _) in SPLITS.items():
        first, *others = [_only(folder, source) for source in ("recent", "trending", "cold_start")]
        logs = ["--protocol=sessions", "--train", DATA / train, "--test", DATA / test, "--mapping", name]
        options = [f"--config={first}", *(f"--compare={file}" for file in others), "--no-baselines"]
        result = summary(evaluated(*logs, *ROOM, *options))
        result["scores"]["recent"] = result["scores"].pop("rillet")
        figures[name] = {"trials": result["trials"], "scores": result["scores"]}
        print(name, figures[name], flush=True)
    return figures


def _only(folder: Path, source: str) -> Path:
    """Settings under which all other sources are silent."""
    file = folder / f"{source}.toml"
    file.write_text(f"rank.default_weight = 0.0\nrank.source_weights = {{ {source} = 1.0 }}\n")
    return file


def freshness(_: Path) -> dict[str, Any]:
    """Serenade; the steps that a session makes again are left out, for it may have taught them itself."""
    log = Log(str(DATA / LOGS["serenade"]), "serenade")
    settings, _ = settings_of(None, [f"{name}={value}" for name, value in REPEATS.items()])
    every = {"event": 0.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "never": 0.0}
    recommenders = [OfPath(PurePath(settings.path()), name, None, seconds) for name, seconds in every.items()]
    follower = Prequential(recommenders)
    started = time.monotonic()
    n = sum(1 for _ in read_log(log.path, log.mapping))
    for done in follower.run((each.event for each in read_log(log.path, log.mapping)), 8):
        if done >= n / 2:
            recommenders[-1].update_every_s = NEVER_S
    events = follower.events
    keep = (events.column("at") >= follower.n_events / 2) & ~events.column("is_own_transition")
    keep &= ~events.column("is_repeat")
    names = [recommender.name for recommender in recommenders]
    return {
        "log": "serenade",
        "trials": int(keep.sum()),
        "seconds": round(time.monotonic() - started),
        "hr_mrr_20": {
            name: {
                m: [round(100 * v, 2) for v in scores(name, events, found, keep, 1, [20]).overall[m]]
                for m in ("hr@20", "mrr@20")
            }
            for name, found in zip(names, follower.found, strict=True)
        },
        "differences": [
            [each.b, each.measure, [round(100 * v, 2) for v in each.interval]]
            for each in differences(names, events, follower.found, keep, 20)
        ],
    }


PARTS = {"prequential": prequential, "sessions": sessions, "alone": alone, "freshness": freshness}


def main(parts: Sequence[str]) -> None:
    for part in parts or PARTS:
        name, _, logs = part.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            run = partial(prequential, only=logs.split(",")) if logs else PARTS[name]
            write(f"evaluate_{name}", run(Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
