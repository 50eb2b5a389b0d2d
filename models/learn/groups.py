"""What scorers learn from: lists of candidates as they were served, and what came of one of them."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.contract import F32, I32, U8

I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]

SCALE: Final = np.float32(1.0 / 8_192.0)
"""Features lie within -4 and 4 and are kept as sixteen bits: exact to 0.0001, at half the memory."""


class Groups(NamedTuple):
    """G lists of up to K candidates with F features; the served slate's items come first, in its order."""

    x: I16
    """(G, K, F) features over ``SCALE``."""
    n: I32
    """(G,) candidates of the list that take part."""
    target: I32
    """(G,) the candidate that was wanted, or dismissed; -1 when the list was shown and nothing is known yet."""
    weight: F32
    """(G,) what it counts; below 0 for a dismissal."""
    learned: U8
    """(G,) 1 when the list was learned before as not wanted, so that the target is now to be corrected."""
    sampled: U8
    """(G,) 1 for the users that the slow learners learn from."""
    seen: U8
    """(G,) 1 when the user is known to have seen the list, and may want nothing of it."""
    chances: F32
    """(G, K) that the place of a candidate is looked at, against the first one's; all 1 for what was no choice from a
    slate.
    """
    kind: U8
    """(G,) codes of ``Kind``: what was done."""

    def features(self, g: int, rows: I32 | slice) -> F32:
        """(m, F) of some candidates of one list."""
        return self.x[g, rows].astype(np.float32) * SCALE

    def of(self, which: Bool | slice | NDArray[np.integer]) -> "Groups":
        """Some of the lists."""
        return Groups._make(column[which] for column in self)


def no_groups(k: int, f: int) -> Groups:
    """None of them."""
    return Groups(
        np.empty((0, k, f), np.int16),
        np.empty(0, np.int32),
        np.empty(0, np.int32),
        np.empty(0, np.float32),
        np.empty(0, np.uint8),
        np.empty(0, np.uint8),
        np.empty(0, np.uint8),
        np.empty((0, k), np.float32),
        np.empty(0, np.uint8),
    )
