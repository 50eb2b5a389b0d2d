"""Rows of text with named columns: what every format is read into, before a mapping gives it a meaning."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.errors import InputError


class Row(NamedTuple):
    """Values by the place of their column; ``line`` is where the row ends in the file, from 1.

    ``place`` counts the rows of one record from 0: a nested one may have several.
    """

    line: int
    values: Sequence[str]
    place: int = 0


class Unreadable(NamedTuple):
    """A row that makes no sense, quoted."""

    line: int
    text: str
    why: str


class CutOff(NamedTuple):
    """The unfinished last row of a file that was cut off."""

    line: int


class Table(NamedTuple):
    """Columns as they were seen, and the rows, once."""

    columns: tuple[str, ...]
    rows: Iterator[Row | Unreadable | CutOff]


def places(table: Table, needed: list[str], path: str) -> dict[str, int]:
    """Where each needed column stands.

    Raises:
        InputError: the table lacks one; names those that it has.
    """
    missing = [name for name in needed if name not in table.columns]
    if missing:
        seen = ", ".join(table.columns)
        raise InputError(
            f"{path} has no column {missing[0]!r}; it has {seen[:500] or 'none'}.",
            fix="Choose another mapping with --mapping, or let `rillet mapping guess` propose one.",
        )
    return {name: table.columns.index(name) for name in needed}
