"""Facts: what one micro-batch adds to the shared knowledge, in a form that crosses processes.

A worker learns from its own facts at once and publishes them; the others learn from the topic. Places and offsets ride
along, so that a fact read twice is learned once. Item-level knowledge only: user ids travel as 64-bit hashes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FACTS_VERSION = 2

MAX_RECORD_BYTES = 2_000_000
"""Larger values travel as several: a broker's limit must never stop a worker over a batch of large orders."""


class Place(NamedTuple):
    """A source partition, and the last offset covered there, even where it brought no interaction."""

    topic: str
    partition: int
    last_offset: int


class Interaction(NamedTuple):
    """One positive interaction with one item, as interest folding saw it."""

    place: int
    """Which of the places it came from."""
    offset: int
    user: int
    session: int
    item_id: str
    kind: int
    time_ms: int
    query: str | None
    segment: str | None
    category: str | None
    brand: str | None
    price: float | None


class ItemHint(Struct, frozen=True, array_like=True):
    """Attributes that an event brought with it, used while the catalogue is silent."""

    item_id: str
    category: str | None
    brand: str | None
    price: float | None


class Facts(Struct, frozen=True, array_like=True):
    """Columns as little-endian bytes; the lists are the distinct values that they index.

    An item is there once for each different thing that events said of it, so that every row keeps its own.
    """

    version: int
    places: list[Place]
    items: list[ItemHint]
    queries: list[str]
    segments: list[str]
    place: bytes
    offset: bytes
    user: bytes
    session: bytes
    item: bytes
    kind: bytes
    time_ms: bytes
    query: bytes
    segment: bytes

    def column(self, name: str) -> NDArray[Any]:
        """One column as an array (n,)."""
        return np.frombuffer(getattr(self, name), COLUMNS[name])


COLUMNS: dict[str, np.dtype[Any]] = {
    "place": np.dtype("<i4"),
    "offset": np.dtype("<i8"),
    "user": np.dtype("<u8"),
    "session": np.dtype("<u8"),
    "item": np.dtype("<i4"),
    "kind": np.dtype("u1"),
    "time_ms": np.dtype("<i8"),
    "query": np.dtype("<i4"),
    "segment": np.dtype("<i4"),
}


class UnknownFactsVersionError(ValueError):
    """The facts come from a newer Rillet: upgrade this worker, or let the newer ones run alone."""


def gather(places: Sequence[Place], rows: Sequence[Interaction]) -> Facts:
    """Turn rows into columns; what is distinct keeps the order in which it first appears."""
    hints: dict[ItemHint, int] = {}
    queries: dict[str, int] = {}
    segments: dict[str, int] = {}
    item, query, segment = [], [], []
    for row in rows:
        item.append(hints.setdefault(ItemHint(row.item_id, row.category, row.brand, row.price), len(hints)))
        query.append(-1 if row.query is None else queries.setdefault(row.query, len(queries)))
        segment.append(-1 if row.segment is None else segments.setdefault(row.segment, len(segments)))
    columns = {
        "place": [row.place for row in rows],
        "offset": [row.offset for row in rows],
        "user": [row.user for row in rows],
        "session": [row.session for row in rows],
        "item": item,
        "kind": [row.kind for row in rows],
        "time_ms": [row.time_ms for row in rows],
        "query": query,
        "segment": segment,
    }
    packed = {name: np.array(column, COLUMNS[name]).tobytes() for name, column in columns.items()}
    return Facts(FACTS_VERSION, list(places), list(hints), list(queries), list(segments), **packed)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)


def record(facts: Facts) -> tuple[bytes, bytes]:
    """Key and value of the record that carries ``facts``; the key alone tells whether they are new to a reader."""
    places = (f"{topic} {partition} {last_offset}" for topic, partition, last_offset in facts.places)
    return ",".join(places).encode(), _encoder.encode(facts)


def records(facts: Facts, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of ``facts``, halved until a value fits; all that came of one event stays together."""
    key, value = record(facts)
    place, offset = facts.column("place"), facts.column("offset")
    middle = len(offset) // 2
    cuts = 1 + np.flatnonzero((offset[1:] != offset[:-1]) | (place[1:] != place[:-1]))
    if len(value) <= max_bytes or not len(cuts):
        yield key, value
        return
    cut = int(cuts[np.argmin(np.abs(cuts - middle))])
    yield from records(_part(facts, slice(0, cut), ends=False), max_bytes)
    yield from records(_part(facts, slice(cut, None), ends=True), max_bytes)


def places(key: bytes) -> list[Place]:
    """What the facts under ``key`` cover."""
    parts = (place.split(" ") for place in key.decode().split(","))
    return [Place(topic, int(partition), int(last_offset)) for topic, partition, last_offset in parts]


def _part(facts: Facts, rows: slice, *, ends: bool) -> Facts:
    """Some of the rows, with the strings that they name; the part that ``ends`` covers what the whole does."""
    columns = {name: facts.column(name)[rows] for name in COLUMNS}
    kept: dict[str, list[Any]] = {}
    for name, strings in (("item", facts.items), ("query", facts.queries), ("segment", facts.segments)):
        used = np.unique(columns[name])
        used = used[used >= 0]
        kept[name] = [strings[code] for code in used]
        codes = np.searchsorted(used, columns[name])
        columns[name] = np.where(columns[name] < 0, -1, codes).astype(COLUMNS[name])
    covered = facts.places
    if not ends:
        reached = dict(zip(columns["place"].tolist(), columns["offset"].tolist(), strict=True))
        covered = [place._replace(last_offset=reached.get(i, -1)) for i, place in enumerate(covered)]
    return msgspec.structs.replace(
        facts,
        places=covered,
        items=kept["item"],
        queries=kept["query"],
        segments=kept["segment"],
        **{name: column.tobytes() for name, column in columns.items()},
    )


def decode(value: bytes) -> Facts:
    """Facts from msgpack; a value written by a newer Rillet is refused by name."""
    try:
        facts = _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise UnknownFactsVersionError(f"facts of another layout: {error}") from error
    if facts.version != FACTS_VERSION:
        raise UnknownFactsVersionError(f"facts of version {facts.version}, this worker reads {FACTS_VERSION}")
    return facts
