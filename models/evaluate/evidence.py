"""What the sources said before each event, so that any weights can be tried without following the log again.

Candidates do not depend on the weights of merging, only their order does.
"""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from models.evaluate.of_path import OfPath
from models.evaluate.prequential import wanted
from models.evaluate.trials import I64
from models.path import Path
from models.path_settings import PathSettings
from models.rank.merge import Merged
from models.rank.score import Features, FixedWeights, Scorer
from models.retrieve.contract import F32, I32
from schemas.events import AnyEvent

MAX_TRIALS: Final = 20_000
"""Trials kept, the latest; of each some hundred candidates with a number a source."""


MAX_USERS: Final = 50_000
"""Users whose candidates are remembered, those seen last; some 10 kB each."""


class Trial(NamedTuple):
    """The candidates before one event, the one that was wanted first."""

    items: I32
    """(C,)"""
    evidence: F32
    """(C, n_sources)"""


class Evidence(NamedTuple):
    """The trials of a log."""

    sources: list[str]
    trials: list[Trial]
    n_missed: int
    """Trials in which no source named what was wanted; they count as misses."""


class Listening:
    """Scores as usual, and keeps what it was shown last."""

    def __init__(self, scorer: Scorer) -> None:
        self.merged: Merged | None = None
        self._scorer = scorer

    def score_many(self, features: Features) -> F32:
        """See ``Scorer``."""
        self.merged = features.merged
        return self._scorer.score_many(features)

    def parts(self, features: Features, rows: I64) -> F32:
        """See ``Scorer``."""
        return self._scorer.parts(features, rows)

    def spread(self, features: Features) -> F32:
        """See ``Scorer``."""
        return self._scorer.spread(features)

    def weights_of(self, names: Sequence[str]) -> F32:
        """See ``Scorer``."""
        return self._scorer.weights_of(names)


class _Said(NamedTuple):
    """Candidates of one user: (C,) indexes, and (C, n_sources) what each source said."""

    items: I32
    evidence: F32


class Gatherer:
    """Follows a log and keeps the evidence before each event, once ``trying``."""

    def __init__(self, settings: PathSettings) -> None:
        self.trying = False
        self._listening = Listening(FixedWeights(settings.rank))
        self._follower = OfPath(Path(settings, self._listening))
        self._index = self._follower.path.knowledge.vocabularies.items.index
        self._said: dict[str, _Said] = {}
        self._trials: deque[Trial] = deque(maxlen=MAX_TRIALS)
        self._n_tried = self._n_found = 0

    def take(self, batch: Sequence[AnyEvent]) -> None:
        """Events of different users."""
        if not self.trying:
            self._follower.train(batch)
            return
        for event in batch:
            self._try(event)
        slates = self._follower.slates(batch, learn=True)
        due = [event.user_id for event, slate in zip(batch, slates, strict=True) if slate]
        if due and self._listening.merged is not None:
            for user_id, said in zip(due, _by_user(self._listening.merged), strict=True):
                self._said.pop(user_id, None)
                self._said[user_id] = said
            while len(self._said) > MAX_USERS:
                del self._said[next(iter(self._said))]

    def evidence(self) -> Evidence:
        """What was gathered; the trials that are no longer kept count neither way."""
        missed = (self._n_tried - self._n_found) / max(1, self._n_found)
        sources = [source.name for source in self._follower.path.knowledge.sources]
        return Evidence(sources, list(self._trials), round(missed * len(self._trials)))

    def _try(self, event: AnyEvent) -> None:
        said, items = self._said.get(event.user_id), wanted(event)
        if said is None or not items:
            return
        self._n_tried += 1
        at = np.flatnonzero(said.items == self._index(items[0]))
        if len(at):
            self._n_found += 1
            wanted_first = np.concatenate([at, np.delete(np.arange(len(said.items)), at)])
            self._trials.append(Trial(said.items[wanted_first], said.evidence[wanted_first]))


def _by_user(merged: Merged) -> list[_Said]:
    bounds = pairwise(merged.starts.tolist())
    return [_Said(merged.items[a:b].copy(), merged.evidence[a:b].copy()) for a, b in bounds]


class Weighing:
    """Tries weights on evidence: the NDCG at k that each would have given."""

    def __init__(self, evidence: Evidence, k: int) -> None:
        self.sources = evidence.sources
        self._k = k
        self._n = len(evidence.trials) + evidence.n_missed
        self._evidence = np.concatenate([trial.evidence for trial in evidence.trials])  # (R, S)
        items = np.concatenate([trial.items for trial in evidence.trials])
        sizes = np.array([len(trial.items) for trial in evidence.trials])
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._sizes = sizes
        self._lower = items < np.repeat(items[self._starts], sizes)

    def heard(self) -> set[str]:
        """Sources that said anything at all."""
        return {
            name for name, said in zip(self.sources, self._evidence.max(axis=0), strict=True) if said > 0.0
        }

    def ndcg(self, weights: F32) -> float:
        """For weights (S,); an item is ordered by its score, then by its index."""
        scores = self._evidence @ weights
        wanted_score = np.repeat(scores[self._starts], self._sizes)
        ahead = (scores > wanted_score) | ((scores == wanted_score) & self._lower)
        ranks = 1 + np.add.reduceat(ahead.astype(np.int64), self._starts)
        found = (ranks <= self._k) & (scores[self._starts] > 0.0)
        return float((found / np.log2(ranks + 1.0)).sum() / max(1, self._n))
