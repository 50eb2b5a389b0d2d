"""Sources of data, and what of a candidate's features is known only with them."""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.rank.features import feature_names
from models.retrieve.contract import I32, U8

SOURCES: Final = {
    "browse": "what shoppers look at, click and put into carts, in sessions and histories",
    "search": "what they search for",
    "purchase": "what they buy, and buy again",
    "feedback": "what they dismiss",
    "attributes": "categories, brands and prices",
    "text": "words of items",
    "promotions": "prices that are reduced for a while",
}
"""Players of the game, at most eight: its cost doubles with each."""

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "session_knn": ("browse",),
    "covisitation": ("browse",),
    "content": ("browse", "text"),
    "search": ("search",),
    "trending": ("browse",),
    "cold_start": ("browse",),
    "recent": ("browse",),
    "embedding": ("browse",),
    "popularity": ("browse",),
    "popularity_now": ("browse",),
    "trend": ("browse",),
    "rebought": ("purchase",),
    "discount": ("promotions",),
    "category": ("browse", "attributes"),
    "brand": ("browse", "attributes"),
    "price_gap": ("browse", "attributes"),
    "price_above": ("browse", "attributes"),
    "same_category": ("browse", "attributes"),
    "same_brand": ("browse", "attributes"),
    "price_step": ("browse", "attributes"),
    "in_session": ("browse",),
    "current": ("browse",),
    "again": ("browse",),
    "again_late": ("browse",),
    "in_history": ("browse",),
    "history_age": ("browse",),
    "history_times": ("browse",),
    "embedded": ("browse",),
    "purchase": ("browse", "purchase"),
    "dwell": ("browse",),
    "near_dismissed": ("feedback", "attributes"),
}
"""By recommendation source or feature, all that it takes. What is not named takes none: it is of the moment."""

AGREEMENT: Final = "agreement"
"""Is made of what sources say, and follows from those that may speak."""


class Layout(NamedTuple):
    """How F columns of S recommendation sources fall into B blocks that come and go together."""

    block: I32
    """(F,) block of each column."""
    needs: U8
    """(B,) sources of data that a block takes, one bit each."""
    named: I32
    """(S,) column that says whether a recommendation source names the item."""
    agreement: int
    """Its column."""


def layout_of(recommenders: Sequence[str]) -> Layout:
    """Of the features over recommendation sources ``recommenders`` (S,)."""
    names, bits = feature_names(recommenders), {source: 1 << i for i, source in enumerate(SOURCES)}
    masks = [sum(bits[source] for source in NEEDS.get(name.partition(".")[0], ())) for name in names]
    needs, block = np.unique(masks, return_inverse=True)
    named = [names.index(f"{recommender}.named") for recommender in recommenders]
    return Layout(
        cast(I32, block.astype(np.int32)),
        needs.astype(np.uint8),
        np.array(named, np.int32),
        names.index(AGREEMENT),
    )


def open_blocks(layout: Layout) -> NDArray[np.bool_]:
    """(2^P, B) whether each coalition of sources opens each block."""
    coalitions = np.arange(1 << len(SOURCES))[:, None]
    return np.asarray((coalitions & layout.needs) == layout.needs, np.bool_)
