"""Other vocabularies, declared as tables: Google Analytics 4 and Segment to the fields of ``schemas.events``.

An event is first flattened: its name, its top-level fields and its parameters side by side. A table then
names, for each of our fields, theirs in order of preference; what no table reads is unknown, and counted.
One record is one event of one topic, so an event about one item may name only one.
Sources: Google, "Measure ecommerce" and "BigQuery Export schema"; Segment, "V2 Ecommerce Events Spec".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from models.ingest import faults
from models.ingest.envelope import Envelope, time_ms_of
from models.ingest.settings import Format
from schemas import topics
from schemas.rejections import Reason, Rejection

Fields = dict[str, Any]
Convert = Callable[[Any], Any]

EVENT_NAME: Final = "event name"
ITEM: Final = "item"
LINES: Final = "lines"
ITEM_IDS: Final = "item_ids"
RESULTS: Final = "results"
MAX_EXACT_INT: Final = 1 << 63


def text(value: Any) -> Any:
    """Numbers used as ids become text."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_EXACT_INT:
        return str(value)
    return value


def number(value: Any) -> Any:
    """Numbers written as text become numbers; infinities and the like stay text and are refused as such."""
    if not isinstance(value, str):
        return value
    try:
        found = float(value)
    except ValueError:
        return value
    return found if abs(found) < MAX_EXACT_INT else value


