"""River's estimators as scorers: a logistic regression, learned one candidate at a time.

Slower than the listwise scorer by an order of magnitude, so they learn from a share of the users. What was shown is
taken as not wanted at once; when it turns out otherwise, that is taken back and the opposite learned (delayed feedback:
Ktena et al., RecSys 2019, whose fake negatives these are). What was chosen from a place that is seldom looked at counts
by the inverse of that chance (Joachims et al., WSDM 2017).
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Final

import numpy as np
from river import linear_model, optim
from river.optim.base import Optimizer

from models.learn.estimator import Parameters
from models.learn.groups import Groups
from models.retrieve.contract import F32, F64

ALPHA, BETA = 0.1, 1.0
OPTIMIZERS: Final[dict[str, Callable[[], Optimizer]]] = {
    "ftrl": lambda: optim.FTRLProximal(alpha=ALPHA, beta=BETA, l1=0.0, l2=0.0),
    "adagrad": lambda: optim.AdaGrad(0.1),
    "sgd": lambda: optim.SGD(0.01),
}
SUMS: Final = {"ftrl": ("z", "n"), "adagrad": ("g2",), "sgd": ()}
"""What each optimizer adds up, its squared gradients last. FTRL's weights follow from its sums."""


class OfRiver:
    """``P(wanted) = 1 / (1 + exp(-w·x))``, by the optimizer of that name; ``negatives`` beside each wanted."""

    samples = True

    def __init__(self, name: str, first: F32, names: Sequence[str], negatives: int) -> None:
        self.name = name
        self._names = list(names)
        self._negatives = negatives
        weights = first.astype(np.float64)
        self._make(weights)
        if name == "ftrl":
            self.load({"z": -weights * BETA / ALPHA, "n": np.zeros(len(weights))})

    @property
    def weights(self) -> F32:
        """See ``Estimator``."""
        return self._column(self._model.weights).astype(np.float32)

    def learn(self, groups: Groups) -> None:
        """See ``Estimator``."""
        for g in range(len(groups.n)):
            target, n = int(groups.target[g]), int(groups.n[g])
            weight = float(groups.weight[g] / groups.chances[g, target])
            others = self._spread_out(n, target)
            rows = np.array([*others, target] if target >= 0 else others, np.int32)
            x = [self._named(row) for row in groups.features(g, rows)]
            if target < 0:
                for negative in x:
                    self._step(negative, False)
                continue
            if not groups.learned[g]:
                for negative in x[:-1]:
                    self._step(negative, False, min(abs(weight), 1.0))
            elif target in self._spread_out(n, -1):
                self._step(x[-1], False, -1.0)
            self._step(x[-1], weight > 0.0, abs(weight))

    def parameters(self) -> Parameters:
        """See ``Estimator``: the weights, and what the optimizer adds up."""
        sums = {name: self._column(getattr(self._model.optimizer, name)) for name in SUMS[self.name]}
        return sums if self.name == "ftrl" else {"weights": self._column(self._model.weights), **sums}

    def load(self, parameters: Parameters) -> None:
        """See ``Estimator``."""
        weights = _ftrl_weights(parameters) if self.name == "ftrl" else parameters["weights"]
        self._make(weights)
        for name in SUMS[self.name]:
            values = parameters[name] if name == "z" else np.maximum(parameters[name], 0.0)
            getattr(self._model.optimizer, name).update(zip(self._names, values.tolist(), strict=True))

    def spread(self) -> F32:
        """See ``Estimator``: from the summed squared gradients, 0 where the optimizer keeps none."""
        if not SUMS[self.name]:
            return np.zeros(len(self._names), np.float32)
        squares = self._column(getattr(self._model.optimizer, SUMS[self.name][-1]))
        return np.asarray(1.0 / np.sqrt(1.0 + squares), np.float32)

    def _make(self, weights: F64) -> None:
        """A model with these weights; River gives no other way to start from some."""
        self._model = linear_model.LogisticRegression(OPTIMIZERS[self.name](), intercept_lr=0.0)
        self._model._weights.update(dict(zip(self._names, weights.tolist(), strict=True)))

    def _step(self, x: dict[str, float], wanted: bool, weight: float = 1.0) -> None:
        self._model.learn_one(x, wanted, weight)
        if self.name == "ftrl":  # River leaves its weights as they were before the step
            z, n = (getattr(self._model.optimizer, name) for name in SUMS["ftrl"])
            self._model._weights.update({f: -z[f] * ALPHA / (BETA + sqrt(n[f])) for f in x})

    def _named(self, row: F32) -> dict[str, float]:
        return {self._names[f]: float(row[f]) for f in np.flatnonzero(row).tolist()}

    def _column(self, values: dict[str, float]) -> F64:
        return np.array([values.get(name, 0.0) for name in self._names])

    def _spread_out(self, n: int, target: int) -> list[int]:
        """Up to ``negatives`` places from top to end, without the target: the same ones for the same list."""
        others = [place for place in range(n) if place != target]
        step = max(1, len(others) // self._negatives)
        return others[::step][: self._negatives]


def _ftrl_weights(parameters: Parameters) -> F64:
    return -parameters["z"] * ALPHA / (BETA + np.sqrt(np.maximum(parameters["n"], 0.0)))
