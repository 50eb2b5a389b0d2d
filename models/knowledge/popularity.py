"""How often each item was interacted with lately, at a short and a long half-life. A feature, not a source."""

from typing import Final, cast

import numpy as np

from models.kinds import WEIGHT_OF_CODE
from models.retrieve.compiled import compiled, packed
from models.retrieve.contract import F32, F64, I32, Interactions
from models.retrieve.leaderboards import LN2

HALF_LIVES_S: Final = (3_600.0, 604_800.0)
"""What is going on now, and what is usual: their ratio is the trend."""

_MAX_EXPONENT: Final = 40.0


class Popularity:
    """Decayed counts of I items as of a landmark, so that counting one touches no other."""

    def __init__(self, n_items: int) -> None:
        self._rates = LN2 / np.array(HALF_LIVES_S)
        self._counts = np.zeros((n_items, len(HALF_LIVES_S)))
        self._totals = np.zeros(len(HALF_LIVES_S))
        self._landmark_s = np.zeros(len(HALF_LIVES_S))

    def update(self, batch: Interactions) -> None:
        """Count the interactions by the weights of their kinds."""
        _count(
            self._counts,
            self._totals,
            self._landmark_s,
            cast(I32, packed(batch.item, np.int32)),
            WEIGHT_OF_CODE[batch.kind & 15],
            cast(F64, packed(batch.time_s, np.float64)),
            self._rates,
        )

    def shares(self) -> tuple[F64, F64]:
        """(I, 2) counts and (2,) totals: their ratio is an item's share, which time alone does not change."""
        return self._counts, self._totals

    def forget(self, items: I32) -> None:
        """Drop the counts of these items."""
        self._counts[items] = 0.0
        self._totals[:] = self._counts.sum(axis=0)


@compiled
def _count(
    counts: F64, totals: F64, landmark_s: F64, item: I32, weight: F32, time_s: F64, rates: F64
) -> None:
    for r in range(item.shape[0]):
        for h in range(rates.shape[0]):
            exponent = (time_s[r] - landmark_s[h]) * rates[h]
            if totals[h] == 0.0 or exponent > _MAX_EXPONENT:
                scale = np.exp(-exponent) if totals[h] > 0.0 else 0.0
                counts[:, h] *= scale
                totals[h] *= scale
                landmark_s[h] = time_s[r]
                exponent = 0.0
            gain = weight[r] * np.exp(exponent)
            counts[item[r], h] += gain
            totals[h] += gain
