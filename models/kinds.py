"""Kinds of interaction as small integers, and what each is worth as evidence of interest."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """One code a kind; codes are stored, so they never change."""

    VIEW = 1
    CLICK = 2
    CART = 3
    WISHLIST = 4
    PURCHASE = 5
    DISMISS = 6
    RATING = 7
    DWELL = 8
    IMPRESSION = 9
    SEARCH = 10


WEIGHTS: Final[dict[Kind, float]] = {
    Kind.VIEW: 1.0,
    Kind.CLICK: 1.0,
    Kind.CART: 3.0,
    Kind.WISHLIST: 2.0,
    Kind.PURCHASE: 5.0,
    Kind.DISMISS: 0.0,
    Kind.RATING: 2.0,
    Kind.DWELL: 0.5,
    Kind.IMPRESSION: 0.0,
    Kind.SEARCH: 0.5,
}
"""Default weight of one interaction; purchase well above view. Kinds of weight 0 are no evidence of interest."""

WEIGHT_OF_CODE: Final[NDArray[np.float32]] = np.zeros(16, np.float32)
for _kind, _weight in WEIGHTS.items():
    WEIGHT_OF_CODE[_kind] = _weight
