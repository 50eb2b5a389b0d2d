"""What is around an event: compression, size, depth, CloudEvents attributes. The event itself stays bytes.

Headers are read leniently, since a producer's tracing must never cost an event.
"""

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.ingest import faults
from models.ingest.settings import Format
from schemas import headers
from schemas.rejections import UNREADABLE_HEADER, Reason, Rejection

MAX_DEPTH: Final = 256
"""Nesting allowed, also in fields that the schema does not know. Far below what the decoder can do, so that
the answer does not depend on how deep the caller's own stack is."""

SHALLOW_BYTES: Final = 2 * MAX_DEPTH
"""Values this short cannot nest deeper than ``MAX_DEPTH``: each level takes two bytes."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_READ: Final = {
    headers.CONTENT_TYPE: headers.CONTENT_TYPE,
    "Content-Type": headers.CONTENT_TYPE,
    headers.CONTENT_ENCODING: headers.CONTENT_ENCODING,
    "Content-Encoding": headers.CONTENT_ENCODING,
    headers.CE_ID: headers.CE_ID,
    headers.CE_TYPE: headers.CE_TYPE,
    headers.CE_TIME: headers.CE_TIME,
    headers.CE_SPECVERSION: headers.CE_SPECVERSION,
    UNREADABLE_HEADER: UNREADABLE_HEADER,
}
"""Headers that are read, in the spellings in use."""
_GZIP_WINDOW: Final = 31
_NOT_BRACKETS = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+"?|[^\[\]{}"]++)++', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1

_FORMAT_OF_TYPE: Final = {
    Format.GA4: ("ga4.", "com.google.analytics."),
    Format.SEGMENT: ("segment.", "com.segment."),
}
_FOREIGN_TYPES: Final = tuple(start.encode() for starts in _FORMAT_OF_TYPE.values() for start in starts)
_DECISIVE: Final = _READ.keys() - {headers.CE_ID, headers.CE_TIME}
_USUAL: Final = frozenset({(headers.CONTENT_TYPE, headers.JSON.encode()), (headers.CE_SPECVERSION, b"1.0")})
_FORMAT_OF_CONTENT: Final = {headers.GA4_JSON: Format.GA4, headers.SEGMENT_JSON: Format.SEGMENT}


class Envelope(NamedTuple):
    """The bytes of the event and what its surroundings say of it."""

    body: bytes
    event_id: str | None = None
    time_ms: int | None = None
    format: Format = Format.AUTO


class _Structured(msgspec.Struct):
    """A CloudEvent in structured mode. ``data_base64`` is not read: events are JSON."""

    specversion: str
    id: str
    type: str
    data: msgspec.Raw
    time: str | None = None


_STRUCTURED = msgspec.json.Decoder(_Structured)


def has_news(record_headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether any of the headers can change how a value is read that is a whole event by itself."""
    return any(
        name in _DECISIVE and (name, value) not in _USUAL and not _is_own_type(name, value)
        for name, value in record_headers
    )


def open_envelope(
    value: bytes | None, record_headers: Sequence[tuple[str, bytes]], max_bytes: int
) -> Envelope | Rejection:
    """The event of one record, inflated and taken out of its envelope, or why that cannot be done."""
    said = _said(record_headers)
    if UNREADABLE_HEADER in said:
        return faults.rejection(Reason.UNREADABLE_BATCH, said[UNREADABLE_HEADER])
    body = _inflated(value, said.get(headers.CONTENT_ENCODING, ""), max_bytes)
    if isinstance(body, Rejection):
        return body
    if depth_exceeds(body, MAX_DEPTH):
        return faults.rejection(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    if said.get(headers.CONTENT_TYPE, "").startswith(headers.CLOUDEVENTS_JSON):
        return _structured(body)
    version = said.get(headers.CE_SPECVERSION, headers.SPECVERSION)
    if version != headers.SPECVERSION:
        return _of_specversion(version)
    return Envelope(
        body,
        event_id=said.get(headers.CE_ID),
        time_ms=time_ms_of(said.get(headers.CE_TIME)),
        format=_format(said),
    )


def time_ms_of(text: str | None) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time, None when it is not one (one without offset is not)."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment - EPOCH) // timedelta(milliseconds=1) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Whether arrays and objects nest deeper than ``limit``; brackets inside strings do not count."""
    if len(body) <= 2 * limit or body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = np.frombuffer(_NOT_BRACKETS.sub(b"", body), np.uint8)
    depths = np.cumsum(_STEPS[brackets], dtype=np.int32)  # (n brackets,)
    return bool(depths.max(initial=0) > limit)


def _is_own_type(name: str, value: bytes | None) -> bool:
    return name == headers.CE_TYPE and not (value and value.startswith(_FOREIGN_TYPES))


def _said(record_headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, value in record_headers:
        if value and name in _READ:
            said[_READ[name]] = value.decode("utf-8", "replace")
    return said


def _inflated(value: bytes | None, encoding: str, max_bytes: int) -> bytes | Rejection:
    if not value:
        return faults.rejection(
            Reason.EMPTY, "the value is null" if value is None else "the value has no bytes"
        )
    if len(value) > max_bytes:
        return _too_large(f"{len(value)} bytes", max_bytes)
    if encoding in ("", "identity"):
        return value
    if encoding != "gzip":
        return faults.rejection(
            Reason.UNKNOWN_COMPRESSION,
            f"content-encoding is {faults.quoted(encoding)}, known are gzip, identity",
        )
    return _gunzipped(value, max_bytes)


def _gunzipped(value: bytes, max_bytes: int) -> bytes | Rejection:
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        body = stream.decompress(value, max_bytes + 1)
    except zlib.error as error:
        return faults.rejection(Reason.BROKEN_COMPRESSION, f"gzip: {error}")
    if len(body) > max_bytes:
        return _too_large(f"inflated from {len(value)} to more than {max_bytes} bytes", max_bytes)
    if not stream.eof or stream.unused_data:
        what = "bytes follow the end" if stream.eof else "the end is missing"
        return faults.rejection(Reason.BROKEN_COMPRESSION, f"gzip: {what}")
    return body or faults.rejection(Reason.EMPTY, "the value inflates to no bytes")


def _too_large(what: str, max_bytes: int) -> Rejection:
    return faults.rejection(Reason.TOO_LARGE, f"{what}, allowed are {max_bytes}")


def _structured(body: bytes) -> Envelope | Rejection:
    try:
        event = _STRUCTURED.decode(body)
    except faults.DECODING_ERRORS as error:
        return faults.of_json(error, body)
    if event.specversion != headers.SPECVERSION:
        return _of_specversion(event.specversion)
    return Envelope(
        bytes(event.data),
        event_id=event.id,
        time_ms=time_ms_of(event.time),
        format=_format({headers.CE_TYPE: event.type}),
    )


def _of_specversion(version: str) -> Rejection:
    return faults.rejection(
        Reason.UNKNOWN_VERSION, f"CloudEvents {faults.quoted(version)}, known is {headers.SPECVERSION}"
    )


def _format(said: dict[str, str]) -> Format:
    content_type = said.get(headers.CONTENT_TYPE, "").partition(";")[0]
    if content_type in _FORMAT_OF_CONTENT:
        return _FORMAT_OF_CONTENT[content_type]
    event_type = said.get(headers.CE_TYPE, "")
    return next(
        (each for each, starts in _FORMAT_OF_TYPE.items() if event_type.startswith(starts)), Format.AUTO
    )
