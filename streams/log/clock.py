"""Times as logs write them, to milliseconds since 1970."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

FIRST_MS: Final = 1_577_836_800_000
"""2020-01-01 UTC: where logs without a clock begin, one event a second."""

Clock = Callable[[str], int]


def clock(form: str) -> Clock:
    """Reads times of one form: ``s``, ``ms``, ``us``, ``iso``, ``number`` or a pattern of strptime."""
    return _CLOCKS.get(form) or _patterned(form)


def _scaled(factor: float) -> Clock:
    return lambda text: round(float(text) * factor)


def _microseconds(text: str) -> int:
    """Too many digits for a float."""
    return int(text) // 1_000 if text.lstrip("-").isdecimal() else round(float(text) / 1_000)


def _number(text: str) -> int:
    return FIRST_MS + round(float(text) * 1_000)


@lru_cache(4_096)
def _iso(text: str) -> int:
    """``2019-10-01 00:00:01``, with or without `` UTC`` or an offset."""
    return _to_ms(datetime.fromisoformat(text.removesuffix(" UTC")))


def _patterned(pattern: str) -> Clock:
    return lru_cache(4_096)(lambda text: _to_ms(datetime.strptime(text, pattern)))


def _to_ms(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000)


_CLOCKS: Final[dict[str, Clock]] = {
    "s": _scaled(1_000.0),
    "ms": _scaled(1.0),
    "us": _microseconds,
    "iso": _iso,
    "number": _number,
}
