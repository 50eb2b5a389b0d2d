"""How much one may ask for: a token bucket for each caller. The clock is the caller's."""

from collections import OrderedDict
from math import ceil
from typing import Final

MAX_CALLERS: Final = 10_000
"""Callers remembered; the one that was silent longest is forgotten first, and begins with a full bucket."""


class Buckets:
    """``rate_per_s`` requests a second for each caller, and ``burst`` at once."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate, self._burst = rate_per_s, float(burst)
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now_s: float) -> int:
        """0 when the request may pass, else after how many seconds to come again."""
        level, then_s = self._levels.pop(caller, (self._burst, now_s))
        level = min(self._burst, level + max(now_s - then_s, 0.0) * self._rate)
        passes = level >= 1.0
        self._levels[caller] = (level - passes, now_s)
        if len(self._levels) > MAX_CALLERS:
            self._levels.popitem(last=False)
        return 0 if passes else max(1, ceil((1.0 - level) / self._rate))
