"""Intervals of ratios by a bootstrap over units: rounds of one user are no independent draws.

Each draw gives every unit a Poisson(1) number of copies (Chamandy, Muralidharan, Najmi and Naidu, "Estimating
uncertainty for massive data streams", 2012), the same for all ratios, so that their differences are paired.
"""

from collections.abc import Sequence

import numpy as np

from models.evaluate.intervals import DRAWS, LEVEL, Interval
from models.evaluate.trials import F64, I64
from models.ope.estimators import Ratio

_CELLS = 4_000_000
"""Copies held at a time."""


def drawn(ratios: Sequence[Ratio], unit: I64, seed: int) -> F64:
    """(DRAWS, M) values of the ratios, nan where a draw left nothing to divide by."""
    codes = np.unique(unit, return_inverse=True)[1]
    n_units = int(codes.max()) + 1
    above, below = (
        np.stack([np.bincount(codes, column, n_units) for column in columns], axis=1)  # (U, M)
        for columns in zip(*ratios, strict=True)
    )
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // n_units)
    out = []
    for start in range(0, DRAWS, step):
        copies = rng.poisson(1.0, (min(step, DRAWS - start), n_units)).astype(np.float64)
        sums = copies @ below
        out.append(np.divide(copies @ above, sums, out=np.full_like(sums, np.nan), where=sums != 0.0))
    return np.concatenate(out)


def interval(value: float, draws: F64) -> Interval | None:
    """The value with the bounds that ``draws`` (DRAWS,) give it; None where it has none."""
    held = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(held):
        return None
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(held, [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))
