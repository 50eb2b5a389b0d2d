"""What must not be recommended again, as the filter of the ranking reads it."""

from typing import Final, NamedTuple

from models.retrieve.contract import I32, U8

VIEWED: Final = 1
BOUGHT: Final = 2
DISMISSED: Final = 3


class Seen(NamedTuple):
    """(N, M) item indexes, -1 where padded, and why each is there; one item may have several reasons."""

    items: I32
    reasons: U8
    """``VIEWED`` in the session, ``BOUGHT`` or ``DISMISSED``; any value where padded."""
