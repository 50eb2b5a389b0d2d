"""Trials: one for each event that a user with an offer made, with where in the offer its items were.

Everything about the event itself is the same for all recommenders; only ranks, sources and the offer's own qualities
differ. Columns are gathered in lists and read as arrays.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass
class Events:
    """(n,) columns of the events that were tested."""

    at: list[int] = field(default_factory=list)
    """Running number of the event in the log."""
    user: list[int] = field(default_factory=list)
    """Running number of the user."""
    time_ms: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    n_items: list[int] = field(default_factory=list)
    """Distinct items of the event: what an offer should have held."""
    is_returning: list[bool] = field(default_factory=list)
    """The user had an earlier session."""
    in_session: list[bool] = field(default_factory=list)
    """The session had an event with an item before."""
    is_new_item: list[bool] = field(default_factory=list)
    """All items of the event appeared within the last day."""
    is_repeat: list[bool] = field(default_factory=list)
    """All items of the event had been touched in this session."""
    is_own_transition: list[bool] = field(default_factory=list)
    """The step from the session's last item to this one had been made in this very session."""

    def __len__(self) -> int:
        return len(self.at)

    def thin(self) -> None:
        """Keep every other trial."""
        _thin(vars(self).values())

    def column(self, name: str) -> NDArray[Any]:
        """A column as an array (n,)."""
        return np.array(getattr(self, name))


@dataclass
class Found:
    """What one recommender's offers were worth, row for row with ``Events``."""

    ranks: list[tuple[int, ...]] = field(default_factory=list)
    """Ranks, from 1, at which items of the event were offered, ascending."""
    source: list[str] = field(default_factory=list)
    """What brought the first item found, empty when none was."""
    novelty: list[float] = field(default_factory=list)
    """Mean self-information of the items offered, bits: -log2 of an item's share of all interactions so far."""
    diversity: list[float] = field(default_factory=list)
    """Share of the pairs of items offered that are of different categories."""
    offered: Counter[str] = field(default_factory=Counter)
    """How often each item was offered."""
    offered_source: Counter[str] = field(default_factory=Counter)
    """How many places each source filled."""

    def thin(self) -> None:
        """Keep every other trial; what was offered stays counted."""
        _thin(vars(self).values())


def _thin(columns: Iterable[object]) -> None:
    for column in columns:
        if isinstance(column, list):
            del column[1::2]
