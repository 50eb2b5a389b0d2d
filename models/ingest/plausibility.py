"""Checks that an event of the right shape must still pass: version, ids, key, time. No clock is read."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_args

from msgspec import Struct

from models.ingest import faults
from models.ingest.faults import ID_FIELDS
from schemas.catalog import Item, Promotion
from schemas.events import (
    MAX_ID_BYTES,
    SCHEMA_VERSION,
    AnyEvent,
    Browse,
    Feedback,
    Line,
    Purchase,
    Search,
)
from schemas.rejections import Reason, Rejection

EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01: an event before it tells of a wrong unit or an unset clock, not of a shopper."""
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01."""
END_OF_TIME_MS: Final = 253_402_300_799_999
"""The end of the year 9999, which shops use for promotions without end."""


class Limits(NamedTuple):
    """How far an event's time may be from its record's own timestamp, in milliseconds."""

    allowed_lateness_ms: int
    future_tolerance_ms: int


def judge(event: AnyEvent, key: bytes | None, timestamp_ms: int, limits: Limits) -> Rejection | None:
    """Why the event is refused, None when it is accepted. A timestamp below 0 means none."""
    return (
        of_version(event.schema_version)
        or of_ids(event)
        or of_key(key, "user_id", event.user_id)
        or of_range("time_ms", event.time_ms, EARLIEST_MS, LATEST_MS)
        or _of_lag(event.time_ms, timestamp_ms, limits)
    )


def judge_entry(
    entry: Item | Promotion, key: bytes | None, timestamp_ms: int, tolerance_ms: int
) -> Rejection | None:
    """The same for an entry of the catalogue, which is never too late: it holds until replaced."""
    name, entry_id = (
        ("item_id", entry.item_id) if isinstance(entry, Item) else ("promotion_id", entry.promotion_id)
    )
    return (
        of_version(entry.schema_version)
        or of_ids(entry)
        or of_key(key, name, entry_id)
        or of_range("time_ms", entry.time_ms, EARLIEST_MS, LATEST_MS)
        or _of_future(entry.time_ms, timestamp_ms, tolerance_ms)
        or _of_dates(entry)
    )


def of_version(version: int) -> Rejection | None:
    """Refuses versions of the schema that are not known."""
    return None if version == SCHEMA_VERSION else faults.of_version(version)


def of_ids(event: AnyEvent | Item | Promotion) -> Rejection | None:
    """Refuses ids that are blank or longer than 256 bytes. The first test settles nearly all at once."""
    single, lists = _IDS[type(event)]
    found = [each for each in single(event) if each is not None]
    for ids in lists:
        found += ids(event)
    if (text := "".join(found)).isascii() and text.isprintable() and " " not in text:
        return None
    return next((fault for each in found if (fault := of_id(each))), None)


def of_id(text: str) -> Rejection | None:
    """Refuses one id. The decoder has already seen to it that it is not empty."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_ID_BYTES:
        return faults.rejection(
            Reason.BAD_ID, f"id {faults.quoted(text)} takes {size} bytes, allowed are {MAX_ID_BYTES}"
        )
    if not any(each.isprintable() and not each.isspace() for each in text):
        return faults.rejection(Reason.BAD_ID, f"id {faults.quoted(text)} has nothing visible in it")
    return None


def of_key(key: bytes | None, name: str, value: str) -> Rejection | None:
    """Refuses a record that is keyed by something else: it may be in the wrong partition."""
    if key == value.encode():
        return None
    return faults.rejection(
        Reason.KEY_MISMATCH,
        f"key is {faults.quoted(key)}, {name} is {faults.quoted(value)}: produce keyed by {name}",
    )


def of_range(name: str, time_ms: int, earliest_ms: int, latest_ms: int) -> Rejection | None:
    """Refuses times that no shop means, most often seconds or microseconds taken for milliseconds."""
    if earliest_ms <= time_ms <= latest_ms:
        return None
    return faults.rejection(
        Reason.OUT_OF_RANGE,
        f"$.{name} is {faults.quoted(time_ms)}, plausible are {earliest_ms} to {latest_ms} ms since 1970",
    )


def _of_lag(time_ms: int, timestamp_ms: int, limits: Limits) -> Rejection | None:
    late_ms = timestamp_ms - time_ms
    if timestamp_ms >= 0 and late_ms > limits.allowed_lateness_ms:
        return faults.rejection(
            Reason.TOO_LATE,
            f"$.time_ms is {late_ms} ms before the record, allowed are {limits.allowed_lateness_ms}",
        )
    return _of_future(time_ms, timestamp_ms, limits.future_tolerance_ms)


def _of_future(time_ms: int, timestamp_ms: int, tolerance_ms: int) -> Rejection | None:
    early_ms = time_ms - timestamp_ms
    if timestamp_ms < 0 or early_ms <= tolerance_ms:
        return None
    return faults.rejection(
        Reason.FROM_THE_FUTURE, f"$.time_ms is {early_ms} ms after the record, allowed are {tolerance_ms}"
    )


def _of_dates(entry: Item | Promotion) -> Rejection | None:
    if isinstance(entry, Item):
        created_ms = entry.created_ms or 0
        return of_range("created_ms", created_ms, 0, END_OF_TIME_MS)
    return of_range("starts_ms", entry.starts_ms, 0, END_OF_TIME_MS) or of_range(
        "ends_ms", entry.ends_ms, entry.starts_ms, END_OF_TIME_MS
    )


def _line_ids(event: Purchase) -> list[str]:
    return [each for line in event.lines for each in _LINE_IDS(line) if each is not None]


def _id_getter(shape: type[Struct]) -> Callable[[Any], tuple[str | None, ...]]:
    names = [name for name in shape.__struct_fields__ if name in ID_FIELDS and name not in _LISTS]
    return attrgetter(*names, names[0])


_LISTS: Final[dict[str, Callable[[Any], list[str]]]] = {
    "item_ids": attrgetter("item_ids"),
    "results": attrgetter("results"),
    "lines": _line_ids,
}
_LINE_IDS: Final = _id_getter(Line)
_IDS: Final = {
    shape: (_id_getter(shape), [_LISTS[name] for name in shape.__struct_fields__ if name in _LISTS])
    for shape in (Browse, Search, Purchase, *get_args(Feedback), Item, Promotion)
}
"""For each type, getters of its single ids (the first one twice, for a tuple always) and of its lists."""
