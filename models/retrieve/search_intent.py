"""What shoppers turned to after the same query.

It knows queries as wholes only; matching their words with the items' is part of ``content``.
"""

from typing import cast

import numpy as np

from models.kinds import WEIGHT_OF_CODE
from models.retrieve.compiled import held_bytes, packed
from models.retrieve.contract import F64, I32, Candidates, Interactions, Queries
from models.retrieve.leaderboards import (
    LN2,
    add_all,
    blended,
    clear_rows,
    drop_items,
    empty_leaderboards,
    empty_scratch,
)
from models.retrieve.settings import SearchIntentSettings
from models.retrieve.top_k import marked


class SearchIntent:
    """score(i) = C(q, i) / (C(q) + smoothing): the decayed share of item i in what followed query q.

    C(q, i) grows by the weight of each interaction with i whose most recent query is q.
    """

    name = "search"

    def __init__(self, settings: SearchIntentSettings, n_items: int, n_queries: int) -> None:
        self._settings = settings
        self._rate = LN2 / settings.half_life_s
        self._boards = empty_leaderboards(n_queries, settings.row_items)
        self._scratch = empty_scratch(n_items)

    def update(self, batch: Interactions) -> None:
        """Count the interactions that came after a query."""
        add_all(
            self._boards,
            cast(I32, packed(batch.term, np.int32)),
            cast(I32, packed(batch.item, np.int32)),
            len(self._scratch.score),
            WEIGHT_OF_CODE[batch.kind & 15],
            cast(F64, packed(batch.time_s, np.float64)),
            self._rate,
        )

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """Items that followed each user's most recent query."""
        asked = queries.query[:, None]
        items, scores, _ = blended(
            self._boards,
            self._scratch,
            asked,
            np.ones(asked.shape, np.float32),
            queries.now_s,
            self._settings.smoothing,
            self._rate,
            k,
        )
        return Candidates(items, scores, np.full(items.shape, -1, np.int32))

    def forget(self, items: I32) -> None:
        """Drop the items from what followed each query."""
        drop_items(self._boards, marked(items, len(self._scratch.score)))

    def forget_queries(self, queries: I32) -> None:
        """Drop all that followed these queries: their indexes are about to be given to others."""
        clear_rows(self._boards, marked(queries, len(self._boards.totals))[:-1])

    @property
    def size_bytes(self) -> int:
        """Memory held, all of it from the start."""
        return held_bytes(self._boards, self._scratch)
