"""The weights that all scorers start from, as a scorer: what learning must be surely better than to go on serving."""

import numpy as np

from models.learn.estimator import Parameters
from models.learn.groups import Groups
from models.retrieve.contract import F32


class Fixed:
    """Learns nothing."""

    name = "fixed"
    samples = False

    def __init__(self, first: F32) -> None:
        self._weights = first

    @property
    def weights(self) -> F32:
        """See ``Estimator``: (F,) the first ones."""
        return self._weights

    def learn(self, groups: Groups) -> None:
        """See ``Estimator``."""

    def parameters(self) -> Parameters:
        """See ``Estimator``: none."""
        return {}

    def load(self, parameters: Parameters) -> None:
        """See ``Estimator``."""

    def spread(self) -> F32:
        """See ``Estimator``: zeros, for what is fixed is certain."""
        return np.zeros_like(self._weights)
