"""What compressing the embedding model costs and gains: ``python tests/bench/compress.py [log …]``.

One model a log, fitted on its training sessions and judged on its test sessions: every click after the first is to be
among the 20 nearest of all items. ``rees46-sample`` is split by time instead, 80 to 20: it alone has attributes.
Variants of that one model, each with HR@20 and MRR@20 in percent, what it has more than full precision (paired, 95% by
a bootstrap over users), microseconds of processor a user for reading the past and for the search (64 users at a time,
one thread, median of five rounds), bytes of the snapshot's arrays and of the index.

``table_f16``, ``table_i8``: items to search by in 2 or 1 bytes, those that the encoder reads in half precision or with
a scale a row. ``index_f16``, ``index_i8``: only those to search by. ``encoder_int8``: GRU and linear layers by
dynamic quantisation. ``dim_n``: users and items projected on the first n right singular vectors of the items; the
encoder reads what comes back from there. ``seen_5``: items that were seen fewer than 5 times lose their own row.
``half_the_weights``: the smaller half of the encoder's weights is 0. Figures of logs that are not named stay as they
were.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from bench_result import RESULTS, write
from cold_start import SEED, TRAIN, K, Taught, Trials, told
from evaluate import DATA, SPLITS
from numpy.typing import NDArray
from rich.progress import track
from torch import nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import prune

from models.embed.exported import Exported
from models.embed.index import Exact
from models.embed.inference import Inference
from models.embed.model import Model
from models.embed.quantise import Precision, quantised
from models.embed.sequences import Sequences
from models.embed.settings import EmbedSettings
from models.evaluate.intervals import intervals
from models.retrieve.contract import F32, F64, I32
from streams.log import read_log

EPOCHS = {"diginetica": 2}
"""Of the largest log; elsewhere the default."""
WITH_ATTRIBUTES = "rees46-sample"
DIMENSIONS = (48, 32, 16)
FEWEST = 5
USERS, ROUNDS, TIMED = 64, 5, 4_096


class Judged(NamedTuple):
    """A log with a model of its training part."""

    taught: Taught
    trials: Trials
    n_learned: int


class Variant(NamedTuple):
    """A way to answer."""

    users: Callable[[Sequences], F32]
    items: I32
    vectors: F32
    """(n, d) to search by; the users' have as many components."""
    precision: Precision
    snapshot_bytes: int


class Found(NamedTuple):
    """(n,) of each trial."""

    hit: F64
    reciprocal: F64


def embed_settings(name: str) -> EmbedSettings:
    """With room for all of Diginetica; items of a session log have no attributes, so the first click has to do."""
    common = {"max_users": 1 << 18, "replay": 1 << 20, "min_count": 2 if name == WITH_ATTRIBUTES else 1}
    return EmbedSettings(**common, **({"epochs": EPOCHS[name]} if name in EPOCHS else {}))


def judged(name: str) -> Judged:
    """The model is still to be fitted."""
    if name in SPLITS:
        train, test = ([e.event for e in read_log(DATA / file, name)] for file in SPLITS[name][:2])
        taught = Taught(embed_settings(name))
    else:
        log = told(name)
        cut = int(TRAIN * len(log.events))
        train, test = log.events[:cut], log.events[cut:]
        taught = Taught(embed_settings(name))
        taught.knowledge.describe(list(log.catalogue.items()))
    taught.follow(train, learn=True)
    n_learned = len(taught.heard.item)
    taught.learner.fit()
    taught.follow(test, learn=False)
    return Judged(taught, taught.trials(n_learned, np.zeros(0, np.int32)), n_learned)


