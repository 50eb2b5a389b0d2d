"""Recall and time of nearest items, searched all or through a graph: ``python tests/bench/ann.py [sizes]``.

Unit vectors of 64 components around 300 centres of uneven size, users near items. One table and one graph a
precision grow from size to size; at each, batches of 64 users are searched by both in turn. Recall is against
every item searched in single precision. The time is the thread's on a processor, except where two threads build
and where numpy's BLAS has threads of its own: there it is the clock's. A size that would not end in time is left
out, and said so. Sizes that are named are measured alone, and put beside what was measured of others before.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_result import RESULTS, write

from models.embed.index import Exact, Hnsw, Index
from models.embed.quantise import Precision
from models.embed.settings import IndexSettings
from models.retrieve.contract import F32, I32

D, N_CENTRES = 64, 300
SIZES = (10_000, 30_000, 100_000, 300_000, 600_000, 1_000_000, 2_000_000)
GRAPHS: dict[Precision, int] = {"f16": 2_000_000, "f32": 30_000, "i8": 100_000}
"""Up to how many items a graph of that precision is built."""
BLAS_UP_TO = 100_000
TWO_THREADS_FROM = 300_000
BATCH, N_BATCHES = 64, 8
EXPANSIONS = (32, 64, 128, 256)
DEFAULT = IndexSettings()
REPLACED = {1: 100, 100: 10, 1_000: 2}
"""Items a call, and calls."""
WORN = 30_000
LIMIT_S = 840.0
BUSY = 1.5


class Asked(NamedTuple):
    """Users, and the items truly best for them of those there are now."""

    users: F32
    best: I32


class Load:
    """The busiest that the machine was seen, by the average of a minute."""

    def __init__(self) -> None:
        self.highest = 0.0

    def look(self) -> None:
        self.highest = max(self.highest, os.getloadavg()[0])


def unit(vectors: F32) -> F32:
    """Rows over their length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(rng: np.random.Generator, n: int) -> F32:
    """(n, D) around centres of which some hold a hundred times what others do; cosine with the centre about 0.86."""
    centres = unit(rng.standard_normal((N_CENTRES, D), dtype=np.float32))
    of = rng.choice(N_CENTRES, n, p=rng.dirichlet(np.full(N_CENTRES, 0.5)))
    vectors = rng.standard_normal((n, D), dtype=np.float32)
    vectors *= 0.6 / np.sqrt(D)
    vectors += centres[of]
    return unit(vectors)


def near(rng: np.random.Generator, items: F32, n: int) -> F32:
    """(n, D) users, each beside an item."""
    noise = rng.standard_normal((n, D), dtype=np.float32) * np.float32(0.3 / np.sqrt(D))
    return unit(items[rng.integers(0, len(items), n)] + noise)


def us_per_user(search: Callable[[F32], object], users: F32, clock: Callable[[], float]) -> float:
    """Median over batches, after one that is not counted."""
    batches = users.reshape(N_BATCHES, BATCH, D)
    search(batches[0])
    spent = []
    for batch in batches:
        began = clock()
        search(batch)
        spent.append(clock() - began)
    return round(float(np.median(spent)) / BATCH * 1e6, 1)


def recall(found: I32, best: I32) -> float:
    """Share of the best that were found."""
    k = found.shape[1]
    hits = [np.isin(true, row).mean() for row, true in zip(found, best[:, :k], strict=True)]
    return round(float(np.mean(hits)), 4)


def searched(index: Index, asked: Asked) -> dict[str, Any]:
    """Time and recall of the 20 and the 100 best."""
    figures: dict[str, Any] = {}
    for k in (20, 100):
        found = np.concatenate([index.search(some, k)[0] for some in np.split(asked.users, N_BATCHES)])
        figures[f"recall_{k}"] = recall(found, asked.best)
        spent = us_per_user(lambda users: index.search(users, k), asked.users, time.thread_time)  # noqa: B023
        figures[f"top_{k}_us_per_user"] = spent
    return figures


def of_table(index: Exact, asked: Asked, put_us: float) -> dict[str, Any]:
    """Figures of every item searched."""
    return searched(index, asked) | {
        "one_user_us": _one_user(index, asked.users),
        "put_us_per_item": put_us,
        "bytes_per_item": round(index.size_bytes / len(index), 1),
    }


