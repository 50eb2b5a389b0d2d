"""One user's slate with all that it was made of, and what follows from that alone: weights, contributions, places."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from models.interest.seen import Seen
from models.interest.state import Interaction, State, interactions
from models.knowledge.base import KnowledgeBase
from models.path_settings import PathSettings
from models.rank.diversify import diversify
from models.rank.features import OF_ITEM, OF_MOMENT, OF_PAIR, OF_SOURCE, feature_names
from models.rank.merge import I64
from models.rank.score import Features, Scorer
from models.rank.slate import Considered, Ranked
from models.retrieve.contract import F32, F64, Candidates, Queries


@dataclass(frozen=True)
class Case:
    """A batch of one user (N = 1) with n candidates, F features and S places."""

    state: State
    now_ms: int
    queries: Queries
    seen: Seen
    found: Sequence[tuple[str, Candidates]]
    ranked: Ranked
    considered: Considered
    scorer: Scorer
    knowledge: KnowledgeBase
    settings: PathSettings

    @cached_property
    def sources(self) -> list[str]:
        """Their names."""
        return [name for name, _ in self.found]

    @cached_property
    def names(self) -> list[str]:
        """(F,) names of the features."""
        return feature_names(self.sources)

    @cached_property
    def groups(self) -> list[str]:
        """(G,) what features are about: each of the sources, then ``item``, ``pair`` and ``moment``."""
        return [*self.sources, "item", "pair", "moment"]

    @cached_property
    def weights(self) -> F64:
        """(F,)"""
        return self.scorer.weights_of(self.names).astype(np.float64)

    @cached_property
    def contributions(self) -> F64:
        """(n, F) exact: the product of two numbers of 24 bits fits into 53. Adding 0 leaves no -0."""
        return self.considered.values.astype(np.float64) * self.weights + 0.0

    @cached_property
    def mean(self) -> F64:
        """(F,) mean contribution over the candidates."""
        n = len(self.contributions)
        return self.contributions.mean(axis=0) if n else np.zeros(len(self.names))

    @cached_property
    def sums(self) -> F64:
        """(n, G) contributions by group."""
        widths = [*(len(OF_SOURCE) for _ in self.sources), len(OF_ITEM), len(OF_PAIR), len(OF_MOMENT)]
        starts = np.cumsum([0, *widths[:-1]])
        sums: F64 = np.add.reduceat(self.contributions, starts, axis=1)
        return sums

    @cached_property
    def mean_sums(self) -> F64:
        """(G,) their means over the candidates."""
        return self.sums.mean(axis=0) if len(self.sums) else np.zeros(len(self.groups))

    @cached_property
    def places(self) -> list[dict[int, int]]:
        """By source: item to its place in that list, from 0, with its best score there."""
        return [_places(found) for _, found in self.found]

    @cached_property
    def peaks(self) -> list[float]:
        """By source: the best score."""
        return [
            max((float(found.scores[0, at]) for at in places.values()), default=0.0)
            for (_, found), places in zip(self.found, self.places, strict=True)
        ]

    @cached_property
    def full_scores(self) -> F32:
        """(n,) before demotion."""
        return self.scorer.score_many(Features(self.sources, self.considered.merged, self.considered.values))

    @cached_property
    def by_score(self) -> I64:
        """(n,) rows, best first, ties by the lower item."""
        return np.lexsort((self.considered.merged.items, -self.considered.scores))

    @cached_property
    def rank_of(self) -> dict[int, int]:
        """Row to its place by score, from 1."""
        return {row: rank for rank, row in enumerate(self.by_score.tolist(), start=1)}

    @cached_property
    def greedy(self) -> list[int]:
        """Rows of the slate after diversity, before exploration."""
        rows = diversify(
            self.considered.merged,
            self.considered.scores,
            self.knowledge.attributes,
            self.considered.rows.shape[1],
            self.settings.rank,
        )
        return [row for row in rows[0].tolist() if row >= 0]

    @cached_property
    def slate(self) -> list[int]:
        """Rows of the slate."""
        return [row for row in self.considered.rows[0].tolist() if row >= 0]

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Item to its row among the candidates."""
        return {item: row for row, item in enumerate(self.considered.merged.items.tolist())}

    @cached_property
    def latest(self) -> dict[str, Interaction]:
        """What the user last did with each item of the recent past."""
        return {each.item: each for each in interactions(self.state.recents)}

    def word(self, item: int) -> str | None:
        """Id of an item."""
        return self.knowledge.vocabularies.items.word(item)


def _places(found: Candidates) -> dict[int, int]:
    """Scores that are not positive and finite are padding, as merging has it."""
    places: dict[int, int] = {}
    scores = found.scores[0].tolist()
    for place, (item, score) in enumerate(zip(found.items[0].tolist(), scores, strict=True)):
        if item >= 0 and 0.0 < score < inf and (item not in places or score > scores[places[item]]):
            places[item] = place
    return places


def latest_slate_id(state: State) -> str:
    """Id of the slate that the user's latest event caused, if it was of a kind that causes one; empty without any."""
    place, offset = next(reversed(state.stamps.items()), ("", 0))
    return f"{place}-{offset}" if place else ""
