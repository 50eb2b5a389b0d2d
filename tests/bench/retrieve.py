"""What all retrieval sources cost together: ``python tests/bench/retrieve.py``.

A made-up shop with a Zipf-like demand: the cost of ``update`` for an interaction and of ``candidates`` for a
user, 100 a source, at micro-batches of 1, 16 and 256. The time is the thread's on a processor; sources take
turns.
"""

import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_result import quantiles, write

from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.content import Content
from models.retrieve.contract import F32, I32, Interactions, Queries, Source
from models.retrieve.registry import sources
from models.retrieve.settings import RetrieveSettings

K = 100
SIZES = (1, 16, 256)
CALLS = {1: 2_000, 16: 400, 256: 60}
TO_LEARN = 1_000_000
BATCH_BAR_US, SINGLE_BAR_US = 120.0, 1_500.0
KNOWN = KnowledgeSettings(
    max_items=100_000, max_categories=500, max_brands=2_000, max_terms=20_000, max_queries=20_000
)


class Shop:
    """Sessions of 1 to 12 items, half of them from one category; popular items are of low index."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        n = KNOWN.max_items
        self.attributes = Attributes(
            category=self._rng.integers(0, 500, n).astype(np.int32),
            brand=self._rng.integers(0, 2_000, n).astype(np.int32),
            log_price=self._rng.normal(3.0, 1.0, n).astype(np.float32),
            available=np.ones(n, np.uint8),
            created_s=np.zeros(n),
            discount=np.zeros(n, np.float32),
        )
        self._of_category = [np.flatnonzero(self.attributes.category == c) for c in range(500)]
        self.time_s = 1.7e9

    def interactions(self, n: int) -> Interactions:
        """About 200 sessions at a time, their interactions interleaved."""
        n_sessions = 1 + n // 5
        begins = np.sort(self._rng.integers(0, n, n_sessions))
        session = begins.searchsorted(np.arange(n) - self._rng.integers(0, 1_000, n), side="right")
        favourite = self._rng.integers(0, 500, n_sessions + 1)[session]
        item = self._popular(n, KNOWN.max_items)
        inside = np.flatnonzero(self._rng.random(n) < 0.5)
        item[inside] = [
            self._of_category[c][int(len(self._of_category[c]) * u**3)]
            for c, u in zip(favourite[inside].tolist(), self._rng.random(len(inside)).tolist(), strict=True)
        ]
        self.time_s += n / 100.0
        return Interactions(
            user=(session + self._rng.integers(0, 2**60)).astype(np.uint64),
            session=np.zeros(n, np.uint64),
            item=item,
            kind=self._rng.choice(
                [Kind.VIEW, Kind.CLICK, Kind.CART, Kind.PURCHASE], n, p=[0.8, 0.1, 0.07, 0.03]
            ).astype(np.uint8),
            time_s=self.time_s - n / 100.0 + np.arange(n) / 100.0,
            term=np.where(self._rng.random(n) < 0.3, self._popular(n, 20_000), -1).astype(np.int32),
            segment=self._rng.integers(-1, 4, n).astype(np.int32),
        )

    def queries(self, n: int) -> Queries:
        """Sessions of 1 to 20 items, 5 categories and brands, up to 8 words, a query for every third."""
        items, weights = self._rows(n, 20, KNOWN.max_items)
        category, category_weight = self._rows(n, 5, 500)
        brand, brand_weight = self._rows(n, 5, 2_000)
        term, term_weight = self._rows(n, 8, 20_000)
        return Queries(
            now_s=np.full(n, self.time_s),
            user=self._rng.integers(0, 2**60, n).astype(np.uint64),
            items=items,
            weights=weights,
            history=items,
            history_age_s=weights,
            history_times=weights.astype(np.int32),
            category=category,
            category_weight=category_weight / 5,
            brand=brand,
            brand_weight=brand_weight / 5,
            log_price=self._rng.normal(3.0, 1.0, n).astype(np.float32),
            term=term,
            term_weight=term_weight,
            segment=self._rng.integers(-1, 4, n).astype(np.int32),
            query=np.where(self._rng.random(n) < 0.3, self._popular(n, 20_000), -1).astype(np.int32),
        )

    def _popular(self, n: int, high: int) -> I32:
        return (high * self._rng.random(n) ** 3).astype(np.int32)

    def _rows(self, n: int, width: int, high: int) -> tuple[I32, F32]:
        rows = self._popular(n * width, high).reshape(n, width)
        length = np.minimum(self._rng.geometric(0.3, n), width)
        rows[np.arange(width) >= length[:, None]] = -1
        return rows, (rows >= 0).astype(np.float32)

    def index(self, content: Content) -> None:
        """Give every item 8 words."""
        words = self._popular(8 * KNOWN.max_items, 20_000).reshape(-1, 8)
        for item in range(KNOWN.max_items):
            content.index(item, words[item])


def learned(shop: Shop) -> list[Source]:
    """All sources at their default settings, with the catalogue and a million interactions behind them."""
    made = sources(RetrieveSettings(), shop.attributes, KNOWN)
    for source in made:
        if isinstance(source, Content):
            shop.index(source)
    for _ in range(10):
        batch = shop.interactions(TO_LEARN // 10)
        for source in made:
            source.update(batch)
    return made


def measure(made: list[Source], shop: Shop, size: int, progress: Progress) -> dict[str, object]:
    """Microseconds an interaction and a user, for each source and all together."""
    spent: dict[str, NDArray[np.float64]] = {s.name: np.zeros((CALLS[size], 2)) for s in made}
    for call in progress.track(range(CALLS[size]), description=f"batches of {size}"):
        batch, asked = shop.interactions(size), shop.queries(size)
        for source in made:
            began = time.thread_time()
            source.update(batch)
            updated = time.thread_time()
            source.candidates(asked, K)
            spent[source.name][call] = updated - began, time.thread_time() - updated
    per_row = {name: times / size * 1e6 for name, times in spent.items()}
    together = np.sum(list(per_row.values()), axis=0)
    return {
        "update_all_per_interaction": quantiles(together[:, 0], "us"),
        "candidates_all_per_user": quantiles(together[:, 1], "us"),
        "median_us_by_source": {
            name: {
                "update": round(float(np.median(times[:, 0])), 2),
                "candidates": round(float(np.median(times[:, 1])), 2),
            }
            for name, times in per_row.items()
        },
    }


def main() -> None:
    """Learn, measure, write."""
    shop = Shop(seed=1)
    made = learned(shop)
    with Progress() as progress:
        for size in SIZES:
            for source in made:
                source.update(shop.interactions(size))
                source.candidates(shop.queries(size), K)
        measured = {f"batch_{size}": measure(made, shop, size, progress) for size in SIZES}
    write(
        "retrieve",
        {
            "what": "processor time of all sources, 100 candidates each, 100,000 items, a made-up shop",
            "bar": f"{BATCH_BAR_US:.0f} us a user in batches of 256, {SINGLE_BAR_US:.0f} us for one user",
            **measured,
            "size_mb": {source.name: round(source.size_bytes / 1e6, 1) for source in made},
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "load_1min": round(os.getloadavg()[0], 2),
        },
    )


if __name__ == "__main__":
    main()
