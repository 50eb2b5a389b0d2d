"""What every scorer that learns promises. Parameters are sums of what each list taught, so that workers can add up."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.learn.groups import Groups
from models.retrieve.contract import F32, F64

Parameters = Mapping[str, F64]
"""Named arrays of shape (F,)."""


class Estimator(Protocol):
    """A linear scorer of F features.

    ``parameters`` are additive: after any lists were learned, the difference to before may be added to the
    parameters of another worker that started from the same ones, in any order.
    """

    name: str
    samples: bool
    """Whether it is so slow that it learns from a share of the users only."""

    @property
    def weights(self) -> F32:
        """(F,) by which the features are multiplied."""

    def learn(self, groups: Groups) -> None:
        """Take the lists, one after another."""

    def parameters(self) -> Parameters:
        """A copy."""

    def load(self, parameters: Parameters) -> None:
        """Take these in place of the own ones."""

    def spread(self) -> F32:
        """(F,) standard deviation of each weight, as the learner sees it."""


def score(x: F32, weights: F32) -> F32:
    """(n,) raw scores of (n, F) features."""
    return np.asarray(x @ weights, np.float32)


def added(a: Parameters, b: Parameters, sign: float = 1.0) -> dict[str, NDArray[np.float64]]:
    """``a + sign * b``; what only one of them names counts as 0 in the other."""
    out = {name: values.copy() for name, values in a.items()}
    for name, values in b.items():
        out[name] = out.get(name, 0.0) + sign * values
    return out
