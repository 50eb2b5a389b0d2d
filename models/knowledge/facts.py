"""Facts: what one micro-batch adds to the shared knowledge, in a form that crosses processes.

A worker learns from its own facts at once and publishes them; the others learn from the topic. Offsets ride along, so
that a fact read twice is learned once. Item-level knowledge only: user ids travel as 64-bit hashes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FACTS_VERSION = 1

MAX_RECORD_BYTES = 2_000_000
"""Larger values travel as several: a broker's limit must never stop a worker over a batch of large orders."""


class Interaction(NamedTuple):
    """One positive interaction with one item, as interest folding saw it."""

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
    """Columns as little-endian bytes; ``items``, ``queries`` and ``segments`` are the distinct values they index.

    An item is there once for each different thing that events said of it, so that every row keeps its own.
    """

    version: int
    topic: str
    partition: int
    last_offset: int
    """Last source offset that these facts cover, even where it brought no interaction."""
    items: list[ItemHint]
    queries: list[str]
    segments: list[str]
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


def gather(topic: str, partition: int, last_offset: int, rows: Sequence[Interaction]) -> Facts:
    """Turn rows into columns; what is distinct keeps the order in which it first appears."""
    hints: dict[ItemHint, int] = {}
    queries: dict[str, int] = {}
    segments: dict[str, int] = {}
    item = np.empty(len(rows), COLUMNS["item"])
    query = np.empty(len(rows), COLUMNS["query"])
    segment = np.empty(len(rows), COLUMNS["segment"])
    for i, row in enumerate(rows):
        item[i] = hints.setdefault(ItemHint(row.item_id, row.category, row.brand, row.price), len(hints))
        query[i] = -1 if row.query is None else queries.setdefault(row.query, len(queries))
        segment[i] = -1 if row.segment is None else segments.setdefault(row.segment, len(segments))
    return Facts(
        FACTS_VERSION,
        topic,
        partition,
        last_offset,
        list(hints),
        list(queries),
        list(segments),
        np.array([r.offset for r in rows], COLUMNS["offset"]).tobytes(),
        np.array([r.user for r in rows], COLUMNS["user"]).tobytes(),
        np.array([r.session for r in rows], COLUMNS["session"]).tobytes(),
        item.tobytes(),
        np.array([r.kind for r in rows], COLUMNS["kind"]).tobytes(),
        np.array([r.time_ms for r in rows], COLUMNS["time_ms"]).tobytes(),
        query.tobytes(),
        segment.tobytes(),
    )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)


def record(facts: Facts) -> tuple[bytes, bytes]:
    """Key and value of the record that carries ``facts``; the key alone tells whether they are new to a reader."""
    return f"{facts.topic} {facts.partition} {facts.last_offset}".encode(), _encoder.encode(facts)


def records(facts: Facts, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of ``facts``, halved until a value fits; all that came of one event stays together."""
    key, value = record(facts)
    offset = facts.column("offset")
    middle = len(offset) // 2
    cuts = 1 + np.flatnonzero(offset[1:] != offset[:-1])
    if len(value) <= max_bytes or not len(cuts):
        yield key, value
        return
    cut = int(cuts[np.argmin(np.abs(cuts - middle))])
    yield from records(_part(facts, slice(0, cut), int(offset[cut - 1])), max_bytes)
    yield from records(_part(facts, slice(cut, None), facts.last_offset), max_bytes)


def place(key: bytes) -> tuple[str, int, int]:
    """Source topic, partition and last offset of the facts under ``key``."""
    topic, partition, last_offset = key.decode().split(" ")
    return topic, int(partition), int(last_offset)


def _part(facts: Facts, rows: slice, last_offset: int) -> Facts:
    """Some of the rows, with the strings that they name."""
    columns = {name: facts.column(name)[rows] for name in COLUMNS}
    kept: dict[str, list[Any]] = {}
    for name, strings in (("item", facts.items), ("query", facts.queries), ("segment", facts.segments)):
        used = np.unique(columns[name])
        used = used[used >= 0]
        kept[name] = [strings[code] for code in used]
        codes = np.searchsorted(used, columns[name])
        columns[name] = np.where(columns[name] < 0, -1, codes).astype(COLUMNS[name])
    return msgspec.structs.replace(
        facts,
        last_offset=last_offset,
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
