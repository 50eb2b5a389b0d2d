"""A mapping that keeps what was set last."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Latest(OrderedDict[K, V]):
    """Of ``max_keys`` keys.

    >>> latest = Latest(2)
    >>> for key in "abac":
    ...     latest[key] = key.upper()
    >>> list(latest)
    ['a', 'c']
    """

    def __init__(self, max_keys: int = 0) -> None:
        self._max_keys = max_keys

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._max_keys:
            self.popitem(last=False)
