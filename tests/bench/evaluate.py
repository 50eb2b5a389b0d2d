"""What the recommendations are worth on public logs, beside baselines: ``python tests/bench/evaluate.py [part …]``.

Parts, each with a result of its own: ``prequential`` (test-then-learn, the second half counted), ``sessions`` (the
literature's protocol), ``alone`` (the same with the other sources one at a time), ``freshness`` (test-then-learn,
knowledge updated each event, minute, hour, day, never), ``learned`` (test-then-learn, the learned ranking against
tuned fixed weights and single sources, paired), ``learned_sessions`` (the same by the literature's protocol),
``embedding`` and ``embedding_sessions`` (the same protocols, with the embedding model among the sources or not, weights
learned from the defaults), ``embedding_online`` (learning on after each test session), ``embedding_alone`` (the
encoder and nothing else),
``scorer_freshness`` (the parameters of the scorer served each event, minute, hour, day,
never). Weights are found on the first half, or on the last part of the training sessions, by ``rillet tune``; never on
what is counted. ``prequential:serenade`` does one log again. Other parts hold the weights fixed.
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
import numpy as np
from bench_result import RESULTS, write

from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.evaluate.result import Evaluation, differences, scores
from models.path import Path as PurePath
from streams.evaluation import REPEATS, Log, settings_of
from streams.log import read_log

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
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


FIXED = ["--set=learn.enabled=false"]

EMBED = [
    "--set=embed.enabled=true",
    "--set=embed.min_count=1",
    "--set=embed.max_users=262144",
    "--set=embed.replay=1048576",
]
"""Room for all examples of Diginetica."""

SINGLE = ("session_knn", "covisitation", "recent")
"""Sources that the learned ranking is held against."""

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
        figures[name] = summary(evaluated(*log, *tuned, *FIXED, "--repeats", "--from=0.5", "--batch=8"))
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
            *FIXED,
        ]
        compared = [f"--compare={file}" for file in files]
        static = evaluated(*common, f"--config={tuned}", *compared)
        online = evaluated(*common, f"--config={tuned}", "--no-baselines", "--online")
        figures[name] = {"static": summary(static), "online": summary(online)}
        print(figures[name], flush=True)
    return figures


def learned(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """The learned ranking, which starts from tuned fixed weights; those weights themselves; single sources."""
    file = RESULTS / "evaluate_learned.json"
    figures = json.loads(file.read_text())["figures"] if only and file.exists() else {}
    for name, path in LOGS.items():
        if only and name not in only:
            continue
        print("learned", name, flush=True)
        log, current = [DATA / path, "--mapping", name], "--set=retrieve.recent.current=true"
        tuned, fixed = folder / "tuned.toml", folder / "fixed.toml"
        rillet("tune", *log, *KEEP, *FIXED, current, "--write", tuned)
        fixed.write_text("learn.enabled = false\n" + tuned.read_text())
        others = [fixed, *(_single(folder, source) for source in SINGLE)]
        compared = [f"--compare={other}" for other in others]
        options = ["--repeats", "--from=0.5", "--batch=8", "--no-baselines", current]
        figures[name] = paired(evaluated(*log, *options, f"--config={tuned}", *compared))
        print(figures[name], flush=True)
    return figures


def learned_sessions(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """The same by sessions, neighbours alone beside; learning on after each test session, and not."""
    file = RESULTS / "evaluate_learned_sessions.json"
    figures = json.loads(file.read_text())["figures"] if only and file.exists() else {}
    for name, (train, test, first) in SPLITS.items():
        if only and name not in only:
            continue
        print("learned_sessions", name, flush=True)
        current = "--set=retrieve.recent.current=true"
        tuned, fixed = folder / "tuned.toml", folder / "fixed.toml"
        until = [f"--first={first}", "--until=1", *KEEP, *ROOM, *FIXED, current]
        rillet("tune", DATA / train, "--mapping", name, *until, "--write", tuned)
        fixed.write_text("learn.enabled = false\n" + tuned.read_text())
        logs = ["--protocol=sessions", "--train", DATA / train, "--test", DATA / test, "--mapping", name]
        common = [*logs, *ROOM, *KEEP, current, "--no-baselines", f"--config={tuned}", f"--compare={fixed}"]
        single = f"--compare={_single(folder, 'session_knn')}"
        figures[name] = {
            "static": paired(evaluated(*common, single)),
            "online": paired(evaluated(*common, "--online")),
        }
        print(figures[name], flush=True)
    return figures


def embedding(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """The learned ranking with the embedding model, learned as the log goes by, and without."""
    logs = {name: ["--repeats", "--from=0.5", "--batch=8", DATA / file] for name, file in LOGS.items()}
    return _with_embedding("embedding", folder, logs, only)


def embedding_sessions(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """By sessions, nothing learned in the test."""
    return _with_embedding("embedding_sessions", folder, _session_logs(), only)


def embedding_alone(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """By sessions, the encoder without any other source and without a scorer: items by their cosine alone."""
    file = RESULTS / "evaluate_embedding_alone.json"
    figures = json.loads(file.read_text())["figures"] if only and file.exists() else {}
    for name, log in _session_logs().items():
        if not only or name in only:
            print("embedding_alone", name, flush=True)
            source = [f"--config={_only(folder, 'embedding')}", *FIXED, "--no-baselines"]
            figures[name] = summary(evaluated(*log, "--mapping", name, *KEEP, *EMBED, *source))
            print(figures[name], flush=True)
    return figures


def embedding_online(_: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """The same, learning on after each test session."""
    file = RESULTS / "evaluate_embedding_online.json"
    figures = json.loads(file.read_text())["figures"] if only and file.exists() else {}
    for name, log in _session_logs().items():
        if not only or name in only:
            print("embedding_online", name, flush=True)
            options = [*EMBED, "--set=retrieve.recent.current=true", "--no-baselines", "--online"]
            figures[name] = summary(evaluated(*log, "--mapping", name, *KEEP, *options))
            print(figures[name], flush=True)
    return figures


def _session_logs() -> dict[str, list[Any]]:
    protocol = ["--protocol=sessions", *ROOM]
    return {
        name: [*protocol, "--train", DATA / train, "--test", DATA / test]
        for name, (train, test, _) in SPLITS.items()
    }


def _with_embedding(
    part: str, folder: Path, logs: dict[str, list[Any]], only: Sequence[str]
) -> dict[str, Any]:
    file, without = RESULTS / f"evaluate_{part}.json", folder / "without.toml"
    figures = json.loads(file.read_text())["figures"] if only and file.exists() else {}
    without.write_text("retrieve.embedding.enabled = false\n")
    for name, log in logs.items():
        if only and name not in only:
            continue
        print(part, name, flush=True)
        options = [*EMBED, "--set=retrieve.recent.current=true", "--no-baselines", f"--compare={without}"]
        result = evaluated(*log, "--mapping", name, *KEEP, *options)
        found = {**paired(result), "slices": slices(result)}
        figures[name] = {**found, "settings": [option.removeprefix("--set=") for option in EMBED]}
        print(figures[name], flush=True)
    return figures


def paired(result: Evaluation) -> dict[str, Any]:
    """HR@20 and MRR@20 in percent, and how much the learned ranking is above each other one, with intervals."""
    rows = summary(result)
    rows["scores"]["learned"] = rows["scores"].pop("rillet")
    rows.pop("beaten_by")
    rows["learned_less"] = {
        f"{each.b} {each.measure}": [round(100 * bound, 2) for bound in each.interval]
        for each in result.differences
        if not each.measure.startswith("ndcg")
    }
    return rows


def slices(result: Evaluation) -> dict[str, Any]:
    """HR@20 and MRR@20 in percent, by users who come back or not and items that are new or not."""
    names = ["learned", *(each.name for each in result.scores[1:])]
    return {
        f"{parts[0].dimension} {parts[0].value}": {
            "trials": parts[0].n,
            **{
                name: [round(100 * part.values[measure], 2) for measure in ("hr@20", "mrr@20")]
                for name, part in zip(names, parts, strict=True)
            },
        }
        for parts in zip(*(each.slices for each in result.scores), strict=True)
        if parts[0].dimension in ("user", "item")
    }


def _single(folder: Path, source: str) -> Path:
    """Settings under which there is no other source."""
    file = folder / f"{source}.toml"
    known = ("session_knn", "covisitation", "content", "search", "trending", "cold_start", "recent")
    silent = [f"retrieve.{name}.enabled = false" for name in known if name != source]
    file.write_text("\n".join(["learn.enabled = false", *silent]))
    return file


def scorer_freshness(_: Path) -> dict[str, Any]:
    """Of each log: all learn from every event, and serve what the scorer had learned by their last refresh."""
    figures = {}
    for name in ("rees46-sample", "online-retail", "complete-journey"):
        log = Log(str(DATA / LOGS[name]), name)
        settings, _ = settings_of(
            None, [*(f"{n}={v}" for n, v in REPEATS.items()), "retrieve.recent.current=true"]
        )
        every = {"event": 0.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "never": NEVER_S}
        recommenders = []
        for label, seconds in every.items():
            learn = settings.learn.model_copy(update={"refresh_s": seconds, "challengers": ()})
            recommenders.append(OfPath(PurePath(settings.path()._replace(learn=learn)), label))
        follower = Prequential(recommenders)
        for _done in follower.run((each.event for each in read_log(log.path, log.mapping)), 8):
            pass
        keep = np.ones(len(follower.events), np.bool_)
        names = [recommender.name for recommender in recommenders]
        figures[name] = {
            "trials": len(keep),
            "hr_mrr_20": {
                label: {
                    m: [
                        round(100 * v, 2)
                        for v in scores(label, follower.events, found, keep, 1, [20]).overall[m]
                    ]
                    for m in ("hr@20", "mrr@20")
                }
                for label, found in zip(names, follower.found, strict=True)
            },
            "event_less": [
                [each.b, each.measure, [round(100 * v, 2) for v in each.interval]]
                for each in differences(names, follower.events, follower.found, keep, 20)
            ],
        }
        print(name, figures[name], flush=True)
    return figures


def alone(folder: Path) -> dict[str, Any]:
    """The session protocol with one source at a time; the logs have neither attributes nor queries for the others."""
    figures: dict[str, Any] = {}
    for name, (train, test, _) in SPLITS.items():
        first, *others = [_only(folder, source) for source in ("recent", "trending", "cold_start")]
        logs = ["--protocol=sessions", "--train", DATA / train, "--test", DATA / test, "--mapping", name]
        options = [f"--config={first}", *(f"--compare={file}" for file in others), "--no-baselines", *FIXED]
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
    fixed = {**REPEATS, "learn.enabled": "false"}
    settings, _ = settings_of(None, [f"{name}={value}" for name, value in fixed.items()])
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


PARTS = {
    "prequential": prequential,
    "sessions": sessions,
    "alone": alone,
    "freshness": freshness,
    "learned": learned,
    "learned_sessions": learned_sessions,
    "embedding": embedding,
    "embedding_sessions": embedding_sessions,
    "embedding_alone": embedding_alone,
    "embedding_online": embedding_online,
    "scorer_freshness": scorer_freshness,
}


def main(parts: Sequence[str]) -> None:
    for part in parts or PARTS:
        name, _, logs = part.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            run = partial(PARTS[name], only=logs.split(",")) if logs else PARTS[name]
            write(f"evaluate_{name}", run(Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
