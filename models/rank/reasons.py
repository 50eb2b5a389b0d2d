"""Slates in the words of the output contract: item ids, scores and why each item is there."""

from collections.abc import Callable, Sequence

import numpy as np

from models.rank.slate import Ranked
from models.retrieve.contract import F32
from schemas.outputs import ReasonCode, SlateItem

SCORE_DECIMALS = 5
SHARE_DECIMALS = 3
"""More digits say nothing and make a slate half as long again."""

EXPLORATION = ReasonCode("exploration", 0.0)
"""The item is there to be tried out; what brought it among the candidates stands before."""

Words = Callable[[list[int]], list[str | None]]


def slate_items(
    ranked: Ranked, sources: Sequence[str], words: Words, max_reasons: int
) -> list[list[SlateItem]]:
    """The items of each of N slates, best place first, with up to ``max_reasons`` reasons.

    Reasons are sources by their share of the score, largest first, ties by the order of the sources; a source
    without a share gives none. ``words`` turns indexes into item ids, None where there is none.

    An item whose place was left to chance carries its propensity.

    Everything is laid out flat and built by ``map``: one Python step an object took five times as long.
    """
    n_places = ranked.items.shape[1]
    strongest = np.argsort(-ranked.shares, axis=2, kind="stable")[:, :, :max_reasons]  # (N, S, R)
    shares = np.take_along_axis(ranked.shares, strongest, axis=2)
    because = np.take_along_axis(ranked.because, strongest, axis=2)
    codes = list(
        map(
            ReasonCode,
            [sources[place] for place in strongest.ravel().tolist()],
            _rounded(shares, SHARE_DECIMALS),
            words(because.ravel().tolist()),
        )
    )
    n_reasons = (shares > 0.0).sum(axis=2).ravel().tolist()
    width = strongest.shape[2]
    reasons = [codes[at * width : at * width + n] for at, n in enumerate(n_reasons)]
    ids = words(ranked.items.ravel().tolist())
    for at in np.flatnonzero(ranked.explored.ravel()).tolist():
        reasons[at] = [*reasons[at], EXPLORATION]
    propensity = ranked.propensity.ravel()
    propensities: list[float | None] = [None] * len(ids)
    for at in np.flatnonzero((propensity > 0.0) & (propensity < 1.0)).tolist():
        propensities[at] = float(propensity[at])
    scores = _rounded(ranked.scores, SCORE_DECIMALS)
    items = list(map(SlateItem, ids, scores, reasons, propensities))  # type: ignore[arg-type]
    n_items = (ranked.items >= 0).sum(axis=1).tolist()
    return [items[at * n_places : at * n_places + n] for at, n in enumerate(n_items)]


def _rounded(values: F32, decimals: int) -> list[float]:
    rounded: list[float] = np.round(values.astype(np.float64), decimals).ravel().tolist()
    return rounded
