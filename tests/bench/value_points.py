"""Whether values of points find what harms: ``python tests/bench/value_points.py [log …]``.

5% of the known sessions are replaced by bots, 30 items at random, or by as many items at random as they had. Told are
the share of pairs in which the injected one has the lower value than a shopper (AUC), and what becomes of HR@20, on
questions that the values have not seen, when sessions are taken away. Once more with nothing injected.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_result import write

from models.retrieve.settings import SessionKnnSettings
from models.value.points import Sessions, sessions_of, valued
from models.value.removal import curve, questions
from streams.evaluation import Log, events_of
from streams.value_points import KNOWN_SHARE, NEAREST

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOGS = {"serenade": "serenade/train.tsv.gz", "rsc15-100k": "rsc15-100k/train_full.tsv.gz"}
SHARE, BOT_ITEMS, SEED, K = 0.05, 30, 1, 20


def injected(sessions: Sessions, n_known: int, kind: str) -> tuple[Sessions, np.ndarray]:
    """With some sessions replaced, and which."""
    rng = np.random.default_rng(SEED)
    which = rng.choice(n_known, int(SHARE * n_known), replace=False)
    items = np.split(sessions.items, sessions.starts[1:-1])
    pool = sessions.items[: sessions.starts[n_known]]
    for session in which if kind != "none" else []:
        n = BOT_ITEMS if kind == "bots" else len(items[session])
        items[session] = rng.permutation(np.unique(rng.choice(pool, n))).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum([len(each) for each in items])]).astype(np.int64)
    return sessions._replace(starts=starts, items=np.concatenate(items)), which


def auc(value: np.ndarray, is_bad: np.ndarray) -> float:
    """Share of pairs in which the bad one is lower, ties half."""
    good = np.sort(value[~is_bad])
    below = np.searchsorted(good, value[is_bad], "left"), np.searchsorted(good, value[is_bad], "right")
    return float(1.0 - np.mean(below) / len(good))


def found(sessions: Sessions, n_known: int, kind: str) -> dict[str, Any]:
    of, which = injected(sessions, n_known, kind)
    later, knn = np.arange(n_known, len(of.user)), SessionKnnSettings()
    asks = of.user[later] % 2 == 0
    started = time.perf_counter()
    values = valued(of, later[asks], n_known, NEAREST, knn.sample)
    seconds = time.perf_counter() - started
    several = np.diff(of.starts)[:n_known] > 1
    is_bad = np.isin(np.arange(n_known), which)[several]
    point = np.repeat(np.arange(n_known), np.diff(of.starts[: n_known + 1])).astype(np.int32)
    asked = questions(of, later[~asks], knn.query_items)
    return {
        "sum_less_total": float(values.session.sum() - values.total),
        "questions": values.n,
        "seconds": round(seconds, 2),
        "auc": round(auc(values.session[several], is_bad), 4) if kind != "none" else None,
        "hr_without": {
            f"{each.which} {each.share:.0%}": [round(bound, 5) for bound in each.change]
            for each in curve(of, n_known, point, values.session, asked, knn, K)
            if each.measure == f"hr@{K}"
        },
    }


def main(names: list[str]) -> None:
    figures = {}
    for name in names or LOGS:
        log = Log(str(DATA / LOGS[name]), name)
        sessions = sessions_of(events_of(log, lambda *_: None), 1800.0, SessionKnnSettings().session_items)
        n_known = int(KNOWN_SHARE * len(sessions.user))
        valued(sessions, np.arange(n_known, n_known + 1), n_known, NEAREST, 10)
        figures[name] = {kind: found(sessions, n_known, kind) for kind in ("none", "bots", "shuffled")}
        print(name, figures[name], flush=True)
    write("value_points", figures)


if __name__ == "__main__":
    main(sys.argv[1:])
