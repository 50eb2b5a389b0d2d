"""Structs of one kind by their columns: what a step changes, and which rows it changed."""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import attrgetter, ne
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

MAX_REMEMBERED: Final = 65_536
"""Values whose answer a memo keeps; beyond, it starts over."""


class Memo(dict[Any, Any]):
    """``change`` of a value, worked out once. None stays None."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__({None: None})
        self._change = change

    def __missing__(self, value: Any) -> Any:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
            self[None] = None
        changed = self[value] = self._change(value)
        return changed


class Columns:
    """``structs`` (n,) of one kind; row i is event ``rows[i]`` of the batch, of event time ``times_ms[i]``."""

    def __init__(
        self, source: str, structs: Sequence[Struct], rows: Sequence[int], times_ms: Sequence[int]
    ) -> None:
        self.source, self.rows, self.times_ms = source, rows, times_ms
        self._structs = structs
        self.fields = frozenset(type(structs[0]).__struct_fields__)
        self._now: dict[str, list[Any]] = {}
        self._changed: dict[int, set[str]] = {}

    def __getitem__(self, field: str) -> list[Any]:
        """(n,) the values as they are now."""
        if field not in self._now:
            self._now[field] = list(map(attrgetter(field), self._structs))
        return self._now[field]

    def put(self, field: str, values: list[Any]) -> list[int]:
        """Replace a column; the events of which it is another now."""
        before = self[field]
        if values == before:
            return []
        found = list(compress(range(len(values)), map(ne, before, values)))
        self._now[field] = values
        for i in found:
            self._changed.setdefault(i, set()).add(field)
        return [self.rows[i] for i in found]

    def structs(self) -> Iterable[tuple[int, Struct]]:
        """Positions and new structs of those that changed."""
        for i, fields in sorted(self._changed.items()):
            yield i, replace(self._structs[i], **{field: self._now[field][i] for field in sorted(fields)})
