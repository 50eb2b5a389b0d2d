"""The usual value of one measure, learned from its windows: robust level and scale, with the rhythm of the day.

The level moves towards each window by a share that falls to 1/memory (so an ordinary mean at first); a window pulls by
three scales at most. The scale follows the absolute residuals. Once every hour of the day was met on two days, the
hours' mean residuals are taken off before. Windows that fail are not learned, but where they go on for long.
"""

from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SIGMA_OF_MEAN_DEVIATION: Final = 1.2533
MAX_PULL: Final = 3.0
MIN_DAYS: Final = 2
HOUR_MEMORY_DAYS: Final = 7


class Baseline:
    """Of one measure. Bounded: 24 hours and a few numbers."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._n = 0
        self._level = self._deviation = self._slow = 0.0
        self._hours = [0.0] * 24
        self._n_days = [0] * 24
        self._last_day = [-1] * 24
        self._today = [(0.0, 0)] * 24
        self._seasonal = False

    @property
    def n(self) -> int:
        """Windows learned."""
        return self._n

    def usual(self, time_ms: int) -> float:
        """The value expected of a window around ``time_ms``."""
        return self._level + self._season(time_ms)

    def scale(self, error: float) -> float:
        """Standard deviation around it: what was seen, or chance alone, whichever is more."""
        return max(self._deviation * SIGMA_OF_MEAN_DEVIATION, error)

    def learn(self, value: float, time_ms: int, error: float) -> None:
        """Fold in one window that does not fail."""
        self._learn_hour(value, time_ms)
        residual = value - self._season(time_ms)
        self._n += 1
        if self._n == 1:
            self._level = residual
            return
        share = 1 / min(self._n, self._memory)
        reach = MAX_PULL * self.scale(error)
        pulled = min(max(residual - self._level, -reach), reach) if self._n > 3 else residual - self._level
        self._deviation += share * (abs(pulled) - self._deviation)
        self._level += share * pulled

    def _learn_hour(self, value: float, time_ms: int) -> None:
        """What was seen of an hour counts once its day is over there."""
        hour, day = time_ms // HOUR_MS % 24, time_ms // DAY_MS
        if day != self._last_day[hour]:
            total, n = self._today[hour]
            if n:
                self._n_days[hour] += 1
                share = 1 / min(self._n_days[hour], HOUR_MEMORY_DAYS)
                self._hours[hour] += share * (total / n - self._hours[hour])
            self._last_day[hour], self._today[hour] = day, (0.0, 0)
        total, n = self._today[hour]
        self._today[hour] = total + value, n + 1
        if not self._seasonal and min(self._n_days) >= MIN_DAYS:
            self._seasonal = True
            self._level -= self._season(time_ms)

    def _season(self, time_ms: int) -> float:
        """Offset of this time of day, linear between the middles of the hours."""
        if not self._seasonal:
            return 0.0
        at = (time_ms % DAY_MS) / HOUR_MS - 0.5
        hour = int(at // 1)
        part = at - hour
        here, there = self._hours[hour % 24], self._hours[(hour + 1) % 24]
        return here + part * (there - here) - sum(self._hours) / 24
