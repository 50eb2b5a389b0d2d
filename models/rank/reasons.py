"""Slates in the words of the output contract: item ids, scores and why each item is there."""

from collections.abc import Callable, Sequence

import numpy as np

from models.rank.slate import Ranked
from schemas.outputs import ReasonCode, SlateItem

Word = Callable[[int], str | None]


def slate_items(
    ranked: Ranked, sources: Sequence[str], word: Word, max_reasons: int
) -> list[list[SlateItem]]:
    """The items of each of N slates, best place first, with up to ``max_reasons`` reasons.

    Reasons are sources by their share of the score, largest first, ties by the order of the sources; a
    source without a share gives none. ``word`` turns an index into an item id, None when it is no longer
    known.
    """
    strongest = np.argsort(-ranked.shares, axis=2, kind="stable")[:, :, :max_reasons]  # (N, S, max_reasons)
    shares = np.take_along_axis(ranked.shares, strongest, axis=2).tolist()
    because = np.take_along_axis(ranked.because, strongest, axis=2).tolist()
    columns = (ranked.items.tolist(), ranked.scores.tolist(), strongest.tolist(), shares, because)
    return [
        [
            SlateItem(item_id, score, _reasons(places, of, by, sources, word))
            for index, score, places, of, by in zip(*slate, strict=True)
            if index >= 0 and (item_id := word(index)) is not None
        ]
        for slate in zip(*columns, strict=True)
    ]


def _reasons(
    places: list[int], shares: list[float], because: list[int], sources: Sequence[str], word: Word
) -> list[ReasonCode]:
    return [
        ReasonCode(sources[place], share, word(item) if item >= 0 else None)
        for place, share, item in zip(places, shares, because, strict=True)
        if share > 0.0
    ]
