"""Bytes of one record to a value of one type, whatever envelope and vocabulary they came in.

This is the exact way, for all that the short way in ``events`` does not settle. It judges shape only.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args

import msgspec

from models.ingest import faults, mapping
from models.ingest.envelope import Envelope, open_envelope
from models.ingest.record import Record
from models.ingest.settings import Format
from schemas.rejections import Reason, Rejection

T = TypeVar("T")

_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_RAW_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Reading(NamedTuple, Generic[T]):
    """A value of the right shape. ``body`` is what it was decoded from, None when it was translated."""

    value: T
    body: bytes | None
    unknown: list[str]


class Reader(Generic[T]):
    """Reads the records of one topic into values of one type."""

    def __init__(self, topic: str, value_type: Any, format_: Format, max_value_bytes: int) -> None:
        self._topic = topic
        self._type = value_type
        self._format = format_
        self._max_value_bytes = max_value_bytes
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(value_type)
        self.decode = self._decoder.decode
        shapes = get_args(value_type) or (value_type,)
        self._fields = frozenset(shapes[0].__struct_fields__)

    def read(self, record: Record) -> Reading[T] | Rejection:
        """The value of ``record``, or why there is none."""
        envelope = open_envelope(record.value, record.headers, self._max_value_bytes)
        if isinstance(envelope, Rejection):
            return envelope
        format_ = envelope.format if self._format is Format.AUTO else self._format
        if format_ in mapping.VOCABULARIES:
            return self._translated(envelope, format_)
        try:
            return Reading(self.decode(envelope.body), envelope.body, [])
        except faults.DECODING_ERRORS as error:
            return self._second_look(envelope, format_, error)

    def _second_look(self, envelope: Envelope, format_: Format, error: Exception) -> Reading[T] | Rejection:
        try:
            fields = _RAW_OBJECT.decode(envelope.body)
        except faults.DECODING_ERRORS:
            return faults.of_json(error, envelope.body)
        detected = mapping.detect(fields) if format_ is Format.AUTO else format_
        if detected in mapping.VOCABULARIES:
            return self._translated(envelope, detected)
        body = self._filled(fields, envelope)
        try:
            return Reading(self.decode(body), body, [])
        except faults.DECODING_ERRORS as final:
            return faults.of_json(final, body)

    def _translated(self, envelope: Envelope, format_: Format) -> Reading[T] | Rejection:
        try:
            fields = _OBJECT.decode(envelope.body)
        except faults.DECODING_ERRORS as error:
            return faults.of_json(error, envelope.body)
        mapped = mapping.translate(fields, envelope, format_, self._topic)
        if isinstance(mapped, Rejection):
            return mapped
        try:
            return Reading(msgspec.convert(mapped.fields, self._type), None, mapped.unknown)
        except msgspec.ValidationError as error:
            return faults.of_validation(str(error), mapped.fields)
        except faults.DECODING_ERRORS as error:
            return faults.rejection(Reason.OUT_OF_RANGE, str(error))

    def _filled(self, fields: dict[str, msgspec.Raw], envelope: Envelope) -> bytes:
        """The body, with what the envelope says of id and time where the body itself is silent."""
        said = {"event_id": envelope.event_id, "time_ms": envelope.time_ms}
        missing = {
            name: msgspec.Raw(msgspec.json.encode(value))
            for name, value in said.items()
            if value is not None and name in self._fields and name not in fields
        }
        return msgspec.json.encode(fields | missing) if missing else envelope.body
