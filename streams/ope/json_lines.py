"""Values of topics as JSON lines: bare, or as ``rillet watch --json`` prints them, with the value inside."""

from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from streams.log.source import OnBytes, lines, opened
from streams.log.table import Unreadable
from streams.log.tally import Tally

MAX_UNREADABLE: Final = 0.01
"""Share of the lines."""

T = TypeVar("T")


class _Wrapped(msgspec.Struct, Generic[T]):
    """A record of a topic; a tombstone has no value."""

    value: T | None


def values(path: str, value_type: type[T], on_bytes: OnBytes | None = None) -> Iterator[T]:
    """Every line's value; blank lines and tombstones are passed over.

    Raises:
        InputError: the file cannot be read, or too many lines are of another shape.
    """
    bare = msgspec.json.Decoder(value_type)
    wrapped: msgspec.json.Decoder[_Wrapped[T]] = msgspec.json.Decoder(_Wrapped[value_type])  # type: ignore[valid-type]
    tally = Tally(path, MAX_UNREADABLE)
    with opened(path, on_bytes) as source:
        for n, line in enumerate(lines(source), 1):
            if line.isspace():
                continue
            tally.n_rows += 1
            try:
                value = _decoded(line, bare, wrapped)
            except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
                tally.unreadable(Unreadable(n, line.decode(errors="replace"), str(error)))
                continue
            if value is not None:
                yield value
    tally.end()


def _decoded(line: bytes, bare: Any, wrapped: Any) -> Any:
    """What is wrong with the bare value is told, unless the line is a record."""
    try:
        return bare.decode(line)
    except msgspec.ValidationError as error:
        try:
            return wrapped.decode(line).value
        except msgspec.ValidationError:
            raise error from None
