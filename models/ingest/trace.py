"""W3C trace context, from the record of an event to the slate that it causes. Nothing is measured or sent here.

A trace context says to which distributed trace a record belongs (W3C Recommendation Trace Context, 2021). It comes as
headers, or as the extension of CloudEvents ("Distributed Tracing", 1.0) in either mode; a header of the record's own
goes before the extension, being of the latest hop. What is no valid context is passed over, as the standard says.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from xxhash import xxh3_64_hexdigest

from models.ingest.faults import DECODING_ERRORS
from models.ingest.record import Record
from schemas import headers
from schemas.headers import Headers

MAX_STATE_BYTES: Final = 512
"""Of ``tracestate``; a longer one is left out, as the standard allows."""

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KNOWN_FLAGS: Final = 0b11
"""Sampled, and trace id random."""


Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


class Trace(NamedTuple):
    """Where in which trace a record is."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: int
    state: str
    """What vendors add, "" where they do not."""


class _Extension(msgspec.Struct):
    """The extension in a CloudEvent of structured mode."""

    traceparent: str = ""
    tracestate: str = ""


_EXTENSION: Final = msgspec.json.Decoder(_Extension)


def of_slates(batches: Iterable[Sequence[Record]], places: Sequence[Place]) -> list[Headers]:
    """Headers of each slate, by the place of the record that causes it.

    Empty where that record carries no trace. A repeat of the slate has the same ones.
    """
    found = {(r.topic, r.partition, r.offset): r for records in batches for r in records if r.headers}
    if not found:
        return [[] for _ in places]
    return [_of_slate(found.get(place), place) for place in places]


def carried(record: Record) -> Trace | None:
    """The context that a record carries."""
    said = dict(record.headers)
    if headers.TRACEPARENT in said:
        return _trace(said[headers.TRACEPARENT], _states(record.headers))
    if headers.CE_TRACEPARENT in said:
        return _trace(said[headers.CE_TRACEPARENT], said.get(headers.CE_TRACESTATE) or b"")
    if (said.get(headers.CONTENT_TYPE) or b"").startswith(headers.CLOUDEVENTS_JSON.encode()):
        return _structured(record.value or b"")
    return None


def child(parent: Trace, name: str) -> Trace:
    """The context of what ``parent`` causes: another span of the same trace, always the same one of this name."""
    return parent._replace(span_id=xxh3_64_hexdigest(f"{parent.trace_id}-{parent.span_id}-{name}".encode()))


def _of_slate(record: Record | None, place: Place) -> Headers:
    parent = carried(record) if record else None
    if parent is None:
        return []
    trace = child(parent, "-".join(map(str, place)))
    return headers.trace(f"00-{trace.trace_id}-{trace.span_id}-{trace.flags:02x}", trace.state)


def _trace(parent: bytes | None, state: bytes) -> Trace | None:
    found = _PARENT.fullmatch(parent or b"")
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    kept = state.decode() if len(state) <= MAX_STATE_BYTES and state.isascii() else ""
    return Trace(trace_id.decode(), span_id.decode(), int(flags, 16) & _KNOWN_FLAGS, kept)


def _states(found: Sequence[tuple[str, bytes]]) -> bytes:
    return b",".join(value for name, value in found if name == headers.TRACESTATE and value)


def _structured(body: bytes) -> Trace | None:
    """Of a value that is not compressed."""
    try:
        extension = _EXTENSION.decode(body)
    except DECODING_ERRORS:
        return None
    return _trace(extension.traceparent.encode(), extension.tracestate.encode())
