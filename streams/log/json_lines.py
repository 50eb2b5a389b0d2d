"""JSON lines: one object a line; members of objects inside are columns named ``outer.inner``."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import msgspec

from streams.log.mapping import FilePart
from streams.log.source import Source
from streams.log.table import CutOff, Row, Table, Unreadable
from streams.log.text import Text

SAMPLE: Final = 1_000
"""Objects whose members are the columns."""
MAX_DEPTH: Final = 5

_decode: Final = msgspec.json.Decoder().decode


def read_json_lines(
    source: Source, file: FilePart, needed: Sequence[str] = (), rare: Sequence[str] = ()
) -> Table:
    """The table in a file of JSON lines; ``needed`` columns alone are read, all that are seen without any.

    Those that are ``rare`` count as there even where no object of the sample has them.
    """
    text = Text(source, file.encoding)
    objects = _objects(text)
    sample = list(islice(objects, SAMPLE))
    seen = dict.fromkeys(name for _, each in sample if isinstance(each, dict) for name in members(each))
    columns = [name for name in needed if name in seen or name in rare] or list(seen)
    paths = [name.split(".") for name in columns]
    lacking = [name for name in seen if name not in columns]
    rows = _rows(chain(sample, objects), paths, text, len(lacking))
    return Table((*columns, *lacking), rows)


def members(value: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[str]:
    """Dotted names of everything in an object that is no object."""
    for name, each in value.items():
        if isinstance(each, dict) and depth < MAX_DEPTH:
            yield from members(each, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name


def _objects(text: Text) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    for line, each in enumerate(text, 1):
        if each.isspace():
            continue
        try:
            value = _decode(each)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            yield line, Unreadable(line, each, str(error))
            continue
        yield line, value if isinstance(value, dict) else Unreadable(line, each, "not an object")


def _rows(
    objects: Iterator[tuple[int, dict[str, Any] | Unreadable]],
    paths: list[list[str]],
    text: Text,
    n_lacking: int,
) -> Iterator[Row | Unreadable | CutOff]:
    held: Unreadable | None = None
    lacking = [""] * n_lacking
    for line, value in objects:
        if held:
            yield held
        held = value if isinstance(value, Unreadable) else None
        if not isinstance(value, Unreadable):
            yield Row(line, [as_text(_member(value, path)) for path in paths] + lacking)
    if held:
        yield held if text.whole else CutOff(held.line)


def _member(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def as_text(value: Any) -> str:
    """As it would stand in a CSV file."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
