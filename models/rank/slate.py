"""The whole stage: candidates of many sources in, one ordered and explained slate a user out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.interest.seen import Seen
from models.knowledge.attributes import Attributes
from models.rank.diversify import diversify
from models.rank.explore import Explored, explore, new_items
from models.rank.explore_settings import ExploreSettings
from models.rank.features import NEAR_DISMISSED, Known, features
from models.rank.filters import refused
from models.rank.merge import I64, Merged, merge
from models.rank.score import Features, Scorer
from models.rank.settings import RankSettings
from models.retrieve.contract import F32, I32, U8, U64, Candidates, Queries

LEAST_SHARE = np.float32(1e-3)
"""Of its score, what an item just like a dismissed one keeps at least: it sinks, it does not vanish."""


class Ranked(NamedTuple):
    """Slates of N users with S places, padded at the end where there were too few candidates."""

    items: I32
    """(N, S) best place first, -1 padded."""
    scores: F32
    """(N, S) what the scorer gave, 0 where padded; diversity may put a lower score first."""
    shares: F32
    """(N, S, n_sources) share of each source in the score: sums to 1, all 0 where padded."""
    because: I32
    """(N, S, n_sources) the user's own item that made the source name this one, -1 none."""
    propensity: F32
    """(N, S) probability of this item at this place given those before it, 0 where padded."""
    explored: NDArray[np.bool_]
    """(N, S) where the item is there to be tried out."""


class Considered(NamedTuple):
    """What the slates were chosen from: all n candidates, to be learned from and explained."""

    merged: Merged
    values: F32
    """(n, F) features."""
    scores: F32
    """(n,) what they were ordered by."""
    rows: I64
    """(N, S) rows of the slates' items, -1 padded."""


def rank(
    sources: Sequence[tuple[str, Candidates]],
    queries: Queries,
    seen: Seen,
    attributes: Attributes,
    known: Known,
    rebuyable: U8,
    n_places: int,
    settings: RankSettings,
    scorer: Scorer,
    seed: U64,
) -> tuple[Ranked, Considered]:
    """Merge, filter, score, diversify and explore. The order of ``sources`` is that of the last axis of the answer.

    ``seed`` (N,) is all that chance depends on.
    """
    merged = merge([c for _, c in sources], refused(seen, rebuyable, settings), attributes.available)
    values = features(merged, queries, seen, attributes, known)  # (n, F)
    seen_by_scorer = Features([name for name, _ in sources], merged, values)
    all_scores = scorer.score_many(seen_by_scorer)  # (n,)
    sunk = np.float32(1.0) - np.float32(settings.dismissal) * values[:, NEAR_DISMISSED]
    all_scores *= np.maximum(sunk, LEAST_SHARE)
    rows = diversify(merged, all_scores, attributes, n_places, settings)  # (N, S)
    explored = _explored(
        seen_by_scorer, rows, all_scores, queries, attributes, settings.explore, scorer, seed
    )
    rows = explored.rows
    filled = rows >= 0
    shares = np.zeros((*rows.shape, len(sources)), np.float32)
    because = np.full(shares.shape, -1, np.int32)
    items = np.full(rows.shape, -1, np.int32)
    scores = np.zeros(rows.shape, np.float32)
    at = rows[filled]
    parts = scorer.parts(seen_by_scorer, at)
    items[filled], scores[filled] = merged.items[at], all_scores[at]
    shares[filled] = parts / parts.sum(axis=1, keepdims=True)
    because[filled] = merged.because[at]
    ranked = Ranked(items, scores, shares, because, explored.propensity, explored.explored)
    return ranked, Considered(merged, values, all_scores, rows)


def _explored(
    features: Features,
    rows: I64,
    scores: F32,
    queries: Queries,
    attributes: Attributes,
    settings: ExploreSettings,
    scorer: Scorer,
    seed: U64,
) -> Explored:
    if settings.policy == "none":
        return Explored(rows, (rows >= 0).astype(np.float32), np.zeros(rows.shape, np.bool_))
    is_new = new_items(features.merged, attributes.created_s, queries.now_s, settings.new_item_s)
    return explore(features.merged, rows, scores, scorer.spread(features), is_new, seed, settings)
