"""The whole stage: candidates of many sources in, one ordered and explained slate a user out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.interest.seen import Seen
from models.knowledge.attributes import Attributes
from models.rank.diversify import diversify
from models.rank.features import Known, features
from models.rank.filters import refused
from models.rank.merge import I64, Merged, merge
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


class Considered(NamedTuple):
    """What the slates were chosen from: all n candidates, to be learned from and explained."""

    merged: Merged
    values: F32
    """(n, F) features."""
    scores: F32
    """(n,)"""
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
) -> tuple[Ranked, Considered]:
    """Merge, filter, score and diversify. The order of ``sources`` is that of the last axis of the answer."""
    merged = merge([c for _, c in sources], refused(seen, rebuyable, settings), attributes.available)
    values = features(merged, queries, seen, attributes, known)  # (n, F)
    seen_by_scorer = Features([name for name, _ in sources], merged, values)
    all_scores = scorer.score_many(seen_by_scorer)  # (n,)
    rows = diversify(merged, all_scores, attributes, n_places, settings)  # (N, S)
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
    return Ranked(items, scores, shares, because), Considered(merged, values, all_scores, rows)
