"""Session-kNN against plain-Python VS-KNN on Diginetica, side by side: ``python tests/bench/session_knn.py``.

Both learn the training sessions and predict every click from the second of each test session from its prefix,
over all training items, repeated views kept; a hit is the next item. Plain Python predicts a fixed sample;
ours predicts that sample one by one, in batches of 256, and then everything. Rounds of both take turns, and
the time is the thread's on a processor, so that what else the machine does falls on neither.
"""

import gzip
import os
import resource
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from baselines.vsknn import Vsknn
from bench_result import quantiles, write

from models.kinds import Kind
from models.retrieve.contract import I32, Interactions, Queries
from models.retrieve.session_knn import SessionKnn
from models.retrieve.settings import SessionKnnSettings

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "diginetica"
SAMPLE = 6_000
ROUNDS = 60
BATCH = 256
K = 20
BAR = 10.0
PUBLISHED = {
    "published_vs_knn": {"hr_20": 52.03, "mrr_20": 18.41},
    "public_code": {"hr_20": 51.36, "mrr_20": 18.27},
}
VS_KNN = SessionKnnSettings(
    neighbours=500,
    sample=5_000,
    query_items=64,
    position_decay="quadratic",
    step_decay="div",
    distance_decay=0.0,
    idf_weight=1.0,
    n_sessions=1 << 18,
    session_items=64,
)

Session = list[int]


def sessions(name: str) -> list[Session]:
    """The items of each session, in order."""
    with gzip.open(DATA / name, "rt") as lines:
        next(lines)
        clicks = (tuple(map(int, line.split("\t")[:2])) for line in lines)
        return [[item for _, item in group] for _, group in groupby(clicks, key=itemgetter(0))]


def interactions(train: list[Session]) -> Interactions:
    """All clicks as one batch, a second apart; each session is a user of its own."""
    user = np.repeat(np.arange(1, len(train) + 1, dtype=np.uint64), [len(s) for s in train])
    n = len(user)
    return Interactions(
        user=user,
        session=user,
        item=np.array([item for session in train for item in session], np.int32),
        kind=np.full(n, Kind.VIEW, np.uint8),
        time_s=np.arange(n, dtype=np.float64),
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


def prefixes(test: list[Session]) -> Iterator[tuple[Session, int]]:
    """Every beginning of every session, with the item that comes next."""
    for session in test:
        for n in range(1, len(session)):
            yield session[:n], session[n]


def queries(asked: list[Session]) -> Queries:
    """The distinct items of each prefix, newest first, by users who are in no training session."""
    n = len(asked)
    newest_first = [list(dict.fromkeys(reversed(prefix))) for prefix in asked]
    items = np.full((n, max(map(len, newest_first))), -1, np.int32)
    for r, row in enumerate(newest_first):
        items[r, : len(row)] = row
    none, weightless = np.empty((n, 0), np.int32), np.empty((n, 0), np.float32)
    unknown = np.full(n, -1, np.int32)
    return Queries(
        now_s=np.full(n, 2e6),
        user=np.full(n, 2**63, np.uint64),
        items=items,
        weights=(items >= 0).astype(np.float32),
        history=none,
        history_age_s=weightless,
        history_times=weightless.astype(np.int32),
        category=none,
        category_weight=weightless,
        brand=none,
        brand_weight=weightless,
        log_price=np.full(n, np.nan, np.float32),
        term=none,
        term_weight=weightless,
        segment=unknown,
        query=unknown,
    )


def quality(found: I32, following: NDArray[np.int64]) -> dict[str, float]:
    """HR@20 and MRR@20 in percent of (n, 20) predictions."""
    hit = found == following[:, None]
    rank = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 0)
    return {
        "n": len(rank),
        "hr_20": round(100 * float((rank > 0).mean()), 2),
        "mrr_20": round(100 * float(np.where(rank > 0, 1 / np.maximum(rank, 1), 0.0).mean()), 2),
    }


