"""What the user looked at before, to be taken up again: the latest first, as a rule without the item of this moment.

It brings anything only where ranking lets seen items through: earlier sessions, or all of them where the shop wants
reminders. Strong wherever people return to items (Ludewig and Jannach, UMUAI 2018, "session reminders").
"""

import numpy as np

from models.retrieve.contract import I32, Candidates, Interactions, Queries
from models.retrieve.settings import RecentSettings
from models.retrieve.top_k import empty_lists


class Recent:
    """score = (1 / place) ** fade, places counted from the first item that may be named."""

    name = "recent"

    def __init__(self, settings: RecentSettings) -> None:
        self._fade = settings.fade
        self._first = 0 if settings.current else 1

    def update(self, batch: Interactions) -> None:
        """Nothing: all that it knows is in the query."""

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """The user's own items."""
        items, scores, because = empty_lists(len(queries.history), k)
        before = queries.history[:, self._first : self._first + k]  # (N, at most k)
        width = before.shape[1]
        items[:, :width] = before
        worth = np.arange(1, width + 1, dtype=np.float32) ** np.float32(-self._fade)
        scores[:, :width] = np.where(before >= 0, worth, np.float32(0.0))
        return Candidates(items, scores, because)

    def forget(self, items: I32) -> None:
        """Nothing is kept."""

    @property
    def size_bytes(self) -> int:
        """Nothing is kept."""
        return 0
