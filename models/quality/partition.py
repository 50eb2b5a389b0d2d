"""What is kept of one source partition: the offset stamp, the watermark and the open windows.

Filled by ``observe``, emptied by ``close``; the caller stores the value and sends the reports.
"""

from dataclasses import dataclass, field
from typing import Final

from models.quality.profile import Profile
from models.quality.settings import QualitySettings

NEVER: Final = -(2**62)
"""Earlier than any time, in milliseconds."""


@dataclass(slots=True)
class PartitionProfiles:
    """One topic and partition. After ``close`` at most ``settings.max_open_windows`` windows are open.

    When ``settings.window_s`` changes, windows that are open already keep their width.
    """

    topic: str
    partition: int
    settings: QualitySettings
    stamp: int = -1
    """The last offset counted."""
    watermark_ms: int = NEVER
    """The latest time seen: of events, and of rejected records as estimated."""
    freshest_ms: int = NEVER
    """The latest event time seen."""
    lag_ms: int = 0
    """How much younger than that event its record was, at least 0."""
    closed_ms: int = NEVER
    """Windows that start earlier were reported and take nothing any more."""
    windows: dict[int, Profile] = field(default_factory=dict)
    """By their start, milliseconds."""

    def window(self, start_ms: int) -> Profile:
        """The profile of the window that starts at ``start_ms``, opened when it is not there yet."""
        profile = self.windows.get(start_ms)
        if profile is None:
            profile = self.windows[start_ms] = Profile(
                source=self.topic,
                partitions=[self.partition],
                start_ms=start_ms,
                width_ms=self.settings.window_ms,
            )
        return profile


def watermark(profiles: PartitionProfiles, now_ms: int) -> int:
    """What to ``close`` with: the partition's own, or the clock less the usual lag once it has gone quiet."""
    quiet_ms = round(profiles.settings.quiet_s * 1000)
    return max(profiles.watermark_ms, now_ms - quiet_ms - profiles.lag_ms)


def close(profiles: PartitionProfiles, watermark_ms: int) -> list[Profile]:
    """Take out the windows whose end plus the allowed lateness the watermark has reached, oldest first."""
    settings = profiles.settings
    reached_ms = max(watermark_ms, profiles.watermark_ms) - settings.allowed_lateness_ms
    first_open = reached_ms // settings.window_ms * settings.window_ms
    closing = sorted(start for start in profiles.windows if start < first_open)
    closed = [profiles.windows.pop(start) for start in closing]
    if closed:
        profiles.closed_ms = max(profiles.closed_ms, closed[-1].end_ms)
    return closed
