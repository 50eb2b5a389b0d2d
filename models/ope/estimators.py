"""Estimators of a policy's value from rounds that another policy chose.

Every one of them is a ratio of two sums over rounds, so that one bootstrap serves all. With ``w`` the weight
``policy(arm) / propensity``, ``r`` the reward, ``q`` the reward model:

- **ips**, inverse propensity scoring: ``sum(w r) / n``. Horvitz and Thompson, JASA 1952; for policies of
  recommendation Li, Chu, Langford and Wang, WSDM 2011. Unbiased when the policy picks nothing the log could not show.
- **snips**, self-normalised: ``sum(w r) / sum(w)``. Swaminathan and Joachims, NIPS 2015. A little bias, less variance.
- **dm**, direct method: ``sum(sum_a policy(a) q(a)) / n``. As good as the reward model, and no better.
- **dr**, doubly robust: ``sum(sum_a policy(a) q(a) + w (r - q(arm))) / n``. Dudík, Langford and Li, ICML 2011.
  Unbiased when either propensities or the reward model are right.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from models.evaluate.trials import F64


class Weighed(NamedTuple):
    """(n,) columns of one policy over the evaluated rounds."""

    weight: F64
    reward: F64
    predicted: F64
    """Of the reward model for the arm shown; 0 without a model."""
    expected: F64
    """Of the reward model for the policy: the mean over its arms."""

    def clipped(self, most: float | None) -> "Weighed":
        """No weight above ``most`` (Ionides, "Truncated importance sampling", 2008)."""
        return self if most is None else self._replace(weight=np.minimum(self.weight, most))


class Ratio(NamedTuple):
    """(n,) what is summed up, and what that sum is divided by."""

    above: F64
    below: F64

    @property
    def value(self) -> float:
        """nan where there is nothing to divide by."""
        below = float(self.below.sum())
        return float(self.above.sum()) / below if below else float("nan")


def ips(weighed: Weighed) -> Ratio:
    """Inverse propensity scoring.

    >>> columns = ([2.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0])
    >>> ips(Weighed(*map(np.array, columns))).value
    1.0
    """
    return _mean(weighed.weight * weighed.reward)


def snips(weighed: Weighed) -> Ratio:
    """Self-normalised inverse propensity scoring."""
    return Ratio(weighed.weight * weighed.reward, weighed.weight)


def dm(weighed: Weighed) -> Ratio:
    """Direct method."""
    return _mean(weighed.expected)


def dr(weighed: Weighed) -> Ratio:
    """Doubly robust."""
    return _mean(weighed.expected + weighed.weight * (weighed.reward - weighed.predicted))


def _mean(values: F64) -> Ratio:
    return Ratio(values, np.ones_like(values))


ESTIMATORS: Final[Mapping[str, Callable[[Weighed], Ratio]]] = {"ips": ips, "snips": snips, "dr": dr, "dm": dm}
MODEL_BASED: Final = ("dr", "dm")
"""Those that ask the reward model."""
