"""The whole stage: candidates of many sources in, one ordered and explained slate a user out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.interest.seen import Seen
from models.knowledge.attributes import Attributes
from models.rank.diversify import diversify
from models.rank.filters import refused
from models.rank.merge import merge
from models.rank.score import Features, Scorer
from models.rank.settings import RankSettings
from models.retrieve.contract import F32, I32, U8, Candidates, Queries


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


def rank(
    sources: Sequence[tuple[str, Candidates]],
    queries: Queries,
    seen: Seen,
    attributes: Attributes,
    rebuyable: U8,
    n_places: int,
    settings: RankSettings,
    scorer: Scorer,
) -> Ranked:
    """Merge, filter, score and diversify. The order of ``sources`` is that of the last axis of the answer."""
    merged = merge([c for _, c in sources], refused(seen, rebuyable, settings), attributes.available)
    features = Features([name for name, _ in sources], merged, queries, attributes)
    all_scores = scorer.score_many(features)  # (n,)
    rows = diversify(merged, all_scores, attributes, n_places, settings)  # (N, S)
    filled = rows >= 0
    shares = np.zeros((*rows.shape, len(sources)), np.float32)
    because = np.full(shares.shape, -1, np.int32)
    items = np.full(rows.shape, -1, np.int32)
    scores = np.zeros(rows.shape, np.float32)
    rows = rows[filled]
    parts = scorer.parts(features, rows)
    items[filled], scores[filled] = merged.items[rows], all_scores[rows]
    shares[filled] = parts / parts.sum(axis=1, keepdims=True)
    because[filled] = merged.because[rows]
    return Ranked(items, scores, shares, because)
