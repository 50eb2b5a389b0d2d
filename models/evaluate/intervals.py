"""Confidence intervals by a bootstrap over users: a user's trials are no independent draws.

Each draw gives every user a Poisson(1) number of copies, the limit of drawing users with replacement (Chamandy,
Muralidharan, Najmi and Naidu, "Estimating uncertainty for massive data streams", 2012).
"""

from typing import NamedTuple

import numpy as np

from models.evaluate.trials import F64, I64

DRAWS = 1_000
LEVEL = 0.95
_CELLS = 4_000_000
"""Weights held at a time."""


class Interval(NamedTuple):
    """A mean over trials, and the bounds of its 95% interval."""

    mean: float
    low: float
    high: float


def intervals(values: F64, user: I64, seed: int) -> list[Interval]:
    """Means (M,) of ``values`` (n, M), trials grouped by ``user`` (n,). The same seed and users give paired draws."""
    mean = values.mean(axis=0)
    drawn = _means(values, user, np.random.default_rng(seed))
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(drawn, [tail, 100.0 - tail], axis=0)
    return [Interval(*map(float, each)) for each in zip(mean, low, high, strict=True)]


def _means(values: F64, user: I64, rng: np.random.Generator) -> F64:
    """(DRAWS, M) means under the weights of each draw."""
    codes = np.unique(user, return_inverse=True)[1]
    n_users = int(codes.max()) + 1
    totals = np.stack([np.bincount(codes, column, n_users) for column in values.T], axis=1)  # (U, M)
    counts = np.bincount(codes, minlength=n_users)
    out = []
    step = max(1, _CELLS // n_users)
    for start in range(0, DRAWS, step):
        weights = rng.poisson(1.0, (min(step, DRAWS - start), n_users)).astype(np.float64)
        out.append(weights @ totals / np.maximum(weights @ counts, 1.0)[:, None])
    return np.concatenate(out)
