"""What the embedding model knows of new items and new users: ``python tests/bench/cold_start.py [log …]``.

**New items.** The first 80% of a log's events are learned, the rest is tried. One item in ten, drawn by a seed, is held
out: no interaction with it is learned, and none is in anybody's past, but the catalogue describes it like all others.
Tried is each shopper's first interaction with such an item, from a past of others; ranked are (a) all that were held
out, (b) all items. Beside the model stand chance, how often others of the item's category were wanted, items like the
shopper's newest one (its category, then its brand, then how much the category is wanted), and the same model with
attributes hidden, which knows nothing of what was held out. Equals are ranked in a random order: figures are the
expectation over it. ``share_of_lists`` is what items held out take of all lists of 20, ``share_of_targets`` what they
are of all that is tried, in percent.

**New users.** Second interactions of shoppers, with another item than the first and none that was held out; ranked are
all items. Beside the model: how often an item was wanted, and what followed that one item in others' pasts.

HR@20 and MRR@20 in percent with 95% intervals by a bootstrap over users. ``--choose`` tries settings on the
first 80% of the log alone, split and held out in the same way; what is tried above takes no part in that. Figures of
logs that are not named stay as they were.
"""

import argparse
import csv
import gzip
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from bench_result import RESULTS, write
from numpy.typing import NDArray
from rich.progress import track

from models.embed.inference import Inference
from models.embed.learner import Learner
from models.embed.sequences import Examples, leave_out
from models.embed.settings import EmbedSettings
from models.embed.table import I64
from models.evaluate.intervals import intervals
from models.evaluate.of_path import OfPath
from models.path import Path as PurePath
from models.retrieve.contract import F32, F64, I32, U64, Interactions
from schemas.catalog import Item
from schemas.events import AnyEvent, Purchase
from streams.evaluation import settings_of
from streams.log import read_log

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOGS = {
    "rees46-sample": "rees46-sample/events.csv.gz",
    "taobao-slice": "taobao-slice/events.csv.gz",
    "online-retail": "online-retail/transactions-2010-12_2011-08.csv.gz",
    "complete-journey": "complete-journey/transactions_sample.csv.gz",
}
MAX_INTERACTIONS = 60_000
"""Of a longer log the latest are read."""
TRAIN, HELD_OUT, K, SEED = 0.8, 0.1, 20, 1
AT_ONCE, BATCH, WINDOW = 512, 1_000, 10
DROPOUTS = ((0.0, 0.0), (0.1, 0.1), (0.1, 0.0), (0.3, 0.1), (0.5, 0.1), (0.5, 0.0), (0.7, 0.1))
"""Of the own rows, of the attributes."""
CHOICES = {
    "dropout": [
        {"id_dropout": by_id, "attribute_dropout": by_attributes} for by_id, by_attributes in DROPOUTS
    ],
    "unseen": [{"unseen_share": share} for share in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)],
}
UNKNOWN = np.float32(-np.inf)

Bools = NDArray[np.bool_]
Score = Callable[[Examples], F32]
"""(n, C) of the candidates."""


class Trials(NamedTuple):
    """Interactions that had a past."""

    examples: Examples
    user: U64
    n_before: I64
    """(n,) the user's earlier interactions with items that were not held out."""


