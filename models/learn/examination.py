"""How likely a shopper is to look at each place of a slate, learned from what was chosen.

The dual learning algorithm (Ai et al., "Unbiased learning to rank with unbiased propensity estimation", SIGIR 2018):
places compete in a softmax of their own, each choice weighted by how much less likely its item was than the first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.learn.estimator import Parameters
from models.learn.groups import Groups
from models.retrieve.contract import F32, F64

RATE: Final = 0.1
MAX_WEIGHT: Final = 10.0


class Examination:
    """Of K places; ``given`` are known chances, then nothing is learned. Before any choice all places are alike."""

    def __init__(self, n_places: int, given: Sequence[float], max_weight: float) -> None:
        self._given = bool(given)
        self._max_weight = max_weight
        padded = [*given, *([given[-1]] * max(0, n_places - len(given)))] if given else [1.0] * n_places
        self._bias: F64 = np.log(np.maximum(padded[:n_places], 1e-6))
        self._squares = np.ones(n_places)

    @property
    def chances(self) -> F32:
        """(K,) chance of each place against the first one's, at least one over the greatest weight."""
        chances = np.exp(self._bias - self._bias[0])
        return np.asarray(np.maximum(chances, 1.0 / self._max_weight), np.float32)

    def parameters(self) -> Parameters:
        """A copy of what was learned; it adds up, as that of scorers does."""
        return {"bias": self._bias.copy(), "squares": self._squares.copy()}

    def load(self, parameters: Parameters) -> None:
        """Take these in place of the own ones, unless the chances are given."""
        if not self._given:
            self._bias[:] = parameters["bias"]
            self._squares[:] = np.maximum(parameters["squares"], 1.0)

    def learn(self, groups: Groups, weights: F32) -> None:
        """Take lists from which something was chosen, with the ``weights`` (F,) that scorers have for them."""
        if self._given:
            return
        for g in np.flatnonzero((groups.target >= 0) & (groups.weight > 0.0)).tolist():
            n, chosen = int(groups.n[g]), int(groups.target[g])
            scores = groups.features(g, slice(n)) @ weights
            worth = min(float(np.exp(min(scores[0] - scores[chosen], 20.0))), MAX_WEIGHT)
            p = np.exp(self._bias[:n] - self._bias[:n].max())
            slope = worth * p / p.sum()
            slope[chosen] -= worth
            self._squares[:n] += slope * slope
            self._bias[:n] -= RATE * slope / np.sqrt(self._squares[:n])
