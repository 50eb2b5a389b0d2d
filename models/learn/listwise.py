"""A listwise scorer: softmax over the candidates of a slate, learned list by list. Linear, so exact to explain."""

import numpy as np

from models.learn.estimator import Parameters
from models.learn.groups import I16, SCALE, Groups
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32, U8

FIRST_NOTHING = 6.0
FIRST_SEEN = 50.0
FIRST_SQUARES = 1.0
"""Sum of squared gradients that every weight starts from: first steps are no larger than the rate."""


class Listwise:
    """P(i | list) = c_i exp(w·x_i) / (o + sum_j c_j exp(w·x_j)), loss -log P of what was chosen.

    ListNet's top-one probability (Cao et al., ICML 2007), by AdaGrad (Duchi, Hazan and Singer, JMLR 2011), with a
    pull ``l2`` to the first weights (F,). c_i is the chance that the place of i is looked at, and where the user is
    known to have seen the list, choosing nothing is worth o: the multinomial logit (McFadden, 1974), so that slates
    nobody took anything from teach as well. Else o is 0. That nothing was chosen is learned when a list is shown; a
    choice that follows takes it back. What is dismissed is chosen by -w instead, wherever it was.
    """

    name = "listwise"
    samples = False

    def __init__(self, first: F32, rate: float, l2: float = 0.0) -> None:
        self._first = first.astype(np.float64)
        self._w = self._first.copy()
        self._squares = np.full(len(first), FIRST_SQUARES)
        self._nothing = np.array([FIRST_NOTHING, 1.0, 0.0])
        self._rate, self._l2 = rate, l2

    @property
    def weights(self) -> F32:
        """See ``Estimator``."""
        return self._w.astype(np.float32)

    def learn(self, groups: Groups) -> None:
        """See ``Estimator``."""
        _learn(
            groups.x,
            groups.n,
            groups.target,
            groups.weight,
            groups.learned,
            groups.seen,
            np.log(groups.chances),
            self._w,
            self._squares,
            self._nothing,
            self._first,
            self._rate,
            self._l2,
        )

    def parameters(self) -> Parameters:
        """See ``Estimator``: weights, sums of squared gradients, and of choosing nothing its log worth, its sum of
        squared gradients, and how many lists were seen.
        """
        return {
            "weights": self._w.copy(),
            "squares": self._squares.copy(),
            "nothing": self._nothing.copy(),
        }

    def load(self, parameters: Parameters) -> None:
        """See ``Estimator``."""
        self._w[:] = parameters["weights"]
        self._squares[:] = np.maximum(parameters["squares"], FIRST_SQUARES)
        self._nothing[:] = parameters["nothing"]
        self._nothing[1] = max(self._nothing[1], 1.0)

    def spread(self) -> F32:
        """See ``Estimator``: one over the root of the summed squared gradients, a diagonal Laplace approximation."""
        return np.asarray(1.0 / np.sqrt(self._squares), np.float32)


@compiled
def _learn(
    x: I16,
    n: I32,
    target: I32,
    weight: F32,
    learned: U8,
    seen: U8,
    log_chances: F32,
    w: F64,
    squares: F64,
    nothing: F64,
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
        if n[g] == 0 or weight[g] == 0.0 or (n[g] < 2 and not seen[g]) or (wanted < 0 and not seen[g]):
            continue
        sign = np.float32(-1.0 if weight[g] < 0.0 else 1.0)
        for f in range(n_features):
            scaled[f] = sign * np.float32(w[f] * SCALE)
        seen_slate = seen[g] and sign > 0.0
        _scores(x[g], n[g], scaled, p)
        if sign > 0.0:
            for i in range(n[g]):
                p[i] += log_chances[g, i]
        takes_back = bool(seen_slate and wanted >= 0 and learned[g])
        if seen_slate:
            _with_nothing(p[: n[g]], nothing, wanted < 0, takes_back)
            if nothing[2] < FIRST_SEEN:
                continue
        else:
            _normalise(p[: n[g]])
        # Of what is learned, that nothing was chosen had weight 1.
        share = np.float32(1.0 - 1.0 / weight[g] if takes_back else 1.0)
        gradient[:] = 0.0
        if share != 0.0:
            for i in range(n[g]):
                if p[i] > np.float32(1e-6):
                    for f in range(n_features):
                        gradient[f] += share * p[i] * x[g, i, f]
        if wanted >= 0:
            for f in range(n_features):
                gradient[f] -= x[g, wanted, f]
        step = weight[g]
        for f in range(n_features):
            slope = step * gradient[f] * SCALE + l2 * (w[f] - first[f])
            squares[f] += slope * slope
            w[f] -= rate * slope / np.sqrt(squares[f])


@compiled
def _with_nothing(p: F32, nothing: F64, chose_nothing: bool, takes_back: bool) -> None:
    """Make of scores ``p`` probabilities beside that of choosing nothing, and let its worth follow what was chosen.

    What more comes of a choice says nothing of it.
    """
    highest = max(p.max(), np.float32(-30.0))
    for i in range(len(p)):
        p[i] = np.exp(p[i] - highest)
    total = p.sum()
    none = np.exp(min(nothing[0] - highest, 60.0))
    p /= np.float32(total + none)
    taken = total / (total + none)
    slope = 0.0
    if chose_nothing:
        nothing[2] += 1.0
        slope = -taken
    elif takes_back:
        slope = 1.0
    nothing[1] += slope * slope
    nothing[0] -= slope / np.sqrt(nothing[1])


@compiled
def _scores(x: I16, n: int, scaled: F32, p: F32) -> None:
    for i in range(n):
        score = np.float32(0.0)
        for f in range(x.shape[1]):
            score += np.float32(x[i, f]) * scaled[f]
        p[i] = score


@compiled
def _normalise(p: F32) -> None:
    highest = p.max()
    for i in range(len(p)):
        p[i] = np.exp(p[i] - highest)
    p /= p.sum()


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
