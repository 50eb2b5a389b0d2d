"""Which fields of accepted events the schema does not know, counted exactly.

Whether a batch has any is settled by decoding all of it at once into twins of the types that refuse unknown
fields; only a batch that has some is looked at event by event.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct, defstruct

from models.ingest.faults import DECODING_ERRORS
from schemas.events import Line, Purchase

MAX_NAMES: Final = 64
MAX_NAME_LENGTH: Final = 64
MAX_NAMES_IN_BATCH: Final = 4_096
REST: Final = "*"
LINES: Final = "lines[]."

_LINE: Final[type[Struct]] = defstruct("_Line", [], bases=(Line,), forbid_unknown_fields=True)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Census:
    """Counts the unknown fields of values of one topic: ``value_type`` is what they decode to."""

    def __init__(self, value_type: Any) -> None:
        shapes = get_args(value_type) or (value_type,)
        self._known = {shape: _names(shape) for shape in shapes}
        self._strict = msgspec.json.Decoder(reduce(or_, [_twin(shape) for shape in shapes]))

    def count(self, bodies: Sequence[bytes], events: Sequence[object]) -> Counter[str]:
        """How often each unknown field occurs in ``bodies``, which have decoded to ``events``."""
        try:
            self._strict.decode_lines(b"\n".join(bodies))
        except DECODING_ERRORS:
            return tally(
                name for body, event in zip(bodies, events, strict=True) for name in self._of(body, event)
            )
        return Counter()

    def _of(self, body: bytes, event: object) -> Iterator[str]:
        fields = _decoded(_FIELDS, body)
        known = self._known[type(event)]
        yield from (name for name in fields if name not in known)
        if isinstance(event, Purchase):
            for line in _decoded(_LINES, fields["lines"]):
                yield from (LINES + name for name in line if name not in _LINE_NAMES)


def tally(names: Iterable[str]) -> Counter[str]:
    """Counts of names made printable and short. Names beyond the first 4,096 of a batch go to the rest."""
    counts: Counter[str] = Counter()
    for name in names:
        shown = name if name.isprintable() and len(name) <= MAX_NAME_LENGTH else _shown(name)
        counts[shown if shown in counts or len(counts) < MAX_NAMES_IN_BATCH else REST] += 1
    return counts


def bounded(counts: Counter[str]) -> dict[str, int]:
    """At most 64 names: the most frequent, ties by name, and the sum of the others under ``*``."""
    if len(counts) <= MAX_NAMES:
        return dict(counts)
    rest = counts.pop(REST, 0)
    first = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    kept = dict(first[: MAX_NAMES - 1])
    return kept | {REST: rest + sum(count for _, count in first[MAX_NAMES - 1 :])}


def _shown(name: str) -> str:
    return ascii(name[:MAX_NAME_LENGTH])[1:-1]


def _decoded(decoder: Any, body: Any) -> Any:
    """Decodes what has been decoded before, except that a name which is dropped may be broken UTF-8."""
    try:
        return decoder.decode(body)
    except UnicodeDecodeError:
        return decoder.decode(bytes(body).decode("utf-8", "replace"))


def _names(shape: Any) -> frozenset[str]:
    tag = shape.__struct_config__.tag_field
    return frozenset(shape.__struct_encode_fields__) | ({tag} if tag else set())


def _twin(shape: type[Struct]) -> Any:
    lines: Any = list[_LINE]  # type: ignore[valid-type]
    nested = [("lines", lines)] if issubclass(shape, Purchase) else []
    return defstruct(f"_{shape.__name__}", nested, bases=(shape,), forbid_unknown_fields=True, kw_only=True)


_LINE_NAMES: Final = _names(Line)
