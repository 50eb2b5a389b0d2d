"""Why a record was refused. A refusal is a value, never an exception; the record goes to the dead letters."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Reason(StrEnum):
    """Each names one remedy; the words are labels of the metric ``rillet_rejected_total``."""

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


class Rejection(Struct, frozen=True):
    """``detail`` tells the place and the offending value, shortened, for a person to read."""

    reason: Reason
    detail: str


UNREADABLE_HEADER: Final = "rillet-unreadable"
"""Header of a stand-in record whose Kafka batch could not be unpacked; its value says why."""
