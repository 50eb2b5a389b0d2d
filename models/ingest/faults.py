"""From what the decoder says to a rejection: one reason, the place, the offending value shortened.

Only failures come here, so it is written for clear answers, not for speed.
"""

import re
from typing import Final

import msgspec

from schemas.events import SCHEMA_VERSION
from schemas.rejections import Reason, Rejection

MAX_DETAIL: Final = 300
MAX_QUOTED: Final = 80

DECODING_ERRORS: Final = (ValueError, RecursionError, OverflowError)
"""All that msgspec raises on any input; its own errors and ``UnicodeDecodeError`` are ``ValueError``."""

ID_FIELDS: Final = frozenset(
    {
        "event_id",
        "user_id",
        "session_id",
        "item_id",
        "store_id",
        "slate_id",
        "order_id",
        "promotion_id",
        "item_ids",
        "results",
    }
)

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_BOUND = re.compile(r"out of range|Expected `\w+` (?:of length|[<>]=?|that's)")
_PLACE = re.compile(r" - at `(\$.*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_BYTE = re.compile(r"\(byte (\d+)\)")
_NO_NUMBER = re.compile(rb"-?(?:NaN|Infinity|inf)", re.IGNORECASE)
_HALF_PAIR = re.compile(
    rb"\\u[dD][89aAbB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89aAbB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


class _Version(msgspec.Struct):
    schema_version: int = SCHEMA_VERSION


_VERSION = msgspec.json.Decoder(_Version)


def rejection(reason: Reason, detail: str) -> Rejection:
    """A rejection whose detail is bounded and encodes to UTF-8, whatever went into it."""
    return Rejection(reason, detail[:MAX_DETAIL].encode("utf-8", "backslashreplace").decode())


def quoted(value: object) -> str:
    """``value`` as a person would look for it, shortened."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    text = ascii(value[:MAX_QUOTED]) if isinstance(value, str | bytes) else ascii(value)
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "…"


def of_json(error: Exception, body: bytes) -> Rejection:
    """What ``error``, raised while decoding ``body``, means."""
    if isinstance(error, RecursionError):
        return rejection(Reason.TOO_DEEP, "nested too deep to decode")
    if isinstance(error, msgspec.ValidationError):
        return _of_version(body) or of_validation(str(error), _document(body))
    return _of_syntax(str(error), body)


def of_validation(message: str, document: object) -> Rejection:
    """What a ``msgspec.ValidationError`` with this message about ``document`` means."""
    place = found.group(1) if (found := _PLACE.search(message)) else "$"
    if missing := _MISSING.search(message):
        return rejection(Reason.MISSING_FIELD, f"{place}.{missing.group(1)} is missing")
    what = message.removesuffix(f" - at `{place}`")
    return rejection(_reason(what, place), f"{place} is {quoted(_at(document, place))}: {what}")


def _reason(what: str, place: str) -> Reason:
    if place == "$.kind" and what.startswith("Invalid value"):
        return Reason.UNKNOWN_KIND
    if not _BOUND.search(what):
        return Reason.WRONG_TYPE
    names = [name for name, _ in _STEP.findall(place) if name]
    is_id = what.startswith("Expected `str`") and names and names[-1] in ID_FIELDS
    return Reason.BAD_ID if is_id else Reason.OUT_OF_RANGE


def _of_version(body: bytes) -> Rejection | None:
    try:
        version = _VERSION.decode(body).schema_version
    except DECODING_ERRORS:
        return None
    return None if version == SCHEMA_VERSION else of_version(version)


def of_version(version: int) -> Rejection:
    """A version of the schema that this release does not know."""
    return rejection(
        Reason.UNKNOWN_VERSION,
        f"$.schema_version is {quoted(version)}, known is {SCHEMA_VERSION}: upgrade rillet first",
    )


def _of_syntax(message: str, body: bytes) -> Rejection:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return rejection(Reason.BROKEN_UTF8, f"byte {error.start} of {len(body)}: {error.reason}")
    if half := _HALF_PAIR.search(body):
        return rejection(
            Reason.BROKEN_UTF8, f"byte {half.start()}: {quoted(half.group())} is half of a surrogate pair"
        )
    at = int(found.group(1)) if (found := _BYTE.search(message)) else len(body)
    if number := _NO_NUMBER.match(body, at) or _NO_NUMBER.match(body, max(0, at - 1)):
        return rejection(Reason.OUT_OF_RANGE, f"byte {at}: {number.group().decode()} is no JSON number")
    return rejection(Reason.BROKEN_JSON, f"{message}; it starts with {quoted(body)}")


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except DECODING_ERRORS:
        return None


def _at(document: object, place: str) -> object:
    for name, index in _STEP.findall(place):
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and index and int(index) < len(document):
            document = document[int(index)]
        else:
            return None
    return document
