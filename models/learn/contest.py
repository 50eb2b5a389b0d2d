"""Champion against challenger: a test that may be looked at after every list, and is still wrong only by its alpha."""

from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np

from models.learn.settings import ContestSettings
from models.retrieve.contract import F64

RHO: Final = 0.02
"""The bounds are tightest around 1 / RHO ** 2 lists times a constant: some ten thousand."""
MIN_LISTS: Final = 500
"""Fewer are no basis for a normal approximation."""


class Sums(NamedTuple):
    """Of the differences of NDCG, challenger less champion, list by list."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, differences: F64) -> "Sums":
        """With more lists (m,)."""
        return Sums(
            self.n + len(differences),
            self.total + float(differences.sum()),
            self.squares + float(np.square(differences).sum()),
        )


def lower_bound(sums: Sums, alpha: float) -> float:
    """What the mean difference surely exceeds, at all times at once: an asymptotic confidence sequence.

    ``mean - s * sqrt(2 (n rho² + 1) / (n² rho²) * log(1 + sqrt(n rho² + 1) / (2 alpha)))``, one-sided
    (Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences", 2021).
    """
    if sums.n < MIN_LISTS:
        return -1.0
    mean = sums.total / sums.n
    deviation = sqrt(max(sums.squares / sums.n - mean * mean, 0.0))
    grown = sums.n * RHO * RHO + 1.0
    return mean - deviation * sqrt(2.0 * grown / (sums.n * RHO) ** 2 * log(sqrt(grown) / (2.0 * alpha) + 1.0))


def wins(sums: Sums, settings: ContestSettings, margin: float | None = None) -> bool:
    """Whether the challenger is surely better by the margin, by default that of the settings."""
    return lower_bound(sums, settings.alpha) > (settings.margin if margin is None else margin)
