"""How far the values of a window lie from those of a decayed reference, over the groups of their sketches.

Jensen-Shannon distance (base 2, the root of the divergence), Kolmogorov-Smirnov statistic, and the population
stability index as evidence: below 0.1 it is read as stable, above 0.25 as shifted.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.quality.monitor.measures import HOT_KEY, RISE, Limits, Measure
from models.quality.profile import Profile
from models.quality.sketch import BOUNDS

F64 = NDArray[np.float64]

DRIFT: Final = Limits(0.1, 0.25, **RISE)
SHIFT: Final = Limits(0.1, 0.25, **RISE)
NEW_VALUES: Final = Limits(0.05, 0.15, **RISE)
LASTING: Final = 3
"""Windows in a row in which an id must be busy to be hot."""
BUSY: Final = 3
"""Times the least number of values that a look at single ids needs: of a few, one visit is a large share."""
UNSEEN_SHARE: Final = 1e-4
"""A group of labels with no more of the reference than this counts as never seen."""


def js_distance(p: F64, q: F64) -> float:
    """Between two distributions, 0 (equal) to 1 (apart).

    >>> js_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    1.0
    """
    middle = (p + q) / 2
    divergence = sum(
        float((each[each > 0] * np.log2(each[each > 0] / middle[each > 0])).sum()) for each in (p, q)
    )
    return float(np.sqrt(max(divergence / 2, 0.0)))


def ks_statistic(p: F64, q: F64) -> float:
    """Largest difference of the cumulated shares."""
    return float(np.abs(np.cumsum(p) - np.cumsum(q)).max())


def psi(p: F64, q: F64, floor: float = 1e-4) -> float:
    """Population stability index; shares below ``floor`` count as that."""
    p, q = np.maximum(p, floor), np.maximum(q, floor)
    return float(((p - q) * np.log(p / q)).sum())


class Reference:
    """Decayed distributions of one source's fields; ``memory`` windows keep 1/e.

    Of ids, only the two windows before: a shopper's visit ends, a bot is as busy in the next ones.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._shares: dict[str, F64] = {}
        self._n_windows: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}
        self._keys: dict[str, deque[F64]] = {}
        """Shares of the groups of ids in the windows before."""

    def measures(self, window: Profile, min_values: int) -> Iterator[Measure]:
        """Of each sketched field with values enough, and a reference."""
        for path, bins in sorted(window.numbers.items()):
            n = sum(bins)
            if n >= min_values and path in self._shares:
                p, q = np.array(bins) / n, self._shares[path]
                said = f"PSI {psi(p, q):.2f}, median {_median(p):.3g}, before {_median(q):.3g}"
                yield Measure("drift", "distribution", path, js_distance(p, q), n, DRIFT, said)
                yield Measure("shift", "distribution", path, ks_statistic(p, q), n, SHIFT, said)
        for path, labels in sorted(window.labels.items()):
            n = sum(labels.counts)
            if n >= min_values and path in self._shares:
                p, q = np.array(labels.counts) / n, self._shares[path]
                new = np.flatnonzero(q < UNSEEN_SHARE)
                said = f"PSI {psi(p, q):.2f}, {_changes(p, q, labels.examples, self._examples[path])}"
                yield Measure("drift", "distribution", path, js_distance(p, q), n, DRIFT, said)
                yield Measure("new_values", "schema", path, float(p[new].sum()), n, NEW_VALUES, said)
        for name, keys in sorted(window.keys.items()):
            n = sum(keys.counts)
            before = self._keys.get(name, ())
            if n >= BUSY * min_values and len(before) == LASTING - 1:
                lasting = float(np.minimum.reduce([np.array(keys.counts) / n, *before]).max())
                said = f"one in {len(keys.counts)} groups of ids has {lasting:.1%} of {LASTING} windows"
                yield Measure("hot_key", "distribution", name, lasting, n, HOT_KEY, said)

    def learn(self, window: Profile, failing: set[str]) -> None:
        """Fold the window in, but for the fields that fail."""
        for name, keys in window.keys.items():
            self._keys.setdefault(name, deque(maxlen=LASTING - 1)).append(
                np.array(keys.counts) / sum(keys.counts)
            )
        for path, counts in _sketches(window):
            n = sum(counts)
            if path in failing or not n:
                continue
            p = np.array(counts) / n
            seen = self._n_windows[path] = self._n_windows.get(path, 0) + 1
            old = self._shares.get(path, p)
            self._shares[path] = old + (p - old) / min(seen, self._memory)
        for path, labels in window.labels.items():
            if path not in failing:
                old_examples = self._examples.get(path, labels.examples)
                self._examples[path] = [x or y for x, y in zip(old_examples, labels.examples, strict=True)]

    def forget(self, path: str) -> None:
        """Learn this field afresh."""
        for kept in (self._shares, self._n_windows, self._examples):
            kept.pop(path, None)


def _sketches(window: Profile) -> Iterator[tuple[str, Sequence[int]]]:
    yield from window.numbers.items()
    yield from ((path, labels.counts) for path, labels in window.labels.items())


def _median(p: F64) -> float:
    return float(BOUNDS[min(int(np.searchsorted(np.cumsum(p), 0.5)), len(BOUNDS) - 1)])


def _changes(p: F64, q: F64, now: Sequence[str], before: Sequence[str]) -> str:
    """The groups that gained and lost most, by an example of each."""
    most, least = int(np.argmax(p - q)), int(np.argmin(p - q))
    gained = f"more {now[most]!r} ({q[most]:.1%} to {p[most]:.1%})"
    return f"{gained}, less {before[least]!r} ({q[least]:.1%} to {p[least]:.1%})"
