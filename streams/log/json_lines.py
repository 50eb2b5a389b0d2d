"""JSON lines: one object a line. Columns are paths to what is in it, as ``streams.log.paths`` has them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from streams.log.mapping import FilePart
from streams.log.objects import object_of
from streams.log.paths import EACH, Paths, is_path
from streams.log.source import Source
from streams.log.table import CutOff, Row, Table, Unreadable
from streams.log.text import Text

SAMPLE: Final = 1_000
"""Objects whose members are the columns."""
MAX_DEPTH: Final = 5


def read_json_lines(
    source: Source, file: FilePart, needed: Sequence[str] = (), rare: Sequence[str] = ()
) -> Table:
    """The table in a file of JSON lines; ``needed`` columns alone are read, all that are seen without any.

    Those that are ``rare`` count as there even where no object of the sample has them.
    """
    text = Text(source, file.encoding)
    objects = _objects(text, file.format or "jsonl")
    sample = list(islice(objects, SAMPLE))
    inside = [each for _, each in sample if isinstance(each, dict)]
    seen = dict.fromkeys(name for each in inside for name in members(each) if is_path(name))
    found = _found(inside, [name for name in needed if name not in seen and name not in rare], file)
    columns = [name for name in needed if name in seen or name in rare or name in found] or list(seen)
    lacking = [name for name in seen if name not in columns]
    paths = Paths(columns, file.empty, lenient=not needed)
    rows = _rows(chain(sample, objects), paths, text, len(lacking))
    return Table((*columns, *lacking), rows)


def members(value: Mapping[str, Any], prefix: str = "", depth: int = 1) -> Iterator[str]:
    """Paths to everything in an object that is no object; of a list of objects, to what is in the first."""
    for name, each in value.items():
        if depth == MAX_DEPTH:
            yield prefix + name
        elif isinstance(each, dict):
            yield from members(each, f"{prefix}{name}.", depth + 1)
        elif isinstance(each, list) and each and isinstance(each[0], dict):
            yield from members(each[0], f"{prefix}{name}{EACH}.", depth + 1)
        else:
            yield prefix + name


def _found(objects: Sequence[dict[str, Any]], expressions: Sequence[str], file: FilePart) -> set[str]:
    """Expressions that lead to a value in any of the objects."""
    found: set[str] = set()
    for expression in expressions:
        paths = Paths([expression], file.empty)
        if any(_has_value(paths, each) for each in objects):
            found.add(expression)
    return found


def _has_value(paths: Paths, value: dict[str, Any]) -> bool:
    try:
        return any(text for (text,) in paths.rows(value))
    except ValueError:
        return True


def _objects(text: Text, form: str) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    for line, each in enumerate(text, 1):
        if each.isspace():
            continue
        try:
            yield line, object_of(each, form)
        except ValueError as error:
            yield line, Unreadable(line, each, str(error))


def _rows(
    objects: Iterator[tuple[int, dict[str, Any] | Unreadable]],
    paths: Paths,
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
            yield from _of_object(line, value, paths, lacking)
    if held:
        yield held if text.whole else CutOff(held.line)


def _of_object(
    line: int, value: dict[str, Any], paths: Paths, lacking: list[str]
) -> Iterator[Row | Unreadable]:
    try:
        rows = list(paths.rows(value))
    except ValueError as error:
        yield Unreadable(line, str(value)[:500], str(error))
        return
    for place, values in enumerate(rows):
        yield Row(line, values + lacking, place)
