"""What the shop sells and promotes: values of the compacted ``catalog.*`` topics, keyed by id."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION, Id, Label, Money, TimeMs

MAX_VECTOR: Final = 4_096
"""Numbers in the vector of an item, at most."""

Vector = Annotated[list[Annotated[float, Meta(ge=-1e9, le=1e9)]], Meta(min_length=1, max_length=MAX_VECTOR)]


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item of the catalogue. A tombstone (null value) removes it."""

    item_id: Id
    time_ms: TimeMs
    title: Annotated[str, Meta(max_length=1024)] | None = None
    category: Label | None = None
    brand: Label | None = None
    price: Money | None = None
    store_id: Id | None = None
    origin: Label | None = None
    available: bool = True
    created_ms: TimeMs | None = None
    vector: Vector | None = None
    schema_version: int = SCHEMA_VERSION


class Promotion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A promotion over named items, or over all of a category or a brand, while it runs."""

    promotion_id: Id
    time_ms: TimeMs
    starts_ms: TimeMs
    ends_ms: TimeMs
    discount: Annotated[float, Meta(ge=0.0, le=1.0, description="share of the price taken off")] = 0.0
    item_ids: Annotated[list[Id], Meta(max_length=10_000)] = []
    category: Label | None = None
    brand: Label | None = None
    schema_version: int = SCHEMA_VERSION