class Taught:
    """The path of a worker with a model to be taught, which keeps the interactions that it hears of."""

    def __init__(self, embed: EmbedSettings, *options: str) -> None:
        settings, _ = settings_of(None, ["embed.enabled=true", "learn.enabled=false", *options])
        of_path = settings.path()
        alone = {
            name: getattr(of_path.retrieve, name).model_copy(update={"enabled": name == "embedding"})
            for name in type(of_path.retrieve).model_fields
        }
        path = PurePath(of_path._replace(retrieve=of_path.retrieve.model_copy(update=alone)))
        self.knowledge, self._recommender = path.knowledge, OfPath(path)
        n_items = settings.knowledge.max_items
        self.learner = Learner(embed, n_items, path.knowledge.attributes, settings.interest, "cpu")
        self._again = Learner(embed, 1, path.knowledge.attributes, settings.interest, "cpu")._histories
        self._told: list[Interactions] = []
        self._learns = True
        source = path.knowledge.embedding
        assert source is not None, "it was enabled"
        source.pupil = self

    def follow(self, events: Sequence[AnyEvent], *, learn: bool) -> None:
        """Take events in; without ``learn`` they are only heard of."""
        self._learns = learn
        for start in range(0, len(events), BATCH):
            self._recommender.train(events[start : start + BATCH])

    def fitted(self) -> Inference:
        """The model of what was taken in so far."""
        self.learner.fit()
        return Inference(self.learner.export(), self.learner.settings, "cpu")

    @property
    def heard(self) -> Interactions:
        return Interactions._make(np.concatenate(column) for column in zip(*self._told, strict=True))

    def trials(self, n_learned: int, out: I32) -> Trials:
        """What was heard of after the first ``n_learned``; items in ``out`` are in nobody's past."""
        heard = self.heard
        examples, n_any = self._again.examples(heard), n_earlier(heard.user, np.ones(len(heard.item), bool))
        rows = np.flatnonzero(n_any > 0)
        assert len(rows) == len(examples.item), "who was there before has a past"
        n_before = n_earlier(heard.user, ~np.isin(heard.item, out))[rows]
        leave_out(examples, np.isin(examples.sequences.items, out))
        kept = np.flatnonzero((rows >= n_learned) & (examples.sequences.items[:, 0] >= 0))
        return Trials(examples.of(kept), heard.user[rows[kept]], n_before[kept])

    def index(self, names: Iterable[str]) -> I32:
        return np.array([self.knowledge.vocabularies.items.index(name) for name in names], np.int32)

    def update(self, batch: Interactions) -> None:
        self._told.append(Interactions._make(column.copy() for column in batch))
        if self._learns:
            self.learner.observe(batch, learn=False)

    def describe(self, item: int, terms: I32) -> None:
        self.learner.describe(item, terms)

    def give(self, item: int, vector: Sequence[float] | None) -> None:
        """No log has vectors of others."""

    def fit(self) -> None:
        """When it is time, ``fitted`` is asked."""

    def forget(self, items: I32) -> None:
        raise AssertionError(f"{len(items)} items did not fit: raise knowledge.max_items")


def n_earlier(user: U64, counted: Bools) -> I64:
    """(n,) of each row, the rows of the same user before it that are ``counted``."""
    order = np.argsort(user, kind="stable")
    total: I64 = np.cumsum(counted[order]) - counted[order]
    starts = np.flatnonzero(np.diff(user[order], prepend=~user[order][:1]))
    before: I64 = np.repeat(total[starts], np.diff(starts, append=len(user)))
    out = np.empty(len(user), np.int64)
    out[order] = total - before
    return out


class Told(NamedTuple):
    """A log: what happened, and what a catalogue says."""

    events: list[AnyEvent]
    catalogue: dict[str, Item]


def items_of(event: AnyEvent) -> list[str]:
    return [line.item_id for line in event.lines] if isinstance(event, Purchase) else [event.item_id]  # type: ignore[union-attr]


def told(name: str) -> Told:
    """The latest events, and what is said of their items."""
    events = [logged.event for logged in read_log(DATA / LOGS[name], name)]
    n, start = 0, len(events)
    while start and n < MAX_INTERACTIONS:
        start -= 1
        n += len(items_of(events[start]))
    events = events[start:]
    seen = dict.fromkeys(item for event in events for item in items_of(event))
    said = said_apart(name) or said_by_events(events)
    return Told(events, {item: Item(item_id=item, time_ms=0, **said.get(item, {})) for item in seen})


def said_by_events(events: Iterable[AnyEvent]) -> dict[str, dict[str, Any]]:
    """The first category, brand and price that any event says of an item."""
    said: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in events:
        for each in event.lines if isinstance(event, Purchase) else [event]:
            for name in ("category", "brand", "price"):
                if (value := getattr(each, name, None)) is not None:
                    said[each.item_id].setdefault(name, value)  # type: ignore[union-attr]
    return said


def said_apart(name: str) -> dict[str, dict[str, Any]] | None:
    """What lies in another file or column than the events."""
    if name == "complete-journey":
        return {
            row["product_id"]: {
                "title": row["product_type"],
                "category": row["product_category"] or None,
                "brand": row["manufacturer_id"],
            }
            for row in rows_of(DATA / name / "products.csv.gz")
        }
    if name == "online-retail":
        said: dict[str, dict[str, Any]] = {}
        for row in rows_of(DATA / LOGS[name]):
            if row["Description"]:
                price = max(float(row["UnitPrice"]), 0.0)
                said.setdefault(row["StockCode"], {"title": row["Description"], "price": price})
        return said
    return None


