"""What others of the same segment like, for those of whom nothing else is known.

One list a segment, not a user; which item is rising just now is ``trending``'s concern.
"""

from typing import cast

import numpy as np

from models.kinds import WEIGHT_OF_CODE
from models.retrieve.compiled import held_bytes, packed
from models.retrieve.contract import F32, F64, I32, Candidates, Interactions, Queries
from models.retrieve.leaderboards import (
    LN2,
    add_all,
    blended,
    clear_rows,
    drop_items,
    empty_leaderboards,
    empty_scratch,
)
from models.retrieve.settings import ColdStartSettings
from models.retrieve.top_k import marked


class ColdStart:
    """score(i) = (C(s, i) + m C(i) / C) / (C(s) + m): popularity in segment s, shrunk towards popularity
    overall.

    Counts are decayed to the latest interaction learned; m is ``prior_weight``, the weight of interactions at
    which a segment's own taste counts half. A user without a segment gets C(i) / C. The last row of counts is
    the overall one.
    """

    name = "cold_start"

    def __init__(self, settings: ColdStartSettings, n_items: int, n_segments: int) -> None:
        self._settings = settings
        self._rate = LN2 / settings.half_life_s
        self._boards = empty_leaderboards(n_segments + 1, settings.row_items)
        self._scratch = empty_scratch(n_items)
        self._latest_s = -np.inf

    def update(self, batch: Interactions) -> None:
        """Count the interactions within their segment and overall."""
        if len(batch.item) == 0:
            return
        overall = np.full(len(batch.item), self._overall, np.int32)
        inside = (batch.segment >= 0) & (batch.segment < self._overall)
        for rows in (overall, np.where(inside, batch.segment, -1).astype(np.int32)):
            add_all(
                self._boards,
                rows,
                cast(I32, packed(batch.item, np.int32)),
                len(self._scratch.score),
                WEIGHT_OF_CODE[batch.kind & 15],
                cast(F64, packed(batch.time_s, np.float64)),
                self._rate,
            )
        self._latest_s = max(self._latest_s, float(batch.time_s.max()))

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """The list of each user's segment, worked out once a segment."""
        of_user = queries.segment.tolist()
        places = {segment: place for place, segment in enumerate(dict.fromkeys(of_user))}
        segments = np.array(list(places), np.int32)
        segments[segments >= self._overall] = -1
        rows = np.stack([segments, np.full_like(segments, self._overall)], axis=1)  # (D, 2)
        items, scores, _ = blended(
            self._boards, self._scratch, rows, self._shrunk(segments), np.zeros(len(rows)), 0.0, self._rate, k
        )
        own = [places[segment] for segment in of_user]
        return Candidates(items[own], scores[own], np.full((len(own), k), -1, np.int32))

    def forget(self, items: I32) -> None:
        """Drop the items from every list."""
        drop_items(self._boards, marked(items, len(self._scratch.score)))

    def forget_segments(self, segments: I32) -> None:
        """Drop the lists of these segments: their indexes are about to be given to others."""
        gone = marked(segments, self._overall)
        clear_rows(self._boards, gone)

    @property
    def size_bytes(self) -> int:
        """Memory held, all of it from the start."""
        return held_bytes(self._boards, self._scratch)

    @property
    def _overall(self) -> int:
        return len(self._boards.totals) - 1

    def _shrunk(self, segments: I32) -> F32:
        """(D, 2) weights of the segment's shares and the overall ones, adding up to 1."""
        totals = np.where(segments >= 0, self._boards.totals[segments], 0.0)
        age = (self._latest_s - self._boards.landmark_s[segments]) * self._rate
        counted = np.where(totals > 0.0, totals * np.exp(-np.where(totals > 0.0, age, 0.0)), 0.0)
        own = counted / (counted + self._settings.prior_weight)
        return np.stack([own, 1.0 - own], axis=1).astype(np.float32)
