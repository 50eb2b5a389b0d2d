"""Which items people buy again: such items may come back into a slate after a purchase.

Counts purchases and repeat purchases by item. Whether a purchase repeats one is told by a bounded table of hashed
(user, item) pairs: direct mapped, the newer pair takes the slot, so forgetting errs on the side of "not again".
"""

import numpy as np

from models.retrieve.contract import F64, I32, U8, U64

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Rebuying:
    """Columns by item index, and ``2 ** slots_bits`` pairs of 8 bytes."""

    def __init__(
        self, n_items: int, slots_bits: int = 18, min_purchases: int = 5, min_share: float = 0.1
    ) -> None:
        self._pairs = np.zeros(1 << slots_bits, np.uint64)
        self._shift = np.uint64(64 - slots_bits)
        self._bought = np.zeros(n_items, np.int64)
        self._again = np.zeros(n_items, np.int64)
        self._identity = np.arange(1, n_items + 1, dtype=np.uint64)
        self._min_purchases = min_purchases
        self._min_share = min_share
        self.rebuyable: U8 = np.zeros(n_items, np.uint8)
        """1 for an item of at least ``min_purchases`` purchases of which ``min_share`` repeat an earlier one."""

        self.share: F64 = np.zeros(n_items)
        """Share of an item's purchases that repeat one, as if it had ``min_purchases`` more that do not."""

    def update(self, user: U64, item: I32) -> None:
        """Count purchases (n,) in arrival order."""
        pairs = user ^ self._identity[item] * _MIX
        for pair, slot, i in zip(pairs, (pairs * _MIX) >> self._shift, item, strict=True):
            self._again[i] += self._pairs[slot] == pair
            self._pairs[slot] = pair
            self._bought[i] += 1
        enough = self._bought[item] >= self._min_purchases
        self.share[item] = self._again[item] / (self._bought[item] + self._min_purchases)
        self.rebuyable[item] = enough & (self._again[item] >= self._min_share * self._bought[item])

    def forget(self, items: I32) -> None:
        """Drop the counts of these items, and let no pair of theirs match whoever gets their index next."""
        for column in (self._bought, self._again, self.rebuyable, self.share):
            column[items] = 0
        self._identity[items] += np.uint64(len(self._identity))