def rows_of(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", errors="replace") as text:
        yield from csv.DictReader(text)


def bare(event: AnyEvent) -> AnyEvent:
    """Without a word about its items."""
    if isinstance(event, Purchase):
        lines = [msgspec.structs.replace(line, category=None, brand=None, price=None) for line in event.lines]
        return msgspec.structs.replace(event, lines=lines)
    said = [name for name in ("category", "brand", "price") if hasattr(event, name)]
    return msgspec.structs.replace(event, **dict.fromkeys(said))


def without(events: Iterable[AnyEvent], out: set[str]) -> Iterator[AnyEvent]:
    for event in events:
        if isinstance(event, Purchase):
            lines = [line for line in event.lines if line.item_id not in out]
            if lines:
                yield msgspec.structs.replace(event, lines=lines)
        elif event.item_id not in out:  # type: ignore[union-attr]
            yield event


class Ranked(NamedTuple):
    """Of n trials, how the target was ranked: the expectation over a random order of equals."""

    hit: F64
    reciprocal: F64


HARMONIC = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, K + 1))])


def ranked(trials: Trials, candidates: I32, score: Score) -> Ranked:
    """``candidates`` (C,) by item index, -1 for one that the model never heard of."""
    column = np.full(int(max(candidates.max(), trials.examples.item.max())) + 2, -1, np.int64)
    column[candidates[candidates >= 0]] = np.flatnonzero(candidates >= 0)
    hits, reciprocals = [], []
    for start in range(0, len(trials.user), AT_ONCE):
        some = trials.examples.of(slice(start, start + AT_ONCE))
        scores, at = score(some), column[some.item]  # (n, C), (n,)
        assert (at >= 0).all(), "a target is a candidate"
        own = scores[np.arange(len(at)), at][:, None]
        above, alike = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        hits.append(np.clip(K - above, 0, alike) / alike)
        reciprocals.append((HARMONIC[np.minimum(above + alike, K)] - HARMONIC[np.minimum(above, K)]) / alike)
    return Ranked(np.concatenate(hits), np.concatenate(reciprocals))


def by_model(inference: Inference, candidates: I32) -> Score:
    table, known = inference.items(candidates), inference.rows(candidates) >= 0

    def score(examples: Examples) -> F32:
        scores = inference.users(examples.sequences) @ table.T  # (n, D) @ (D, C) -> (n, C)
        return np.where(known, scores, UNKNOWN)

    return score


def alike(of: Any, wanted: F64, candidates: I32) -> Score:
    """Of the newest item's category first, then of its brand, then by how much the category is ``wanted`` (C,)."""
    category, brand = of.category[candidates], of.brand[candidates]
    by_category = (wanted / (2.0 * max(wanted.max(), 1.0))).astype(np.float32)

    def score(examples: Examples) -> F32:
        newest = examples.sequences.items[:, 0]
        same = (of.category[newest][:, None] == category) & (category >= 0)
        same_brand = (of.brand[newest][:, None] == brand) & (brand >= 0)
        return np.asarray(2.0 * same + 1.0 * same_brand + by_category, np.float32)

    return score


def followed(learned: Interactions, wanted: F64, candidates: I32) -> Score:
    """How often a candidate came soon after the newest item, 1 / steps each; of equals the more ``wanted`` (C,)."""
    pairs: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    past: dict[int, list[int]] = defaultdict(list)
    for user, item in zip(learned.user.tolist(), learned.item.tolist(), strict=True):
        before = past[user]
        for steps, earlier in enumerate(reversed(before[-WINDOW:]), 1):
            if earlier != item:
                pairs[earlier][item] += 1.0 / steps
        before.append(item)
    column = {int(item): at for at, item in enumerate(candidates) if item >= 0}
    least = (1e-4 * wanted / max(wanted.max(), 1.0)).astype(np.float32)

    def score(examples: Examples) -> F32:
        scores = np.tile(least, (len(examples.item), 1))
        for row, newest in enumerate(examples.sequences.items[:, 0].tolist()):
            for item, weight in pairs.get(newest, {}).items():
                if (at := column.get(item)) is not None:
                    scores[row, at] += weight
        return scores

    return score


