"""What slates offer: how many different items, how unequally, how diverse and how novel. It knows no outcomes."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluate.result import gini
from models.learn.figures import count, mean
from models.rank.slate import Ranked
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from schemas.metrics import ModelMeasurement

EXPOSURE_WINDOWS: Final = 60
"""Coverage and Gini look back over so many windows, to twice as many: one alone offers too little to tell."""

USUAL: Final = 1
"""Column of the popularity counts: the long half-life."""

_SLATES, _BITS, _EXPLORED, _DIVERSE, _DIVERSITY = range(5)


class Offered:
    """Of one model; ``n_items`` is the capacity for items. Bounded by it.

    Diversity is the share of pairs in a slate that are of different category, over items of known category; a slate
    with fewer than two of them has none. Novelty is ``-log2`` of an item's share of all interactions. An item whose
    index is given to another hands its exposure on until that is dropped.
    """

    def __init__(self, sources: Sequence[str], n_items: int) -> None:
        self._sources = sources
        self._exposure = [np.zeros(n_items, np.int32) for _ in range(2)]
        """Since it was last dropped, and in the windows before."""
        self._by_source = np.zeros(len(sources))
        self._sums = np.zeros(5)
        self._n_windows = 0

    def add(self, ranked: Ranked, category: I32, counts: F64, total: float, most_bits: float) -> None:
        """Slates, what is known by item of category (I,) and popularity (I, 2), and the bits of an unknown item."""
        _offer(
            ranked.items,
            ranked.shares,
            ranked.explored,
            category,
            counts,
            total,
            most_bits,
            self._exposure[0],
            self._by_source,
            self._sums,
        )

    def __len__(self) -> int:
        """Slates of the window."""
        return int(self._sums[_SLATES])

    def next_window(self) -> None:
        """Begin another one."""
        self._by_source[:] = self._sums[:] = 0.0
        self._n_windows += 1
        if self._n_windows % EXPOSURE_WINDOWS == 0:
            self._exposure.reverse()
            self._exposure[0][:] = 0

    def forget(self) -> None:
        """Another model serves."""
        self._by_source[:] = self._sums[:] = 0.0
        for exposure in self._exposure:
            exposure[:] = 0

    def measurements(self, n_known: int) -> Iterator[ModelMeasurement]:
        """Of a shop with so many items."""
        n_slates, bits, explored, n_diverse, diversity = self._sums.tolist()
        n_offered = float(self._by_source.sum())
        yield from count("slates", n_slates)
        yield from self._equality(n_known)
        yield from mean("diversity", diversity, n_diverse)
        yield from mean("novelty", bits, n_offered)
        yield from mean("explored_share", explored, n_offered)
        for name, n in zip(self._sources, self._by_source.tolist(), strict=True):
            yield from mean("offered_share", n, n_offered, segment=f"source={name}")

    def _equality(self, n_known: int) -> Iterator[ModelMeasurement]:
        """Coverage and Gini; items never offered are ``n_known`` less those that were."""
        exposure = self._exposure[0] + self._exposure[1]
        offered = exposure[exposure > 0].astype(np.float64)
        n = max(n_known, len(offered))
        yield from mean("coverage", len(offered), n)
        # Zeros add nothing but length: of n items with m offered, 1 - G = m / n * (1 - G of the m).
        if len(offered):
            yield from mean("gini", n - len(offered) * (1.0 - gini(offered)), n)


@compiled
def _offer(
    items: I32,
    shares: F32,
    explored: NDArray[np.bool_],
    category: I32,
    counts: F64,
    total: float,
    most_bits: float,
    exposure: I32,
    by_source: F64,
    sums: F64,
) -> None:
    for u in range(items.shape[0]):
        n_known, n_same = 0, 0
        for p in range(items.shape[1]):
            item = items[u, p]
            if item < 0:
                break
            exposure[item] += 1
            top = 0
            for s in range(1, shares.shape[2]):
                if shares[u, p, s] > shares[u, p, top]:
                    top = s
            by_source[top] += 1.0
            bits = -np.log2(counts[item, USUAL] / total) if counts[item, USUAL] > 0.0 else most_bits
            sums[_BITS] += min(bits, most_bits)
            sums[_EXPLORED] += explored[u, p]
            if category[item] >= 0:
                n_known += 1
                for q in range(p):
                    n_same += category[items[u, q]] == category[item]
        if items.shape[1] and items[u, 0] >= 0:
            sums[_SLATES] += 1.0
        n_pairs = n_known * (n_known - 1) // 2
        if n_pairs:
            sums[_DIVERSE] += 1.0
            sums[_DIVERSITY] += 1.0 - n_same / n_pairs