def variants(of: Judged) -> dict[str, Variant]:
    """Full precision is the first."""
    learner = of.taught.learner
    settings, whole = learner.settings, learner.export()
    made = {"f32": full(whole, settings)}
    for precision in ("f16", "i8"):
        made[f"index_{precision}"] = made["f32"]._replace(precision=precision)
        made[f"table_{precision}"] = coarse(whole, settings, precision)
    made["encoder_int8"] = with_encoder(whole, settings, in_int8)
    made |= {f"dim_{d}": projected(whole, settings, d) for d in DIMENSIONS}
    made["half_the_weights"] = with_encoder(whole, settings, halved)
    rare = seldom_seen(of, FEWEST)
    learner._tower.items.forget(rare)
    made[f"seen_{FEWEST}"] = full(learner.export(), settings)
    return made


def full(exported: Exported, settings: EmbedSettings) -> Variant:
    inference = Inference(exported, settings, "cpu")
    return Variant(inference.users, exported.items, exported.vectors, "f32", size_bytes(exported))


def coarse(exported: Exported, settings: EmbedSettings, precision: Precision) -> Variant:
    """Items are kept, read and searched in fewer bytes."""
    if precision == "f16":
        kept: NDArray[Any] = exported.vectors.astype(np.float16)
        read, kept_bytes = kept.astype(np.float32), kept.nbytes
    else:
        kept, scale = quantised(exported.vectors, precision)
        read = kept.astype(np.float32) * scale[:, None]
        kept_bytes = kept.nbytes + scale.nbytes
    of = full(exported._replace(vectors=read), settings)
    return of._replace(
        vectors=exported.vectors,
        precision=precision,
        snapshot_bytes=of.snapshot_bytes - exported.vectors.nbytes + kept_bytes,
    )


def projected(exported: Exported, settings: EmbedSettings, dimension: int) -> Variant:
    _, _, axes = np.linalg.svd(exported.vectors, full_matrices=False)
    axes = np.ascontiguousarray(axes[:dimension].T)  # (D, d)
    less = exported.vectors @ axes  # (n, D) @ (D, d) -> (n, d)
    of = full(exported._replace(vectors=less @ axes.T), settings)
    n_bytes = of.snapshot_bytes - exported.vectors.nbytes + less.nbytes + axes.nbytes
    users = of.users
    return of._replace(users=lambda past: users(past) @ axes, vectors=less, snapshot_bytes=n_bytes)


def with_encoder(
    exported: Exported, settings: EmbedSettings, change: Callable[[nn.Module], tuple[nn.Module, int]]
) -> Variant:
    inference = Inference(exported, settings, "cpu")
    changed, n_bytes = change(inference._model)
    inference._model = cast(Model, changed)
    weights = sum(array.nbytes for array in exported.weights.values())
    snapshot = size_bytes(exported) - weights + n_bytes
    return Variant(inference.users, exported.items, exported.vectors, "f32", snapshot)


def in_int8(model: nn.Module) -> tuple[nn.Module, int]:
    """The same in 8 bits, and the bytes of all its weights: one each of a matrix that is quantised."""
    matrices = [p for m in model.modules() if isinstance(m, nn.GRU | nn.Linear) for p in m.parameters()]
    others = sum(p.numel() * 4 for p in model.parameters()) - sum(p.numel() * 4 for p in matrices)
    n_bytes = sum(p.numel() * (1 if p.ndim == 2 else 4) for p in matrices) + others
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised_model = quantize_dynamic(model, {nn.GRU, nn.Linear}, torch.qint8)  # type: ignore[no-untyped-call]
        return quantised_model, n_bytes


def halved(model: nn.Module) -> tuple[nn.Module, int]:
    """Without the smaller half of the weights of matrices, and the bytes of what is left, two more each for where."""
    matrices = [
        (module, name)
        for module in model.modules()
        if isinstance(module, nn.GRU | nn.Linear)
        for name, p in module.named_parameters(recurse=False)
        if p.ndim == 2
    ]
    rest = sum(p.numel() for p in model.parameters()) - sum(getattr(m, n).numel() for m, n in matrices)
    prune.global_unstructured(matrices, prune.L1Unstructured, amount=0.5)
    for module, name in matrices:
        prune.remove(module, name)  # type: ignore[no-untyped-call]
    left = sum(int((getattr(m, n) != 0.0).sum()) for m, n in matrices)
    return model, 4 * rest + 6 * left