def everywhere(scores: F64) -> Score:
    return lambda examples: np.broadcast_to(scores.astype(np.float32), (len(examples.item), len(scores)))


def figures(found: dict[str, Ranked], user: U64, first: str) -> dict[str, Any]:
    """Percent with intervals, and by how much ``first`` is above the others."""
    if not len(user):
        return {"trials": 0}
    users = user.view(np.int64)
    columns = [column for each in found.values() for column in each]
    ones = intervals(np.stack(columns, axis=1), users, SEED)
    rows: dict[str, Any] = {
        name: {
            "hr@20": [round(100.0 * v, 2) for v in ones[2 * i]],
            "mrr@20": [round(100.0 * v, 2) for v in ones[2 * i + 1]],
        }
        for i, name in enumerate(found)
    }
    others = [name for name in found if name != first]
    gains = [a - b for name in others for a, b in zip(found[first], found[name], strict=True)]
    above = intervals(np.stack(gains, axis=1), users, SEED)
    rows["model_less"] = {
        f"{name} {measure}": [round(100.0 * v, 2) for v in above[2 * i + j]]
        for i, name in enumerate(others)
        for j, measure in enumerate(("hr@20", "mrr@20"))
    }
    return {"trials": len(user), "users": len(np.unique(user)), **rows}


class Split(NamedTuple):
    """What is learned, what is tried, and the items that are held out."""

    train: list[AnyEvent]
    test: list[AnyEvent]
    out: list[str]


def split(of: Told) -> Split:
    names = sorted({item for event in of.events for item in items_of(event)})
    rng = np.random.default_rng(SEED)
    out = [names[i] for i in rng.permutation(len(names))[: round(HELD_OUT * len(names))]]
    cut = int(TRAIN * len(of.events))
    return Split(list(without(of.events[:cut], set(out))), of.events[cut:], out)


class Model(NamedTuple):
    """A path whose model was fitted, and what it is tried on."""

    taught: Taught
    inference: Inference
    learned: Interactions
    cold: Trials
    """First interactions with items that were held out."""
    warm: Trials
    out: I32
    items: I32
    """(C,) indexes of all items, those that are held out among them."""


def fitted(of: Told, parts: Split, embed: EmbedSettings, *, ids_only: bool = False) -> Model:
    taught = Taught(embed)
    if not ids_only:
        taught.knowledge.describe(list(of.catalogue.items()))
    tell = bare if ids_only else (lambda event: event)
    taught.follow([tell(event) for event in parts.train], learn=True)
    learned = taught.heard
    inference = taught.fitted()
    taught.follow([tell(event) for event in parts.test], learn=False)
    out, items = taught.index(parts.out), taught.index(of.catalogue)
    trials = taught.trials(len(learned.item), out)
    cold = np.isin(trials.examples.item, out)
    first = np.zeros(len(cold), bool)
    pairs = np.stack([trials.user.view(np.int64), trials.examples.item.astype(np.int64)])[:, cold]
    first[np.flatnonzero(cold)[np.unique(pairs, axis=1, return_index=True)[1]]] = True
    return Model(taught, inference, learned, _of(trials, first), _of(trials, ~cold), out, items)


def _of(trials: Trials, which: Bools) -> Trials:
    rows = np.flatnonzero(which)
    return Trials(trials.examples.of(rows), trials.user[rows], trials.n_before[rows])


def new_items(model: Model, hidden: Model) -> dict[str, Any]:
    of = model.taught.knowledge.attributes
    counts = np.bincount(of.category[model.learned.item] + 1, minlength=int(of.category.max()) + 2)
    counts[0] = 0
    measured = {}
    for among in ("out", "items"):
        candidates = getattr(model, among)
        wanted = counts[of.category[candidates] + 1].astype(np.float64)
        found = {
            "model": ranked(model.cold, candidates, by_model(model.inference, candidates)),
            "attributes_hidden": ranked(
                hidden.cold, getattr(hidden, among), by_model(hidden.inference, getattr(hidden, among))
            ),
            "category_popularity": ranked(model.cold, candidates, everywhere(wanted)),
            "alike": ranked(model.cold, candidates, alike(of, wanted, candidates)),
        }
        of_users = figures(found, model.cold.user, "model")
        n = len(candidates)
        chance = {
            "hr@20": round(100.0 * min(K / n, 1.0), 2),
            "mrr@20": round(100.0 * HARMONIC[min(K, n)] / n, 2),
        }
        name = "among_held_out" if among == "out" else "among_all"
        measured[name] = {"candidates": n, "chance": chance, **of_users}
    known = model.inference.rows(model.out) >= 0
    return {
        "held_out": len(model.out),
        "with_a_vector": int(known.sum()),
        "share_of_lists": round(100.0 * share_of_lists(model), 2),
        "share_of_targets": round(
            100.0 * len(model.cold.user) / (len(model.cold.user) + len(model.warm.user)), 2
        ),
        **measured,
    }


