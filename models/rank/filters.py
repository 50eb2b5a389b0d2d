"""Which of the seen items a slate must leave out. Availability is checked where the candidates are merged."""

import numpy as np

from models.interest.seen import BOUGHT, DISMISSED, VIEWED, Seen
from models.rank.settings import RankSettings
from models.retrieve.contract import I32, U8


def refused(seen: Seen, rebuyable: U8, settings: RankSettings) -> I32:
    """(N, M) items that must not be recommended, -1 where padded or allowed.

    Dismissed items always are refused, viewed and bought ones as set, and of the bought ones only those that
    ``rebuyable`` (capacity,) holds at 0.
    """
    items, reasons = seen.items, seen.reasons
    keep = reasons == DISMISSED
    if settings.filter_viewed:
        keep |= reasons == VIEWED
    if settings.filter_bought:
        keep |= (reasons == BOUGHT) & (rebuyable[items] == 0)
    return np.where(keep, items, np.int32(-1))