def seldom_seen(of: Judged, fewest: int) -> I32:
    """Items that were seen less often in what was learned."""
    item = of.taught.heard.item[: of.n_learned]
    counts = np.bincount(item)
    return np.flatnonzero((counts > 0) & (counts < fewest)).astype(np.int32)


def size_bytes(exported: Exported) -> int:
    return sum(array.nbytes for array in exported.arrays().values())


def found_by(variant: Variant, trials: Trials) -> Found:
    index, target = index_of(variant), trials.examples.item
    hits, reciprocals = [], []
    for start in range(0, len(target), 512):
        some = slice(start, start + 512)
        users = np.ascontiguousarray(variant.users(trials.examples.sequences.of(some)))
        right = index.search(users, K)[0] == target[some][:, None]  # (n, K)
        hits.append(right.any(axis=1).astype(np.float64))
        reciprocals.append(np.where(right, 1.0 / np.arange(1, K + 1), 0.0).sum(axis=1))
    return Found(np.concatenate(hits), np.concatenate(reciprocals))


def index_of(variant: Variant) -> Exact:
    index = Exact(variant.vectors.shape[1], variant.precision, len(variant.items))
    index.put(variant.items, variant.vectors)
    return index


def timed(made: dict[str, Variant], trials: Trials) -> dict[str, tuple[float, float]]:
    """Microseconds a user for reading and for searching; rounds of all variants in turn."""
    n = min(len(trials.user), TIMED)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    indexes = {name: index_of(variant) for name, variant in made.items()}
    for _ in range(ROUNDS):
        for name, variant in made.items():
            reading = searching = 0.0
            for start in range(0, n, USERS):
                past = trials.examples.sequences.of(slice(start, start + USERS))
                at = time.thread_time()
                users = np.ascontiguousarray(variant.users(past))
                read = time.thread_time()
                indexes[name].search(users, K)
                reading, searching = reading + read - at, searching + time.thread_time() - read
            spent[name].append((reading / n * 1e6, searching / n * 1e6))
    return {name: tuple(np.median(each, axis=0).round(1).tolist()) for name, each in spent.items()}


def measured(name: str) -> dict[str, Any]:
    began = time.process_time()
    of = judged(name)
    made = variants(of)
    found = {each: found_by(variant, of.trials) for each, variant in made.items()}
    spent, user = timed(made, of.trials), of.trials.user.view(np.int64)
    rows = {}
    for each, variant in made.items():
        gain = [a - b for a, b in zip(found[each], found["f32"], strict=True)]
        hit, reciprocal, more_hit, more_reciprocal = intervals(
            np.stack([*found[each], *gain], axis=1), user, SEED
        )
        rows[each] = {
            "hr@20": percent(hit),
            "mrr@20": percent(reciprocal),
            "more_hr@20": percent(more_hit),
            "more_mrr@20": percent(more_reciprocal),
            "read_us": spent[each][0],
            "search_us": spent[each][1],
            "snapshot_bytes": variant.snapshot_bytes,
            "index_bytes": index_of(variant).size_bytes,
            "items": len(variant.items),
        }
    return {
        "trials": len(user),
        "users": len(np.unique(user)),
        "interactions_learned": of.n_learned,
        "epochs": of.taught.learner.settings.epochs,
        "variants": rows,
        "cpu_s": round(time.process_time() - began),
    }


def percent(interval: tuple[float, float, float]) -> list[float]:
    return [round(100.0 * each, 2) for each in interval]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="*", default=["serenade", "rsc15-100k", WITH_ATTRIBUTES])
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "compress.json"
    of_logs = json.loads(file.read_text())["figures"]["logs"] if file.exists() else {}
    for name in track(given.logs, "logs"):
        of_logs[name] = measured(name)
        write("compress", {"torch": torch.__version__, "seed": SEED, "logs": of_logs})


if __name__ == "__main__":
    main()
