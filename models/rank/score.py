"""Scores of merged candidates, and what each source adds to them. No filter, no diversity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.rank.features import OF_SOURCE
from models.rank.merge import Merged
from models.rank.settings import RankSettings
from models.retrieve.contract import F32

LEAST_RAW = np.float32(-80.0)
ZERO = np.float32(0.0)


class Features(NamedTuple):
    """What a scorer sees: n candidates of N users."""

    sources: Sequence[str]
    """Names of the sources, in the order of the columns of ``merged.evidence``."""
    merged: Merged
    values: F32
    """(n, F) columns as ``models.rank.features.feature_names`` names them."""


class Scorer(Protocol):
    """Pure: scoring writes nothing, and the score of a candidate depends on no other candidate."""

    def score_many(self, features: Features) -> F32:
        """(n,) scores, comparable within a user; what does not score above 0 is left out of the slate."""

    def parts(self, features: Features, rows: NDArray[np.int64]) -> F32:
        """(m, n_sources) what each source adds to the scores of these (m,) rows, not negative."""

    def spread(self, features: Features) -> F32:
        """(n,) standard deviations of the scores, as far as the scorer knows how little it knows."""

    def weights_of(self, names: Sequence[str]) -> F32:
        """(F,) of the features of these names: scores are in the order of ``w·x``."""


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

    def spread(self, features: Features) -> F32:
        """(n,) zeros: what is fixed is certain."""
        return np.zeros(len(features.values), np.float32)

    def weights_of(self, names: Sequence[str]) -> F32:
        """(F,) ``w·x`` is the score itself: a source's weight goes to its ``score``."""
        named, other = self.settings.source_weights, self.settings.default_weight
        split = [name.partition(".") for name in names]
        return np.array(
            [named.get(s, other) if column == "score" else 0.0 for s, _, column in split], np.float32
        )

    def _weights(self, features: Features) -> F32:
        named, other = self.settings.source_weights, self.settings.default_weight
        return np.array([named.get(name, other) for name in features.sources], np.float32)


@dataclass(frozen=True)
class Linear:
    """``score = log(1 + exp(w·x))`` with learned weights: above 0, and in the order of ``w·x``."""

    names: Sequence[str]
    """Of the F features."""
    sources: Sequence[str]
    weights: F32
    """(F,)"""
    deviations: F32
    """(F,) standard deviations of the weights."""

    def score_many(self, features: Features) -> F32:
        """(n,) scores."""
        raw = self._raw(features)
        return np.asarray(np.maximum(raw, ZERO) + np.log1p(np.exp(-np.abs(raw))), np.float32)

    def parts(self, features: Features, rows: NDArray[np.int64]) -> F32:
        """(m, n_sources) what the columns of each source add to ``w·x`` where that is above 0.

        Where none does, the sources share alike that name the candidate.
        """
        width = len(OF_SOURCE)
        of_sources = slice(0, width * len(self.sources))
        values = features.values[rows, of_sources]  # (m, n_sources * width)
        added = (values * self.weights[of_sources]).reshape(len(rows), len(self.sources), width).sum(axis=2)
        added = np.maximum(added, ZERO)
        named = (features.merged.places[rows] >= 0).astype(np.float32)
        parts: F32 = np.where(added.sum(axis=1, keepdims=True) > 0.0, added, named)
        return parts

    def spread(self, features: Features) -> F32:
        """(n,) standard deviations of the scores, the weights being independent."""
        deviation = np.sqrt(_dot(np.square(features.values), np.square(self.deviations)))
        return np.asarray(deviation / (np.float32(1.0) + np.exp(-self._raw(features))), np.float32)

    def _raw(self, features: Features) -> F32:
        """``w·x``, no lower than where the score would round to 0 and leave the slate."""
        raw: F32 = np.maximum(_dot(features.values, self.weights), LEAST_RAW)
        return raw

    def weights_of(self, names: Sequence[str]) -> F32:
        """(F,) those learned."""
        assert list(names) == list(self.names), "weights were learned of other features"
        return self.weights


def _dot(values: F32, weights: F32) -> F32:
    """(n,) of (n, F) and (F,): on one thread and row by row, where BLAS would wake others that other workers need."""
    dot: F32 = np.einsum("nf,f->n", values, weights)
    return dot
