"""What a vector given of an item adds to its words: ``python tests/bench/given.py [--sentence-encoder FOLDER DIM]``.

The latest 40,000 purchase lines of online-retail, of which the first 80% are learned. One item in ten, drawn by a seed,
is held out: nothing that happened with it is learned, and it is in nobody's past, but its description and price are
known. Tried is every later purchase of such an item by a shopper who has a past of others and did not buy it lately;
ranked are all items, held out or not. Vectors are of two kinds: hashed character n-grams of the description, weighted
by their rarity and cut to 128 components by a singular value decomposition of the items that are learned; and, where a
model is named, what ``embed.sentence_encoder`` makes of the description. HR@20 and MRR@20 in percent with 95% intervals
by a bootstrap over users, and what each brings above the words that Rillet takes from the description by itself.
"""

import argparse
import csv
import gzip
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from bench_result import write
from numpy.typing import NDArray

from models.embed.histories import Histories
from models.embed.inference import Inference
from models.embed.learner import Learner
from models.embed.ranks import ranks_of
from models.embed.sequences import Examples, leave_out
from models.embed.settings import EmbedSettings
from models.evaluate.intervals import intervals
from models.interest.settings import InterestSettings
from models.interest.terms import MAX_ITEM_TERMS, terms
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import F32, F64, I32, U64, Interactions
from streams.titles import SentenceEncoder

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOG = DATA / "online-retail" / "transactions-2010-12_2011-08.csv.gz"
N_INTERACTIONS, TRAIN, HELD_OUT, K = 40_000, 0.8, 0.1, 20
GRAMS, BUCKETS, COMPONENTS = (3, 4, 5), 1 << 13, 128
SEEDS = (1, 2)


class Log(NamedTuple):
    """Purchases in order, and what is known of their items."""

    interactions: Interactions
    titles: list[str]
    log_price: F32


class Trials(NamedTuple):
    examples: Examples
    user: U64


def read() -> Log:
    with gzip.open(LOG, "rt", encoding="utf-8", errors="replace") as text:
        rows = [row for row in csv.DictReader(text) if row["Description"] and row["CustomerID"]]
    rows = sorted((row for row in rows if int(row["Quantity"]) > 0), key=lambda row: row["InvoiceDate"])
    rows = rows[-N_INTERACTIONS:]
    item_of: dict[str, int] = {}
    titles, prices = [], []
    for row in rows:
        if item_of.setdefault(row["StockCode"], len(item_of)) == len(titles):
            titles.append(row["Description"])
            prices.append(float(row["UnitPrice"]))
    n = len(rows)
    interactions = Interactions(
        user=np.array([int(float(row["CustomerID"])) for row in rows], np.uint64),
        session=np.zeros(n, np.uint64),
        item=np.array([item_of[row["StockCode"]] for row in rows], np.int32),
        kind=np.full(n, int(Kind.PURCHASE), np.uint8),
        time_s=np.array([datetime.fromisoformat(row["InvoiceDate"]).timestamp() for row in rows]),
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )
    return Log(interactions, titles, np.log1p(np.maximum(np.array(prices, np.float32), 0.0)))


def of_rows(interactions: Interactions, rows: NDArray[np.bool_]) -> Interactions:
    return Interactions._make(column[rows] for column in interactions)


def grams(title: str) -> Iterator[int]:
    """Buckets of the character n-grams of each word and of the gaps around it."""
    text = f" {' '.join(title.casefold().split())} "
    return (zlib.crc32(text[i : i + n].encode()) % BUCKETS for n in GRAMS for i in range(len(text) - n + 1))


def of_grams(titles: list[str], learned: I32) -> F32:
    """(I, 128) by the n-grams that the items in ``learned`` have in common."""
    counts = np.zeros((len(titles), BUCKETS), np.float32)
    for row, title in enumerate(titles):
        for bucket, n in Counter(grams(title)).items():
            counts[row, bucket] = 1.0 + np.log(n)
    rarity = np.log((1.0 + len(learned)) / (1.0 + (counts[learned] > 0).sum(axis=0))) + 1.0
    weighed = counts * rarity.astype(np.float32)
    weighed /= np.linalg.norm(weighed, axis=1, keepdims=True)
    torch.manual_seed(1)
    _, _, right = torch.svd_lowrank(torch.from_numpy(weighed[learned]), q=COMPONENTS, niter=4)
    return weighed @ right.numpy()  # type: ignore[no-any-return]


