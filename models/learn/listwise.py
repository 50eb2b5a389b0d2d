"""A listwise scorer: softmax over the candidates of a slate, learned list by list. Linear, so exact to explain."""

import numpy as np

from models.learn.estimator import Parameters
from models.learn.groups import I16, SCALE, Groups
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32

FIRST_SQUARES = 1.0
"""Sum of squared gradients that every weight starts from: first steps are no larger than the rate."""


class Listwise:
    """P(i | list) = exp(w·x_i) / sum_j exp(w·x_j); loss -log P(wanted), or -log(1 - P) of what was dismissed.

    ListNet's top-one probability (Cao et al., ICML 2007), by AdaGrad (Duchi, Hazan and Singer, JMLR 2011), with a pull
    ``l2`` to the first weights (F,).
    """

    name = "listwise"
    samples = False

    def __init__(self, first: F32, rate: float, l2: float = 0.0) -> None:
        self._first = first.astype(np.float64)
        self._w = self._first.copy()
        self._squares = np.full(len(first), FIRST_SQUARES)
        self._rate, self._l2 = rate, l2

    @property
    def weights(self) -> F32:
        """See ``Estimator``."""
        return self._w.astype(np.float32)

    def learn(self, groups: Groups) -> None:
        """See ``Estimator``; lists of which nothing is known yet teach nothing."""
        _learn(
            groups.x,
            groups.n,
            groups.target,
            groups.weight,
            self._w,
            self._squares,
            self._first,
            self._rate,
            self._l2,
        )

    def parameters(self) -> Parameters:
        """See ``Estimator``: weights and sums of squared gradients."""
        return {"weights": self._w.copy(), "squares": self._squares.copy()}

    def load(self, parameters: Parameters) -> None:
        """See ``Estimator``."""
        self._w[:] = parameters["weights"]
        self._squares[:] = np.maximum(parameters["squares"], FIRST_SQUARES)

    def spread(self) -> F32:
        """See ``Estimator``: one over the root of the summed squared gradients, a diagonal Laplace approximation."""
        return np.asarray(1.0 / np.sqrt(self._squares), np.float32)


@compiled
def _learn(
    x: I16,
    n: I32,
    target: I32,
    weight: F32,
    w: F64,
    squares: F64,
    first: F64,
    rate: float,
    l2: float,
) -> None:
    n_features = x.shape[2]
    p = np.empty(x.shape[1], np.float32)
    scaled = np.empty(n_features, np.float32)
    gradient = np.empty(n_features, np.float32)
    for g in range(x.shape[0]):
        wanted = target[g]
        if wanted < 0 or n[g] < 2 or weight[g] == 0.0:
            continue
        for f in range(n_features):
            scaled[f] = w[f] * SCALE
        softmax(x[g], n[g], scaled, p)
        step = weight[g]
        if step < 0.0:
            step *= _without(p[: n[g]], wanted)
        gradient[:] = 0.0
        for i in range(n[g]):
            if p[i] > np.float32(1e-6):
                for f in range(n_features):
                    gradient[f] += p[i] * (x[g, i, f] - x[g, wanted, f])
        for f in range(n_features):
            slope = step * gradient[f] * SCALE + l2 * (w[f] - first[f])
            squares[f] += slope * slope
            w[f] -= rate * slope / np.sqrt(squares[f])


@compiled
def _without(p: F32, wanted: int) -> float:
    """Make of ``p`` the probabilities of the others alone; what it was of ``wanted``.

    The slope of -log(1 - P) is P times the distance to the mean of the others, however sure P is.
    """
    own: float = p[wanted]
    p[wanted] = 0.0
    rest = p.sum()
    if rest > 0.0:
        p /= rest
    return own


@compiled
def softmax(x: I16, n: int, scaled: F32, p: F32) -> None:
    """Write the probabilities of the first ``n`` candidates into ``p``."""
    highest = np.float32(-np.inf)
    for i in range(n):
        score = np.float32(0.0)
        for f in range(x.shape[1]):
            score += np.float32(x[i, f]) * scaled[f]
        p[i] = score
        highest = max(highest, score)
    total = np.float32(0.0)
    for i in range(n):
        p[i] = np.exp(p[i] - highest)
        total += p[i]
    for i in range(n):
        p[i] /= total
