"""What shoppers do, as typed events: the values of the ``events.*`` topics.

Every record is one JSON object, keyed by ``user_id``. Times are event times in milliseconds since 1970 (UTC).
Range and plausibility checks live in ``models.ingest``; here is only the shape.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

SCHEMA_VERSION: Final = 1
MAX_ID_BYTES: Final = 256
MAX_LINES: Final = 200

Id = Annotated[
    str, Meta(min_length=1, max_length=MAX_ID_BYTES, description="non-empty, at most 256 bytes of UTF-8")
]
Label = Annotated[str, Meta(max_length=MAX_ID_BYTES, description="at most 256 characters")]
TimeMs = Annotated[int, Meta(description="event time, milliseconds since 1970-01-01 UTC")]
Money = Annotated[float, Meta(ge=0.0, le=1e9, description="amount in the shop's currency")]
DwellMs = Annotated[int, Meta(ge=0, le=86_400_000, description="time spent on the item, milliseconds")]
Position = Annotated[int, Meta(ge=0, le=10_000, description="0-based position in the list shown")]


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all shopper events carry."""

    event_id: Id
    user_id: Id
    time_ms: TimeMs
    session_id: Id | None = None
    platform: Label | None = None
    schema_version: int = SCHEMA_VERSION


class Browse(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A look at one item's page. Attributes, when given, fill in for a missing catalogue entry."""

    item_id: Id
    category: Label | None = None
    brand: Label | None = None
    price: Money | None = None
    store_id: Id | None = None
    dwell_ms: DwellMs | None = None
    slate_id: Id | None = None
    position: Position | None = None


class Search(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A query typed by a shopper, with the ids it returned when the shop reports them."""

    query: Annotated[str, Meta(max_length=1024)]
    category: Label | None = None
    results: Annotated[list[Id], Meta(max_length=MAX_LINES)] = []


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an order. ``price`` is for one piece, after discount."""

    item_id: Id
    quantity: Annotated[int, Meta(ge=1, le=100_000)] = 1
    price: Money | None = None
    category: Label | None = None
    brand: Label | None = None
    store_id: Id | None = None
    promotion_id: Id | None = None


class Purchase(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An order with its lines."""

    lines: Annotated[list[Line], Meta(min_length=1, max_length=MAX_LINES)]
    order_id: Id | None = None
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None


class Impression(Event, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="impression"):
    """Items shown to the shopper, best position first; ``slate_id`` when they came from a slate of ours."""

    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_LINES)]
    slate_id: Id | None = None


class ItemFeedback(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What the feedback on one item has in common."""

    item_id: Id
    slate_id: Id | None = None
    position: Position | None = None


class Click(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="click"):
    """A click on a recommended or listed item."""


class Cart(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="cart"):
    """The item was put into the cart."""

    quantity: Annotated[int, Meta(ge=1, le=100_000)] = 1
    price: Money | None = None


class Wishlist(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="wishlist"):
    """The item was kept for later, or marked a favourite."""


class Dismiss(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="dismiss"):
    """The shopper does not want to see the item."""


class Rating(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="rating"):
    """A rating, scaled to 0 (worst) to 1 (best)."""

    rating: Annotated[float, Meta(ge=0.0, le=1.0)]


class Dwell(ItemFeedback, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="dwell"):
    """How long the shopper stayed with the item."""

    dwell_ms: DwellMs


Feedback = Impression | Click | Cart | Wishlist | Dismiss | Rating | Dwell
AnyEvent = Browse | Search | Purchase | Feedback
