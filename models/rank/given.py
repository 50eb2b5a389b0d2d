"""Orders candidates that the caller names, such as search results: by the same features and scorer as a slate.

No filter, no diversity, no exploration: all of them come back.
"""

from collections.abc import Sequence

import numpy as np

from models.interest.seen import Seen
from models.knowledge.attributes import Attributes
from models.rank.features import NEAR_DISMISSED, Known, features
from models.rank.merge import Merged
from models.rank.score import Features, Scorer
from models.rank.settings import RankSettings
from models.rank.slate import LEAST_SHARE, Ranked
from models.retrieve.contract import I32, Candidates, Queries


def rank_given(
    sources: Sequence[tuple[str, Candidates]],
    items: I32,
    queries: Queries,
    seen: Seen,
    attributes: Attributes,
    known: Known,
    settings: RankSettings,
    scorer: Scorer,
) -> Ranked:
    """One user's ``items`` (n,), distinct, as a slate of n places; ties in the order given.

    What a source says of an item beyond the candidates that it was asked for counts as silence.
    """
    merged = merge_given([found for _, found in sources], items)
    values = features(merged, queries, seen, attributes, known)  # (n, F)
    seen_by_scorer = Features([name for name, _ in sources], merged, values)
    scores = scorer.score_many(seen_by_scorer)  # (n,)
    sunk = np.float32(1.0) - np.float32(settings.dismissal) * values[:, NEAR_DISMISSED]
    scores *= np.maximum(sunk, LEAST_SHARE)
    rows = np.argsort(-scores, kind="stable")
    parts = scorer.parts(seen_by_scorer, rows)
    total = parts.sum(axis=1, keepdims=True)
    shares = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0.0)
    nothing = np.zeros((1, len(items)), np.bool_)
    certain = np.ones((1, len(items)), np.float32)
    return Ranked(
        items[rows][None], scores[rows][None], shares[None], merged.because[rows][None], certain, nothing
    )


def merge_given(sources: Sequence[Candidates], items: I32) -> Merged:
    """What each source says of ``items`` (n,) of one user, and of no others; of two mentions the better one holds."""
    n, by_item = len(items), np.argsort(items, kind="stable")
    evidence = np.zeros((n, len(sources)), np.float32)
    because = np.full((n, len(sources)), -1, np.int32)
    places = np.full((n, len(sources)), -1, np.int32)
    for s, found in enumerate(sources):
        scores = np.where((found.items[0] >= 0) & np.isfinite(found.scores[0]), found.scores[0], 0.0)
        named = np.flatnonzero(scores > 0.0)
        if not (n and len(named)):
            continue
        at = np.minimum(np.searchsorted(items, found.items[0][named], sorter=by_item), n - 1)
        row = by_item[at]
        mine = items[row] == found.items[0][named]
        worst_first = np.argsort(scores[named][mine], kind="stable")
        row, place = row[mine][worst_first], named[mine][worst_first]
        evidence[row, s] = scores[place] / scores.max()
        because[row, s] = found.because[0, place]
        places[row, s] = place
    starts = np.array([0, n], np.int64)
    return Merged(starts, items, np.zeros(n, np.int32), evidence, because, places)
