"""Why a record was refused. A refusal is a value, never an exception; the record goes to the dead letters."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Reason(StrEnum):
    """Each names one remedy; the words are labels of the metric ``rillet_rejected_total``."""

    UNREADABLE_BATCH = "unreadable_batch"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    UNKNOWN_COMPRESSION = "unknown_compression"
    BROKEN_COMPRESSION = "broken_compression"
    BROKEN_UTF8 = "broken_utf8"
    BROKEN_JSON = "broken_json"
    TOO_DEEP = "too_deep"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_VERSION = "unknown_version"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    BAD_ID = "bad_id"
    KEY_MISMATCH = "key_mismatch"
    FROM_THE_FUTURE = "from_the_future"
    TOO_LATE = "too_late"


REMEDIES: Final[dict[Reason, str]] = {
    Reason.UNREADABLE_BATCH: "Compress with gzip, lz4, snappy or zstd; a wrong checksum means damage.",
    Reason.EMPTY: "Send an event: a null value removes nothing from an events topic.",
    Reason.TOO_LARGE: "Keep values under 1 MiB, before and after compression.",
    Reason.UNKNOWN_COMPRESSION: "Compress with `content-encoding: gzip`, or let the Kafka producer compress.",
    Reason.BROKEN_COMPRESSION: "Send one complete gzip stream.",
    Reason.BROKEN_UTF8: "Encode text as UTF-8, without halves of surrogate pairs.",
    Reason.BROKEN_JSON: "Send one JSON object.",
    Reason.TOO_DEEP: "Nest at most 256 arrays and objects.",
    Reason.UNKNOWN_KIND: "Use a kind or event name that the topic takes.",
    Reason.UNKNOWN_VERSION: "Upgrade Rillet before its producers, then replay.",
    Reason.MISSING_FIELD: "Send the field.",
    Reason.WRONG_TYPE: "Send the field in its type.",
    Reason.OUT_OF_RANGE: "Send a possible value; check units, times are milliseconds.",
    Reason.BAD_ID: "Send ids of visible text, 1 to 256 bytes of UTF-8.",
    Reason.KEY_MISMATCH: "Key the record by its `user_id` in UTF-8, an entry of the catalogue by its id.",
    Reason.FROM_THE_FUTURE: "Set the producer's clock; a replay must keep timestamps.",
    Reason.TOO_LATE: "Send sooner, or raise `allowed_lateness_ms`; a replay must keep timestamps.",
}
"""What the producer can do about each, for people."""


class Rejection(Struct, frozen=True):
    """``detail`` tells the place and the offending value, shortened, for a person to read."""

    reason: Reason
    detail: str


UNREADABLE_HEADER: Final = "rillet-unreadable"
"""Header of a stand-in record whose Kafka batch could not be unpacked; its value says why."""