def _one_user(index: Index, users: F32) -> float:
    spent = []
    for user in users[:64]:
        began = time.thread_time()
        index.search(user[None], 20)
        spent.append(time.thread_time() - began)
    return round(float(np.median(spent)) * 1e6, 1)


def of_graph(index: Hnsw, asked: Asked, items: F32, rng: np.random.Generator) -> dict[str, Any]:
    """Figures of the graph, its search swept."""
    figures: dict[str, Any] = {}
    for expansion in EXPANSIONS:
        index._graph.expansion_search = expansion
        figures[f"expansion_{expansion}"] = searched(index, asked)
    index._graph.expansion_search = DEFAULT.expansion_search
    return figures | {
        "one_user_us": _one_user(index, asked.users),
        "bytes_per_item": round(index.size_bytes / len(index), 1),
        "replaced_us_per_item_by_items_a_call": {
            size: _replaced_us(index, items, rng, size, calls) for size, calls in REPLACED.items()
        },
    }


def _replaced_us(index: Index, items: F32, rng: np.random.Generator, size: int, n_calls: int) -> float:
    some = rng.choice(len(items), size * n_calls, replace=False).astype(np.int32)
    began = time.thread_time()
    for few in np.split(some, n_calls):
        index.put(few, items[few])
    return round((time.thread_time() - began) / len(some) * 1e6, 1)


def of_libraries(items: F32, users: F32) -> dict[str, Any]:
    """Microseconds a user of a plain matrix product with a selection of 100, on the clock where threads are woken."""
    table = torch.from_numpy(items)

    def by_torch(some: F32) -> object:
        return torch.topk(torch.from_numpy(some) @ table.T, 100, dim=1)

    def by_numpy(some: F32) -> object:
        scores = some @ items.T
        return np.argpartition(scores, -100, axis=1)[:, -100:]

    return {
        "torch_one_thread_top_100_us_per_user": us_per_user(by_torch, users, time.thread_time),
        "numpy_threads_of_its_own_top_100_us_per_user": us_per_user(by_numpy, users, time.perf_counter),
        "numpy_threads_of_its_own_product_alone_us_per_user": us_per_user(
            lambda some: some @ items.T, users, time.perf_counter
        ),
        "numpy_threads_of_its_own_product_alone_one_user_us": _product_of_one(items, users),
    }


def _product_of_one(items: F32, users: F32) -> float:
    spent = []
    for user in users[:64]:
        began = time.perf_counter()
        items @ user
        spent.append(time.perf_counter() - began)
    return round(float(np.median(spent)) * 1e6, 1)


def filled(index: Index, items: F32, progress: Progress, threads: int = 1) -> float:
    """Put what is missing, returns microseconds an item."""
    start = len(index)
    clock = time.thread_time if threads == 1 else time.perf_counter
    began = clock()
    chunks = range(start, len(items), 10_000)
    for at in progress.track(chunks, description=f"{type(index).__name__} to {len(items):,}"):
        stop = min(at + 10_000, len(items))
        index.put(np.arange(at, stop, dtype=np.int32), items[at:stop])
    return round((clock() - began) / (len(items) - start) * 1e6, 2)