def integer(value: Any) -> Any:
    """Whole numbers written as text or with a fraction of zero become integers."""
    found = number(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def micros(value: Any) -> Any:
    """Microseconds since 1970 to milliseconds; exports write 64-bit integers as text."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 19:
        value = int(value)
    return value // 1000 if isinstance(value, int) and not isinstance(value, bool) else value


def iso(value: Any) -> Any:
    """RFC 3339 to milliseconds since 1970."""
    found = time_ms_of(value) if isinstance(value, str) else None
    return value if found is None else found


@dataclass(frozen=True, slots=True)
class Rule:
    """One of our fields: theirs, the first that is there wins."""

    sources: tuple[str, ...]
    convert: Convert = text


class Table:
    """Our fields and the rules that fill them."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = [(name, rule.sources, rule.convert) for name, rule in rules.items()]
        self._read = frozenset(source for rule in rules.values() for source in rule.sources)

    def read(self, source: Fields) -> tuple[Fields, list[str]]:
        """Our fields as far as ``source`` has them, and the names in it that no rule reads."""
        found: Fields = {}
        for name, sources, convert in self._rules:
            for each in sources:
                value = source.get(each)
                if value is not None and value != "":
                    found[name] = convert(value)
                    break
        return found, [name for name in source if name not in self._read]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one event name becomes.

    ``items`` is what its items are to us: the one it is about, its lines, or the field that takes their ids.
    """

    topic: str
    items: str
    table: Table
    fixed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One vocabulary: how to flatten an event, where its items are and how to read one, event names."""

    flatten: Callable[[Fields], Fields]
    item: Table
    items: str
    shapes: Mapping[str, Shape]


class Mapped(NamedTuple):
    """An event in our fields, not yet checked against its type, and the names of fields that nothing read."""

    fields: Fields
    unknown: list[str]


def detect(fields: Fields) -> Format:
    """The vocabulary that only these fields can be of; canonical when nothing speaks for another."""
    if "time_ms" in fields or "schema_version" in fields:
        return Format.CANONICAL
    if "event_name" in fields or (
        "events" in fields and ("client_id" in fields or "app_instance_id" in fields)
    ):
        return Format.GA4
    if "messageId" in fields or ("event" in fields and "properties" in fields):
        return Format.SEGMENT
    return Format.CANONICAL


def translate(fields: Fields, envelope: Envelope, format_: Format, topic: str) -> Mapped | Rejection:
    """``fields``, decoded from the envelope's body, in our own fields."""
    vocabulary = VOCABULARIES[format_]
    flat = vocabulary.flatten(fields)
    name = flat.pop(EVENT_NAME, None)
    if not isinstance(name, str):
        return faults.rejection(Reason.MISSING_FIELD, f"no event name: one record holds one {format_} event")
    shape = vocabulary.shapes.get(name)
    if shape is None or shape.topic != topic:
        belongs = f", it belongs on {shape.topic}" if shape else ""
        return faults.rejection(Reason.UNKNOWN_KIND, f"event {faults.quoted(name)} on {topic}{belongs}")
    return _apply(vocabulary, shape, flat, envelope)


def _apply(vocabulary: Vocabulary, shape: Shape, flat: Fields, envelope: Envelope) -> Mapped | Rejection:
    items = flat.pop(vocabulary.items, None)
    event, unknown = shape.table.read(flat)
    if items is None and shape.items == ITEM:
        item, unknown = vocabulary.item.read({name: flat[name] for name in unknown})
        event = item | event
    elif items is not None:
        entries, more = _items(vocabulary, items)
        unknown += more
        placed = _placed(shape.items, entries, vocabulary.items)
        if isinstance(placed, Rejection):
            return placed
        event = placed | event
    if "event_id" not in event:
        event["event_id"] = envelope.event_id or blake2b(envelope.body, digest_size=16).hexdigest()
    if envelope.time_ms is not None:
        event.setdefault("time_ms", envelope.time_ms)
    return Mapped(event | shape.fixed, unknown)


def _items(vocabulary: Vocabulary, items: Any) -> tuple[list[Any], list[str]]:
    entries: list[Any] = []
    unknown: list[str] = []
    for item in items if isinstance(items, list) else [items]:
        entry, rest = vocabulary.item.read(item) if isinstance(item, dict) else (item, [])
        entries.append(entry)
        unknown += [f"{vocabulary.items}[].{name}" for name in rest]
    return entries, unknown


def _placed(role: str, entries: list[Any], source: str) -> Fields | Rejection:
    if role == LINES:
        return {LINES: entries}
    if role != ITEM:
        return {role: [each.get("item_id") if isinstance(each, dict) else each for each in entries]}
    if len(entries) != 1:
        return faults.rejection(
            Reason.OUT_OF_RANGE, f"$.{source} names {len(entries)} items: send one record for each item"
        )
    if isinstance(entries[0], dict):
        return entries[0]
    return faults.rejection(
        Reason.WRONG_TYPE, f"$.{source}[0] is {faults.quoted(entries[0])}, expected an object"
    )


def _flat_ga4(fields: Fields) -> Fields:
    events = fields.get("events")
    event = events[0] if isinstance(events, list) and len(events) == 1 and isinstance(events[0], dict) else {}
    flat: Fields = {}
    for nested in (
        event.get("params"),
        *(fields.get(name) for name in ("event_params", "params", "ecommerce")),
    ):
        flat |= _parameters(nested)
    flat |= {name: value for name, value in event.items() if name not in ("name", "params")}
    taken = ("events", "event_name", "event_params", "params", "ecommerce")
    flat |= {name: value for name, value in fields.items() if name not in taken and value is not None}
    return flat | {EVENT_NAME: fields.get("event_name", event.get("name"))}


def _parameters(nested: Any) -> Fields:
    """An object, or the list of the BigQuery export: ``{"key": "page", "value": {"int_value": 1}}``."""
    if isinstance(nested, dict):
        return nested
    pairs = [each for each in nested if isinstance(each, dict)] if isinstance(nested, list) else []
    return {
        pair["key"]: next((value for value in pair["value"].values() if value is not None), None)
        for pair in pairs
        if isinstance(pair.get("key"), str) and isinstance(pair.get("value"), dict)
    }


def _flat_segment(fields: Fields) -> Fields:
    properties = fields.get("properties")
    flat = dict(properties) if isinstance(properties, dict) else {}
    flat |= {name: value for name, value in fields.items() if name not in ("event", "properties")}
    return flat | {EVENT_NAME: fields.get("event")}


_CURRENCY: Final = {"currency": Rule(("currency",))}

_GA4_EVENT: Final = {
    "event_id": Rule(("event_id",)),
    "user_id": Rule(("user_id", "user_pseudo_id", "client_id", "app_instance_id")),
    "time_ms": Rule(("event_timestamp", "timestamp_micros"), micros),
    "session_id": Rule(("ga_session_id", "session_id")),
    "platform": Rule(("platform",)),
    "slate_id": Rule(("slate_id",)),
}
_GA4_ITEM: Final = {
    "item_id": Rule(("item_id", "id")),
    "category": Rule(("item_category",)),
    "brand": Rule(("item_brand",)),
    "price": Rule(("price",), number),
    "quantity": Rule(("quantity",), integer),
    "position": Rule(("index",), integer),
    "store_id": Rule(("location_id", "affiliation")),
    "promotion_id": Rule(("promotion_id",)),
}
_GA4_ANY: Final = Table(_GA4_EVENT)
_GA4_SEARCH: Final = Shape(topics.SEARCH, RESULTS, Table(_GA4_EVENT | {"query": Rule(("search_term",))}))
_GA4_ORDER: Final = Table(_GA4_EVENT | _CURRENCY | {"order_id": Rule(("transaction_id",))})

GA4: Final = Vocabulary(
    flatten=_flat_ga4,
    item=Table(_GA4_ITEM),
    items="items",
    shapes={
        "view_item": Shape(topics.BROWSE, ITEM, _GA4_ANY),
        "search": _GA4_SEARCH,
        "view_search_results": _GA4_SEARCH,
        "view_item_list": Shape(topics.FEEDBACK, ITEM_IDS, _GA4_ANY, {"kind": "impression"}),
        "select_item": Shape(topics.FEEDBACK, ITEM, _GA4_ANY, {"kind": "click"}),
        "add_to_cart": Shape(topics.FEEDBACK, ITEM, _GA4_ANY, {"kind": "cart"}),
        "add_to_wishlist": Shape(topics.FEEDBACK, ITEM, _GA4_ANY, {"kind": "wishlist"}),
        "purchase": Shape(topics.PURCHASE, LINES, _GA4_ORDER),
    },
)

_SEGMENT_EVENT: Final = {
    "event_id": Rule(("messageId",)),
    "user_id": Rule(("userId", "anonymousId")),
    "time_ms": Rule(("timestamp", "originalTimestamp"), iso),
    "session_id": Rule(("session_id", "sessionId")),
    "platform": Rule(("platform", "channel")),
    "slate_id": Rule(("slate_id",)),
}
_SEGMENT_ITEM: Final = {
    "item_id": Rule(("product_id", "sku")),
    "category": Rule(("category",)),
    "brand": Rule(("brand",)),
    "price": Rule(("price",), number),
    "quantity": Rule(("quantity",), integer),
    "position": Rule(("position",), integer),
    "store_id": Rule(("affiliation",)),
    "promotion_id": Rule(("promotion_id",)),
}
_SEGMENT_ANY: Final = Table(_SEGMENT_EVENT)
_SEGMENT_SEARCH: Final = Table(_SEGMENT_EVENT | {"query": Rule(("query",))})
_SEGMENT_ORDER: Final = Table(_SEGMENT_EVENT | _CURRENCY | {"order_id": Rule(("order_id",))})

SEGMENT: Final = Vocabulary(
    flatten=_flat_segment,
    item=Table(_SEGMENT_ITEM),
    items="products",
    shapes={
        "Product Viewed": Shape(topics.BROWSE, ITEM, _SEGMENT_ANY),
        "Products Searched": Shape(topics.SEARCH, RESULTS, _SEGMENT_SEARCH),
        "Product List Viewed": Shape(topics.FEEDBACK, ITEM_IDS, _SEGMENT_ANY, {"kind": "impression"}),
        "Product Clicked": Shape(topics.FEEDBACK, ITEM, _SEGMENT_ANY, {"kind": "click"}),
        "Product Added": Shape(topics.FEEDBACK, ITEM, _SEGMENT_ANY, {"kind": "cart"}),
        "Product Added to Wishlist": Shape(topics.FEEDBACK, ITEM, _SEGMENT_ANY, {"kind": "wishlist"}),
        "Order Completed": Shape(topics.PURCHASE, LINES, _SEGMENT_ORDER),
    },
)

VOCABULARIES: Final[Mapping[Format, Vocabulary]] = {Format.GA4: GA4, Format.SEGMENT: SEGMENT}
