"""Slates that shoppers are known to have seen, and what of them was taken: click-through and conversion.

What another order would have earned is estimated by the position-based model: whether an item is taken is whether its
place is looked at, times whether it is wanted. So each click counts the chance of the place that its item would have
had, over that of the place that it had (Joachims, Swaminathan and Schnabel, "Unbiased learning-to-rank with biased
feedback", WSDM 2017; Li et al., "Offline evaluation of ranking policies with click models", KDD 2018). The mean is over
slates seen, those without a click included. Of what was never shown it knows nothing.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kinds import Kind
from models.learn.groups import Groups

Bool = NDArray[np.bool_]

OFF_POLICY: Final = ("click_through", "conversion")


class Seen(NamedTuple):
    """Sums over slates seen."""

    n: int = 0
    clicks: int = 0
    """Items of them that something was done with, the first thing each."""
    purchases: int = 0
    valued: float = 0.0
    """``n`` times the share of clicks and purchases that are valued."""
    squares: float = 0.0
    """Of what the clicks valued count, in the order by all players."""
    limited: float = 0.0
    """Clicks valued, each by the share of coalitions in which it counts the most that it may."""

    def plus(self, other: "Seen") -> "Seen":
        """Of both."""
        return Seen._make(a + b for a, b in zip(self, other, strict=True))


def shown(groups: Groups) -> Bool:
    """(G,) where it is the news that a slate was seen, once each."""
    return np.asarray((groups.seen > 0) & (groups.target < 0))


def clicked(groups: Groups) -> Bool:
    """(G,) where something is done with an item of a slate that was seen, for the first time."""
    return np.asarray(_taken(groups) & (groups.learned > 0))


def bought(groups: Groups) -> Bool:
    """(G,) where an item of a slate that was seen is bought, for the first time."""
    return np.asarray(_taken(groups) & (groups.kind == Kind.PURCHASE))


def _taken(groups: Groups) -> Bool:
    return np.asarray((groups.seen > 0) & (groups.target >= 0) & (groups.weight > 0.0))
