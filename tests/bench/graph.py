"""Whether propagation over a graph of co-visited items earns its place: ``python tests/bench/graph.py [log …]``.

LightGCN (He et al., SIGIR 2020) without learning through it: v' = normalise(sum over k to K of a_k S^k v), where S is
the symmetrically normalised matrix of how often two items followed each other in training sessions, the 20 most
frequent neighbours of an item; a_0 = 1 - alpha and a_k = alpha / K, which with alpha = K / (K + 1) are LightGCN's equal
weights. ``search``: users look for v' and are read as before; ``both``: the encoder reads v' as well.

K, alpha and the place are chosen by MRR@20 on the last tenth of the training sessions, by a model of those before; a
model of all of them is judged on the test sessions once, with v and with the one choice. Every click after the first
is to be among the 20 nearest of all items; HR@20 and MRR@20 in percent, 95% intervals by a bootstrap over users. Also
told, on the tail alone: the best choice for targets that were learned fewer than 5 times. ``diginetica-week`` is the
week of Diginetica's test sessions, its last fifth being tried. Figures of logs that are not named stay as they were.
"""

import argparse
import json
import time
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from bench_result import RESULTS, write
from cold_start import SEED, Taught, Trials
from compress import Found, embed_settings, found_by, full, percent
from evaluate import DATA, SPLITS
from rich.progress import track

from models.embed.exported import Exported
from models.embed.propagation import NEIGHBOURS, Graph, graph_of, propagated
from models.embed.settings import EmbedSettings
from models.evaluate.intervals import intervals
from models.retrieve.contract import I32, Interactions
from schemas.events import AnyEvent
from streams.log import read_log

TAIL, TRIED = 0.1, 0.2
HOPS = (1, 2)
ALPHAS = (0.05, 0.1, 0.2, 0.35, 0.5)
SELDOM = 5
WEEK = "diginetica-week"


class Choice(NamedTuple):
    """How items are propagated, and who sees it."""

    hops: int
    alpha: float
    place: str


CHOICES = [
    Choice(hops, alpha, place)
    for hops, place in product(HOPS, ("search", "both"))
    for alpha in (*ALPHAS, hops / (hops + 1))
]


class Fitted(NamedTuple):
    """A model of a part of the sessions, and what came after it."""

    exported: Exported
    settings: EmbedSettings
    learned: Interactions
    trials: Trials


def fitted(name: str, train: list[AnyEvent], later: list[AnyEvent]) -> Fitted:
    taught = Taught(embed_settings(name))
    taught.follow(train, learn=True)
    learned = taught.heard
    taught.learner.fit()
    exported = taught.learner.export()
    taught.follow(later, learn=False)
    trials = taught.trials(len(learned.item), np.zeros(0, np.int32))
    return Fitted(exported, taught.learner.settings, learned, trials)


def covisited(learned: Interactions, items: I32) -> Graph:
    """Over the rows of ``items``."""
    row = np.full(int(learned.item.max()) + 1, -1, np.int64)
    row[items] = np.arange(len(items))
    order = np.argsort(learned.user, kind="stable")
    user, at = learned.user[order], row[learned.item[order]]
    follows = (user[1:] == user[:-1]) & (at[1:] != at[:-1]) & (at[1:] >= 0) & (at[:-1] >= 0)
    return graph_of(at[:-1][follows], at[1:][follows], len(items))


def by_choice(of: Fitted, graph: Graph, choice: Choice | None) -> Found:
    if choice is None:
        return found_by(full(of.exported, of.settings), of.trials)
    vectors = propagated(of.exported.vectors, graph, choice.alpha, choice.hops)
    read = of.exported._replace(vectors=vectors) if choice.place == "both" else of.exported
    return found_by(full(read, of.settings)._replace(vectors=vectors), of.trials)


def parts_of(name: str) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Events of training and test sessions."""
    if name == WEEK:
        whole = [each.event for each in read_log(DATA / SPLITS["diginetica"][1], "diginetica")]
        return tail_of(whole, TRIED)
    train, test = ([each.event for each in read_log(DATA / file, name)] for file in SPLITS[name][:2])
    return train, test


def tail_of(events: list[AnyEvent], share: float) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Events of the sessions that begin before the last ``share`` of them, and of those that begin in it."""
    firsts: dict[str, int] = {}
    for event in events:
        firsts.setdefault(event.user_id, len(firsts))
    cut = int((1.0 - share) * len(firsts))
    late = [firsts[event.user_id] >= cut for event in events]
    parts: tuple[list[AnyEvent], list[AnyEvent]] = ([], [])
    for event, is_late in zip(events, late, strict=True):
        parts[is_late].append(event)
    return parts


def compared(of: Fitted, plain: Found, other: Found) -> dict[str, Any]:
    gain = [a - b for a, b in zip(other, plain, strict=True)]
    found = intervals(np.stack([*plain, *other, *gain], axis=1), of.trials.user.view(np.int64), SEED)
    names = [f"{of_whom}{m}" for of_whom in ("without ", "with ", "gain ") for m in ("hr@20", "mrr@20")]
    return {name: percent(each) for name, each in zip(names, found, strict=True)}


def measured(name: str) -> dict[str, Any]:
    began = time.process_time()
    train, test = parts_of(name)
    of = fitted(name, *tail_of(train, TAIL))
    graph = covisited(of.learned, of.exported.items)
    plain = by_choice(of, graph, None)
    found = {choice: by_choice(of, graph, choice) for choice in track(CHOICES, name)}
    best = max(found, key=lambda choice: float(found[choice].reciprocal.mean()))
    counts = np.bincount(of.learned.item, minlength=int(of.trials.examples.item.max()) + 1)
    seldom = counts[of.trials.examples.item] < SELDOM
    best_seldom = max(found, key=lambda choice: float(found[choice].reciprocal[seldom].mean()))
    tail = {
        "trials": len(seldom),
        "without": means(plain),
        "choices": [{**choice._asdict(), **means(each)} for choice, each in found.items()],
        "seldom_learned": {
            "trials": int(seldom.sum()),
            "without": means(Found(*(column[seldom] for column in plain))),
            "best": best_seldom._asdict(),
            "with": means(Found(*(column[seldom] for column in found[best_seldom]))),
        },
    }
    whole = fitted(name, train, test)
    graph = covisited(whole.learned, whole.exported.items)
    judged = compared(whole, by_choice(whole, graph, None), by_choice(whole, graph, best))
    return {
        "interactions_learned": len(whole.learned.item),
        "epochs": whole.settings.epochs,
        "edges": len(graph.neighbours),
        "tail": tail,
        "chosen": best._asdict(),
        "test": {"trials": len(whole.trials.user), **judged},
        "cpu_s": round(time.process_time() - began),
    }


def means(found: Found) -> dict[str, float]:
    return {
        "hr@20": round(100.0 * float(found.hit.mean()), 2),
        "mrr@20": round(100.0 * float(found.reciprocal.mean()), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="*", default=["serenade", "rsc15-100k", WEEK])
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "graph.json"
    of_logs = json.loads(file.read_text())["figures"]["logs"] if file.exists() else {}
    for name in track(given.logs, "logs"):
        of_logs[name] = measured(name)
        what = {"neighbours": NEIGHBOURS, "tail": TAIL, "seed": SEED}
        write("graph", {**what, "logs": of_logs})


if __name__ == "__main__":
    main()
