"""Histogram of lag (record timestamp less event time): fixed log-spaced bins, so that any two can be added.

Ten bins a decade from 1 ms to 10^9 ms (11.6 days): a quantile is off by at most one bin, 26% of its value.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

N_BINS: Final = 92
BOUNDS_MS: Final[NDArray[np.float64]] = 10.0 ** (np.arange(N_BINS - 1) / 10)
"""Upper bounds, inclusive. Bin 0 takes all up to 1 ms, negative lags too; the last takes all above."""


def tally(counts: list[int], lags_ms: NDArray[np.int64]) -> None:
    """Add ``lags_ms`` (n,) to ``counts`` (N_BINS,)."""
    new = np.bincount(np.searchsorted(BOUNDS_MS, lags_ms))
    for bin_ in np.flatnonzero(new).tolist():
        counts[bin_] += int(new[bin_])


def quantile_s(counts: Sequence[int], q: float) -> float | None:
    """The ``q`` quantile in seconds, linear within its bin; None of an empty histogram.

    In the last bin, which has no end, the answer is its lower bound.
    """
    rank = q * sum(counts)
    below = 0
    for bin_, n in enumerate(counts):
        if n and below + n >= rank:
            return _within(bin_, (rank - below) / n)
        below += n
    return None


def _within(bin_: int, share: float) -> float:
    lower_ms = float(BOUNDS_MS[bin_ - 1]) if bin_ else 0.0
    upper_ms = float(BOUNDS_MS[bin_]) if bin_ < N_BINS - 1 else lower_ms
    return (lower_ms + share * (upper_ms - lower_ms)) / 1000