def share_of_lists(model: Model) -> float:
    """Of the places in the lists of all trials, how many are taken by items that were held out."""
    score, taken = by_model(model.inference, model.items), []
    is_out = np.isin(model.items, model.out)
    for trials in (model.cold, model.warm):
        for start in range(0, len(trials.user), AT_ONCE):
            scores = score(trials.examples.of(slice(start, start + AT_ONCE)))
            taken.append(is_out[np.argpartition(-scores, K, axis=1)[:, :K]].mean(axis=1))
    return float(np.concatenate(taken).mean())


def new_users(model: Model, hidden: Model) -> dict[str, Any]:
    one, one_hidden = (_of(each.warm, is_second(each.warm)) for each in (model, hidden))
    counts = np.bincount(model.learned.item, minlength=int(model.items.max()) + 1)
    wanted = counts[model.items].astype(np.float64)
    found = {
        "model": ranked(one, model.items, by_model(model.inference, model.items)),
        "attributes_hidden": ranked(one_hidden, hidden.items, by_model(hidden.inference, hidden.items)),
        "popularity": ranked(one, model.items, everywhere(wanted)),
        "covisitation": ranked(one, model.items, followed(model.learned, wanted, model.items)),
    }
    return {"candidates": len(model.items), **figures(found, one.user, "model")}


def is_second(trials: Trials) -> Bools:
    """Of users with one interaction before, with another item."""
    other: Bools = trials.examples.item != trials.examples.sequences.items[:, 0]
    return np.logical_and(other, trials.n_before == 1)


def measured(of: Told, embed: EmbedSettings) -> dict[str, Any]:
    began = time.process_time()
    parts = split(of)
    model, hidden = fitted(of, parts, embed), fitted(of, parts, embed, ids_only=True)
    return {
        "events_read": len(of.events),
        "interactions_learned": len(model.learned.item),
        "items": len(of.catalogue),
        "new_items": new_items(model, hidden),
        "new_users": new_users(model, hidden),
        "cpu_s": round(time.process_time() - began),
    }


def chosen(of: Told, choices: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Of each choice of settings, reciprocal ranks on a later part of what is learned: new items in it, and others."""
    inner = Told(of.events[: int(TRAIN * len(of.events))], of.catalogue)
    seen = {item for event in inner.events for item in items_of(event)}
    inner = Told(inner.events, {name: item for name, item in of.catalogue.items() if name in seen})
    parts, rows = split(inner), []
    for tried in choices:
        model = fitted(inner, parts, EmbedSettings.model_validate(tried))
        cold = ranked(model.cold, model.items, by_model(model.inference, model.items))
        among = ranked(model.cold, model.out, by_model(model.inference, model.out))
        warm = ranked(model.warm, model.items, by_model(model.inference, model.items))
        row: dict[str, Any] = dict(tried)
        for name, each in (("held_out", among), ("new_among_all", cold), ("others", warm)):
            row[f"{name} hr@20"] = round(100.0 * float(each.hit.mean()), 2)
            row[f"{name} mrr@20"] = round(100.0 * float(each.reciprocal.mean()), 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="*", default=list(LOGS))
    parser.add_argument("--choose", choices=list(CHOICES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "cold_start.json"
    before = json.loads(file.read_text())["figures"] if file.exists() else {}
    part = f"{given.choose}_on_train" if given.choose else "logs"
    of_logs = dict(before.get(part, {}))
    for name in track(given.logs, "logs"):
        log = told(name)
        of_logs[name] = chosen(log, CHOICES[given.choose]) if given.choose else measured(log, EmbedSettings())
        write("cold_start", {**before, "most_interactions": MAX_INTERACTIONS, "seed": SEED, part: of_logs})


if __name__ == "__main__":
    main()