def worn(items: F32, rng: np.random.Generator, asked: Asked, progress: Progress) -> dict[str, Any]:
    """What becomes of a graph whose items are removed, and of one whose vectors are all replaced."""
    everything = np.arange(len(items), dtype=np.int32)
    index = Hnsw(D, DEFAULT)
    filled(index, clustered(rng, len(items)), progress)
    began = time.thread_time()
    for some in np.array_split(rng.permutation(everything), 30):
        index.put(some, items[some])
    figures = {
        "replaced_in_batches_us_per_item": round((time.thread_time() - began) / len(items) * 1e6, 1),
        "all_replaced": searched(index, asked),
    }
    gone = rng.permutation(everything)[: len(items) * 4 // 5]
    began = time.thread_time()
    index.remove(gone)
    figures["removed_us_per_item"] = round((time.thread_time() - began) / len(gone) * 1e6, 2)
    left = Exact(D)
    kept = np.setdiff1d(everything, gone)
    left.put(kept, items[kept])
    among = Asked(asked.users, left.search(asked.users, 100)[0])
    figures["four_fifths_removed"] = searched(index, among)
    began = time.thread_time()
    fresh = index.compacted()
    figures["compacted_us_per_item"] = round((time.thread_time() - began) / len(kept) * 1e6, 1)
    return figures | {"compacted": searched(fresh, among)}


def rss_bytes() -> int:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Run:
    """Tables and graphs that grow together over the same items."""

    def __init__(self, rng: np.random.Generator, most: int, progress: Progress) -> None:
        self.rng, self.progress, self.load = rng, progress, Load()
        self.began = time.perf_counter()
        self.items = clustered(rng, most)
        self.tables = {p: Exact(D, p) for p in get_args(Precision)}
        self.graphs = {p: Hnsw(D, DEFAULT.model_copy(update={"precision": p})) for p in GRAPHS}
        self.latest_us = 100.0
        self.rss = 0

    def would_end(self, n: int) -> bool:
        """Whether a graph of ``n`` is likely built and searched in time."""
        missing = n - len(self.graphs["f16"])
        spent = time.perf_counter() - self.began
        return spent + missing * 1.2 * self.latest_us * 1e-6 + 30.0 < LIMIT_S

    def of_size(self, n: int) -> dict[str, Any]:
        """All figures at ``n`` items."""
        items, figures = self.items[:n], {}
        users = near(self.rng, items, BATCH * N_BATCHES)
        put_us = {p: filled(table, items, self.progress) for p, table in self.tables.items()}
        asked = Asked(users, self.tables["f32"].search(users, 100)[0])
        for precision, table in self.tables.items():
            figures[f"exact_{precision}"] = of_table(table, asked, put_us[precision])
        for precision, graph in self.graphs.items():
            if n <= GRAPHS[precision]:
                figures[f"hnsw_{precision}"] = self._grown(precision, graph, asked, items)
        if n <= BLAS_UP_TO:
            figures["libraries"] = of_libraries(items, users)
        if n == WORN:
            figures["worn_hnsw_f16"] = worn(items, self.rng, asked, self.progress)
        self.load.look()
        figures["load_1min"] = round(os.getloadavg()[0], 2)
        exact, graph_ = figures["exact_f16"], figures["hnsw_f16"]["expansion_128"]
        for k in (20, 100):
            ratio = exact[f"top_{k}_us_per_user"] / graph_[f"top_{k}_us_per_user"]
            figures[f"exact_f16_over_hnsw_f16_expansion_128_top_{k}"] = round(ratio, 2)
        return figures

    def _grown(self, precision: Precision, graph: Hnsw, asked: Asked, items: F32) -> dict[str, Any]:
        threads = 2 if len(items) >= TWO_THREADS_FROM else 1
        graph._settings = graph._settings.model_copy(update={"threads": threads})
        before, had = rss_bytes(), len(graph)
        build_us = filled(graph, items, self.progress, threads)
        grown = rss_bytes() - before
        if precision == "f16":
            self.latest_us = build_us
        graph._settings = graph._settings.model_copy(update={"threads": 1})
        figures = {
            "built_with_threads": threads,
            "build_us_per_item_added": build_us,
            "resident_bytes_per_item_added": round(grown / (len(items) - had), 1),
        }
        return figures | of_graph(graph, asked, items, self.rng)


def before() -> dict[str, Any]:
    """What the last run measured, by size."""
    figures = json.loads((RESULTS / "ann.json").read_text())["figures"]
    return {name: of_size for name, of_size in figures.items() if name.startswith("items_")}


def main() -> None:
    """Measure, write."""
    torch.set_num_threads(1)
    sizes = sorted(map(int, sys.argv[1:])) or SIZES
    measured, left_out = before() if sys.argv[1:] else {}, []
    with Progress() as progress:
        run = Run(np.random.default_rng(1), sizes[-1], progress)
        run.load.look()
        for n in progress.track(sizes, description="sizes"):
            if run.would_end(n):
                measured[f"items_{n}"] = run.of_size(n)
            else:
                left_out.append(n)
    write(
        "ann",
        {
            "what": f"top 20 and 100 of unit vectors of {D} components, users in batches of {BATCH}",
            "default": DEFAULT.model_dump(),
            "versions": {name: version(name) for name in ("usearch", "torch")},
            **measured,
            "sizes_of_this_run": list(sizes),
            "left_out_for_time": left_out,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "wall_s": round(time.perf_counter() - run.began),
            "load_1min_highest": round(run.load.highest, 2),
            "machine_was_shared": run.load.highest > BUSY,
        },
    )


if __name__ == "__main__":
    main()