def fitted(log: Log, train: Interactions, seed: int, *, words: bool, vectors: F32 | None) -> Inference:
    n = len(log.titles)
    attributes = Attributes(
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        log.log_price,
        np.ones(n, np.uint8),
        np.zeros(n),
        np.zeros(n, np.float32),
    )
    settings = EmbedSettings(given_dim=0 if vectors is None else vectors.shape[1], seed=seed)
    learner = Learner(settings, n, attributes, InterestSettings(), "cpu")
    index_of: dict[str, int] = {}
    for item, title in enumerate(log.titles):
        if words:
            found = [index_of.setdefault(word, len(index_of)) for word in terms(title, MAX_ITEM_TERMS)]
            learner.describe(item, np.array(found, np.int32))
        if vectors is not None:
            learner.give(item, vectors[item])
    learner.observe(train, learn=False)
    learner.fit()
    return Inference(learner.export(), settings, "cpu")


def trials(train: Interactions, test: Interactions, out: I32) -> Trials:
    settings = EmbedSettings()
    histories = Histories(settings.max_users, settings.length, InterestSettings())
    histories.examples(train)
    known = set(train.user.tolist())
    rows = [row for row, user in enumerate(test.user.tolist()) if user in known or known.add(user)]
    examples = histories.examples(test)
    assert len(rows) == len(examples.item), "who was there before has a past"
    lately = (examples.sequences.items == examples.item[:, None]).any(axis=1)
    leave_out(examples, np.isin(examples.sequences.items, out))
    tried = np.isin(examples.item, out) & ~lately & (examples.sequences.items[:, 0] >= 0)
    kept = np.flatnonzero(tried)
    return Trials(examples.of(kept), test.user[np.array(rows)[kept]])


def tried(log: Log, seed: int, encoder: SentenceEncoder | None) -> tuple[dict[str, F64], U64]:
    """By variant, reciprocal ranks (n,) within the first 20, and whose they are."""
    n = len(log.titles)
    out = np.random.default_rng(seed).permutation(n)[: round(HELD_OUT * n)].astype(np.int32)
    early = np.arange(N_INTERACTIONS) < TRAIN * N_INTERACTIONS
    held = np.isin(log.interactions.item, out)
    train, test = of_rows(log.interactions, early & ~held), of_rows(log.interactions, ~early)
    of = trials(train, test, out)
    vectors = {"n_grams": of_grams(log.titles, np.unique(train.item))}
    if encoder:
        vectors["sentences"] = encoder.encode(log.titles)
    variants: dict[str, dict[str, Any]] = {"words": {"words": True, "vectors": None}}
    for name, given in vectors.items():
        variants[name] = {"words": False, "vectors": given}
        variants[f"words and {name}"] = {"words": True, "vectors": given}
    found = {}
    for name, variant in variants.items():
        ranks = ranks_of(fitted(log, train, seed, **variant), of.examples)
        found[name] = np.where(ranks <= K, 1.0 / ranks, 0.0)
        print(seed, name, len(ranks), round(100.0 * float((found[name] > 0).mean()), 2), flush=True)
    return found, of.user


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentence-encoder", nargs=2, metavar=("FOLDER", "DIM"))
    asked = parser.parse_args().sentence_encoder
    torch.set_num_threads(1)
    encoder = SentenceEncoder(asked[0], int(asked[1]), "cpu") if asked else None
    began, log = time.process_time(), read()
    parts = [tried(log, seed, encoder) for seed in SEEDS]
    users = np.concatenate([user for _, user in parts]).view(np.int64)
    found = {name: np.concatenate([of[name] for of, _ in parts]) for name in parts[0][0]}
    measures = {
        f"{name} {measure}": values
        for name, of in found.items()
        for measure, values in (("hr@20", (of > 0).astype(np.float64)), ("mrr@20", of))
    }
    above = {
        f"{name} {measure}": measures[f"{name} {measure}"] - measures[f"words {measure}"]
        for name in found
        if name != "words"
        for measure in ("hr@20", "mrr@20")
    }

    def percent(of: dict[str, F64]) -> dict[str, list[float]]:
        rows = intervals(np.stack(list(of.values()), axis=1), users, 1)
        return {name: [round(100.0 * v, 2) for v in row] for name, row in zip(of, rows, strict=True)}

    figures = {
        "items": len(log.titles),
        "interactions": N_INTERACTIONS,
        "splits": len(SEEDS),
        "trials": len(users),
        "users": len(np.unique(users)),
        "found": percent(measures),
        "above_words": percent(above),
        "cpu_s": round(time.process_time() - began),
    }
    write("given", figures)


if __name__ == "__main__":
    main()