def predicted(source: SessionKnn, asked: list[Session]) -> I32:
    """(n, 20) items, in batches."""
    parts = [asked[at : at + 4_096] for at in range(0, len(asked), 4_096)]
    return np.concatenate([source.candidates(queries(part), K).items for part in parts])


def main() -> None:
    """Learn, take turns, write what came out."""
    if not DATA.exists():
        print(f"skipped: no Diginetica under {DATA}; set BENCH_DATA to the folder that holds diginetica/")
        return
    train, test = sessions("train.tsv.gz"), list(prefixes(sessions("test.tsv.gz")))
    n_items = 1 + max(item for session in train for item in session)
    plain, ours, default = (
        Vsknn(k=500, m=5_000),
        SessionKnn(VS_KNN, n_items),
        SessionKnn(SessionKnnSettings(), n_items),
    )
    plain.fit(train)
    clicks = interactions(train)
    ours.update(Interactions(*(column[:0] for column in clicks)))
    began = time.thread_time()
    ours.update(clicks)
    learning_us = (time.thread_time() - began) / len(clicks.item) * 1e6
    default.update(clicks)
    picked = np.sort(np.random.default_rng(1).permutation(len(test))[:SAMPLE])
    asked, following = [test[i][0] for i in picked], np.array([test[i][1] for i in picked])
    predicted(ours, asked[:2])

    times: dict[str, list[float]] = {
        "plain": [],
        "single": [],
        "batch": [],
        "ratio_single": [],
        "ratio_batch": [],
    }
    plain_items = np.full((SAMPLE, K), -1, np.int32)
    with Progress() as progress:
        for chunk in progress.track(np.array_split(np.arange(SAMPLE), ROUNDS), description="taking turns"):
            for i in chunk:
                began = time.thread_time()
                items = plain.predict(asked[i], K)
                times["plain"].append((time.thread_time() - began) * 1e6)
                plain_items[i, : len(items)] = items
                query = queries([asked[i]])
                began = time.thread_time()
                ours.candidates(query, K)
                times["single"].append((time.thread_time() - began) * 1e6)
            many = queries([asked[(chunk[0] + j) % SAMPLE] for j in range(BATCH)])
            began = time.thread_time()
            ours.candidates(many, K)
            times["batch"].append((time.thread_time() - began) / BATCH * 1e6)
            mean_us = np.mean(times["plain"][-len(chunk) :])
            times["ratio_single"].append(mean_us / np.mean(times["single"][-len(chunk) :]))
            times["ratio_batch"].append(mean_us / times["batch"][-1])
    every, all_following = [prefix for prefix, _ in test], np.array([item for _, item in test])
    write(
        "session_knn",
        {
            "what": "processor time of a prediction on Diginetica, VS-KNN with k 500, m 5,000, quadratic",
            "bar": f"{BAR:.0f} times faster than plain Python at the same HR@20",
            "plain_python": quantiles(times["plain"], "us"),
            "ours_one_a_call": quantiles(times["single"], "us"),
            "ours_batched_per_query": quantiles(times["batch"], "us"),
            "times_faster_one_a_call": round(float(np.median(times["ratio_single"])), 1),
            "times_faster_batched": round(float(np.median(times["ratio_batch"])), 1),
            "learning_us_a_click": round(learning_us, 3),
            "sample": {
                "plain_python": quality(plain_items, following),
                "ours": quality(predicted(ours, asked), following),
            },
            "all": {
                "ours": quality(predicted(ours, every), all_following),
                "ours_default_settings": quality(predicted(default, every), all_following),
                **PUBLISHED,
            },
            "size_mb": {
                "ours": round(ours.size_bytes / 1e6),
                "default_settings": round(default.size_bytes / 1e6),
            },
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load_1min": round(os.getloadavg()[0], 2),
        },
    )


if __name__ == "__main__":
    main()
