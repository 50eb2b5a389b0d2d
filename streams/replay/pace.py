"""When an event is due: as fast as possible, or as the log's clock goes, one or many times as fast."""

import re
from typing import Final

from streams.errors import InputError

_TIMES: Final = re.compile(r"(\d+(?:\.\d+)?)x")


def speed_of(text: str) -> float | None:
    """``max`` is None, ``realtime`` 1, ``60x`` 60.

    Raises:
        InputError: it is none of these.
    """
    if text == "max":
        return None
    found = _TIMES.fullmatch("1x" if text == "realtime" else text)
    if found is None or float(found[1]) <= 0:
        raise InputError(f"There is no speed {text!r}.", fix="Say max, realtime, or for example 60x.")
    return float(found[1])


class Pace:
    """Tells how long to wait for an event; the first one is due at once."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    def wait_s(self, time_ms: int, now_s: float) -> float:
        """Seconds until an event of ``time_ms`` is due; 0 or less when it is."""
        if self._speed is None:
            return 0.0
        if self._first is None:
            self._first = time_ms, now_s
        first_ms, began_s = self._first
        return began_s + (time_ms - first_ms) / 1_000 / self._speed - now_s


def shift_ms(first_ms: int, last_ms: int, speed: float | None, now_ms: int) -> int:
    """What is added to all times so that the last event happens at the moment when it is sent, and none later.

    In real time, this is true of every event.
    """
    takes_ms = (last_ms - first_ms) / speed if speed else 0
    return round(now_ms + takes_ms) - last_ms
