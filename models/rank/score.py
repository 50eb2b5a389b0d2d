"""Scores of merged candidates, and what each source adds to them. No filter, no diversity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.knowledge.attributes import Attributes
from models.rank.merge import Merged
from models.rank.settings import RankSettings
from models.retrieve.contract import F32, Queries


class Features(NamedTuple):
    """What a scorer sees: n candidates of N users."""

    sources: Sequence[str]
    """Names of the sources, in the order of the columns of ``merged.evidence``."""
    merged: Merged
    queries: Queries
    attributes: Attributes


class Scorer(Protocol):
    """Pure: scoring writes nothing, and the score of a candidate depends on no other candidate."""

    def score_many(self, features: Features) -> F32:
        """(n,) scores, comparable within a user; what does not score above 0 is left out of the slate."""

    def parts(self, features: Features, rows: NDArray[np.int64]) -> F32:
        """(m, n_sources) what each source adds to the scores of these (m,) rows, not negative."""


@dataclass(frozen=True)
class FixedWeights:
    """``score = sum over sources of weight * evidence``, with the weights of the settings."""

    settings: RankSettings

    def score_many(self, features: Features) -> F32:
        """(n,) scores, summed in the order of the sources."""
        evidence = features.merged.evidence  # (n, n_sources)
        scores = np.zeros(len(evidence), np.float32)
        for s, weight in enumerate(self._weights(features)):
            scores += weight * evidence[:, s]
        return scores

    def parts(self, features: Features, rows: NDArray[np.int64]) -> F32:
        """(m, n_sources) what each source adds to the scores of these (m,) rows."""
        parts: F32 = features.merged.evidence[rows] * self._weights(features)
        return parts

    def _weights(self, features: Features) -> F32:
        named, other = self.settings.source_weights, self.settings.default_weight
        return np.array([named.get(name, other) for name in features.sources], np.float32)
