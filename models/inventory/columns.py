"""The schema of a topic, inferred from the values of a sample: a column for each path, bounded in number and depth.

Objects are gone through member by member, lists element by element. An object that is used as a map, with ever
new names, is one column ``path.*``. A column's share of nulls is of the objects that could have it, so that a field of
an object that is itself rare is judged by that object.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_hexdigest

from models.inventory.formats import TIME_FORMATS, format_of
from models.inventory.personal import personal
from schemas.inventory import Column, ColumnType

MAX_DEPTH: Final = 6
MAX_COLUMNS: Final = 200
MAX_NAMES: Final = 64
"""Members of one object, over all the sample, above which it is a map unless they come again and again."""
MAX_ELEMENTS: Final = 50
"""Elements looked at of one list."""
LEAST_FOR_KEY: Final = 20
"""Records that a column needs to be called unique."""
MAX_DISTINCT_CHARACTERS: Final = 256
"""Longer texts count as distinct by their hash."""

TIME_NAMES: Final = (
    "time_ms", "event_time", "timestamp", "event_timestamp", "ts", "time", "occurred_at", "created_at", "datetime",
)  # fmt: skip
"""In order of preference."""

_TYPES: Final[dict[type, ColumnType]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}
_decode: Final = msgspec.json.Decoder().decode

Values = dict[str, list[Any]]


def objects(values: Iterable[bytes | None]) -> list[dict[str, Any]]:
    """The values that are JSON objects."""
    return [found for each in values if each and (found := json_object(each)) is not None]


def json_object(value: bytes) -> dict[str, Any] | None:
    """The object that the bytes are, None for anything else. Nothing makes it raise."""
    try:
        found = _decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def columns(sample: Sequence[dict[str, Any]], n_records: int) -> list[Column]:
    """What the objects have in common: the most frequent paths, those of the outermost objects first.

    ``n_records`` is how many there are where the sample is from; estimates of distinct values stay below it.
    """
    values, n_parents = _gathered(sample)
    kept = set(sorted(values, key=lambda path: -len(values[path]))[:MAX_COLUMNS])
    found = [path for path in values if path in kept]
    return [
        _column(path, values[path], n_parents[parent(path)], len(sample), max(n_records, len(sample)))
        for path in found
    ]


def fingerprint(found: Iterable[Column]) -> str:
    """Paths and types, in one short text: it changes when the schema does."""
    text = "\n".join(sorted(f"{each.path} {each.type}" for each in found))
    return str(xxh3_64_hexdigest(text.encode()))


def time_column(found: Sequence[Column]) -> str | None:
    """The path of the event time: the best name of those that are times and nearly always there."""
    times = [each for each in found if each.format in TIME_FORMATS and each.null_share <= 0.05]
    return min(times, key=_time_rank).path if times else None


def key_column(found: Sequence[Column], sample: Sequence[tuple[bytes | None, dict[str, Any]]]) -> str | None:
    """The path whose value is the key of nearly every record; None where there is no such field."""
    keyed = [(key.decode(errors="replace"), value) for key, value in sample if key]
    if not keyed or 2 * len(keyed) < len(sample):
        return None
    for each in found:
        if "[]" in each.path or each.type not in ("string", "integer"):
            continue
        names = each.path.split(".")
        if sum(str(_member(value, names)) == key for key, value in keyed) >= 0.95 * len(keyed):
            return each.path
    return None


def member(value: Any, path: str) -> Any:
    """What stands at a path without lists, None for nothing."""
    return _member(value, path.split("."))


def _member(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _time_rank(column: Column) -> tuple[int, float, int, str]:
    name = column.path.rpartition(".")[2].lower()
    place = TIME_NAMES.index(name) if name in TIME_NAMES else len(TIME_NAMES)
    return place, column.null_share, column.path.count(".") + column.path.count("[]"), column.path


def parent(path: str) -> str:
    """Of ``a.b`` it is ``a``, of ``a[].b`` it is ``a[]``, of ``a[]`` the list ``a``."""
    return path[:-2] if path.endswith("[]") else path.rpartition(".")[0]


def _gathered(sample: Sequence[dict[str, Any]]) -> tuple[Values, Counter[str]]:
    """Values that are not null by path, and how many objects or lists there were at each path."""
    values: Values = {}
    n_parents: Counter[str] = Counter()
    level = {"": list(sample)}
    for _ in range(MAX_DEPTH):
        below: dict[str, list[Any]] = {}
        for path, each in level.items():
            n_parents[path] += len(each)
            for child, inside in _children(path, each):
                values[child] = inside
                if nested := [one for one in inside if type(one) is dict]:
                    below[child] = nested
                if elements := [one for many in inside if type(many) is list for one in many[:MAX_ELEMENTS]]:
                    inner = f"{child}[]"
                    n_parents[child] += len(elements)
                    values[inner] = [one for one in elements if one is not None]
                    if nested := [one for one in elements if type(one) is dict]:
                        below[inner] = below.get(inner, []) + nested
        level = below
        if len(values) > 4 * MAX_COLUMNS:
            break
    return values, n_parents


def _children(path: str, level: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """The values of each member of some objects; those of a map together."""
    found: Values = {}
    for each in level:
        for name, value in each.items():
            if value is not None:
                found.setdefault(name, []).append(value)
            else:
                found.setdefault(name, [])
    prefix = f"{path}." if path else ""
    if path and len(found) > MAX_NAMES and sum(map(len, found.values())) < 0.5 * len(found) * len(level):
        yield f"{prefix}*", [value for inside in found.values() for value in inside]
        return
    for name, inside in found.items():
        yield prefix + name, inside


def _column(path: str, values: list[Any], n_parents: int, n_sample: int, n_records: int) -> Column:
    kind = _type(values)
    scalar = kind not in ("object", "array", "null")
    tag = personal(path, values) if scalar else None
    counts = Counter(map(_countable, values)) if scalar else Counter[Hashable]()
    per_record = "[]" not in path and not path.endswith("*")
    return Column(
        path=path,
        type=kind,
        format=format_of(values) if kind in ("string", "integer", "number") else None,
        null_share=round(1 - min(1.0, len(values) / n_parents), 6) if n_parents else 1.0,
        n_distinct=_chao1(counts, len(values), max(len(values), n_records * len(values) // n_sample)),
        unique=per_record
        and kind in ("string", "integer")
        and len(counts) == len(values) == n_sample >= LEAST_FOR_KEY,
        personal=tag.kind if tag else None,
        personal_share=round(tag.share, 6) if tag and tag.share is not None else None,
    )


def _type(values: Sequence[Any]) -> ColumnType:
    kinds = set(map(type, values))
    if not kinds:
        return "null"
    if kinds == {int, float}:
        return "number"
    return _TYPES[kinds.pop()] if len(kinds) == 1 else "mixed"


def _countable(value: Any) -> Hashable:
    if isinstance(value, str):
        return value if len(value) <= MAX_DISTINCT_CHARACTERS else hash(value)
    return value if isinstance(value, int | float) else repr(value)


def _chao1(counts: Counter[Hashable], n_values: int, n_all: int) -> int:
    """Distinct values of all, from how many of a sample came once and how many twice (Chao, 1984, bias-corrected).

    >>> _chao1(Counter("aabbcc"), 6, 10_000), _chao1(Counter("abc"), 3, 10_000)
    (3, 10000)
    """
    n_once = sum(n == 1 for n in counts.values())
    n_twice = sum(n == 2 for n in counts.values())
    if n_once == n_values:
        return n_all if n_values else 0
    return min(n_all, round(len(counts) + n_once * (n_once - 1) / (2 * (n_twice + 1))))
