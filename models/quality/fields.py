"""Which fields the typed events have, read from the definitions themselves; nothing here is kept by hand.

A field of a part is named by its path, ``lines.price`` for the price of a purchase's lines.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple, get_args

from msgspec import Struct
from msgspec.inspect import ListType, StructType, type_info
from msgspec.structs import astuple

from models.quality.sketch import KEYS, LABELS, NUMBERS
from schemas.events import AnyEvent


class Shape(NamedTuple):
    """What one struct has to offer: its optional fields and the structs inside it."""

    name: str
    paths: tuple[str, ...]
    """Of every field, in the struct's order."""
    optional: tuple[tuple[int, str, object], ...]
    """Place, path, and the value that says nothing: None, or the empty list where that is the default."""
    sketched: tuple[tuple[int, str], ...]
    """Place and path of each field whose values are sketched."""
    parts: tuple[tuple[int, "Shape"], ...]
    """Place of a list of structs, and their shape."""


@cache
def shape_of(kind: type[Struct], prefix: str = "") -> Shape:
    """The shape of ``kind``, its paths starting with ``prefix``."""
    info = type_info(kind)
    assert isinstance(info, StructType), f"{kind} is no struct"
    optional: list[tuple[int, str, object]] = []
    parts: list[tuple[int, Shape]] = []
    for place, field in enumerate(info.fields):
        path = prefix + field.name
        if field.default is None:
            optional.append((place, path, None))
        elif field.default_factory is list:
            optional.append((place, path, []))
        if isinstance(field.type, ListType) and isinstance(field.type.item_type, StructType):
            parts.append((place, shape_of(field.type.item_type.cls, f"{path}.")))
    paths = tuple(prefix + field.name for field in info.fields)
    sketched = tuple(
        (place, path)
        for place, path in enumerate(paths)
        if path.rpartition(".")[2] in NUMBERS | LABELS | KEYS
    )
    return Shape(kind.__name__, paths, tuple(optional), sketched, tuple(parts))


def _with_parts(shape: Shape) -> Iterator[Shape]:
    yield shape
    for _, part in shape.parts:
        yield from _with_parts(part)


SHAPES: Final[dict[str, Shape]] = {
    shape.name: shape for kind in get_args(AnyEvent) for shape in _with_parts(shape_of(kind))
}
"""Every kind of event and of part, by name."""

PATHS: Final[frozenset[str]] = frozenset(path for shape in SHAPES.values() for path in shape.paths)
"""Every path that a report can name."""


class Filled(NamedTuple):
    """How many structs of one shape, how often each optional field said nothing (zeros left out), and some values."""

    shape: str
    n: int
    absent: dict[str, int]
    columns: dict[str, tuple[Any, ...]]
    """Values of each field that is sketched, by its path."""


def count_filled(structs: Sequence[Struct]) -> Iterator[Filled]:
    """One answer for each kind among ``structs``, and one for each kind of part inside them."""
    kinds = dict.fromkeys(map(type, structs))
    for kind in kinds:
        group = structs if len(kinds) == 1 else [s for s in structs if type(s) is kind]
        yield from _count_one_kind(shape_of(kind), group)


def _count_one_kind(shape: Shape, structs: Sequence[Struct]) -> Iterator[Filled]:
    columns = list(zip(*map(astuple, structs), strict=True))
    counts = ((path, columns[place].count(blank)) for place, path, blank in shape.optional)
    sketched = {path: columns[place] for place, path in shape.sketched}
    yield Filled(shape.name, len(structs), {path: n for path, n in counts if n}, sketched)
    for place, part in shape.parts:
        inner = tuple(chain.from_iterable(columns[place]))
        if inner:
            yield from _count_one_kind(part, inner)


_PLACE: Final = re.compile(r"\$\.([\w.\[\]]+)")
_INDEX: Final = re.compile(r"\[\d*\]")


def blamed(detail: str) -> str | None:
    """The path of the field that a rejection's detail starts with, None when that is none of ours.

    >>> blamed("$.lines[2].price is -1: Expected `float` >= 0.0")
    'lines.price'
    """
    place = _PLACE.match(detail)
    path = _INDEX.sub("", place[1]) if place else None
    return path if path in PATHS else None
