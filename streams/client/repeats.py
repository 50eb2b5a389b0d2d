"""Which records came before: the newest ids, so many of them."""

from typing import Final

WINDOW: Final = 100_000
"""Ids remembered: about 10 MB."""


class Repeats:
    """Bounded by ``window`` ids; the oldest is forgotten first."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._seen: dict[object, None] = {}

    def is_repeat(self, id_: object) -> bool:
        """Whether this id came before; from now on it did. None never repeats."""
        if id_ is None:
            return False
        if id_ in self._seen:
            return True
        self._seen[id_] = None
        if len(self._seen) > self._window:
            del self._seen[next(iter(self._seen))]
        return False
