"""What one event says about items: the rows that both a user's state and the sources learn from."""

from collections.abc import Callable
from math import log2
from typing import Final, NamedTuple

from models.interest.settings import InterestSettings
from models.kinds import WEIGHTS, Kind
from schemas.events import (
    AnyEvent,
    Browse,
    Cart,
    Click,
    Dwell,
    Purchase,
    Rating,
    Wishlist,
)

BANDS_PER_DOUBLING: Final = 2


class Details(NamedTuple):
    """What the catalogue knows of an item; it fills in what the event leaves out."""

    category: str | None = None
    brand: str | None = None
    price: float | None = None
    store_id: str | None = None


class Touch(NamedTuple):
    """One interaction with one item; ``weight`` is positive, in units of one view."""

    item_id: str
    kind: Kind
    weight: float
    dwell_ms: int | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    store_id: str | None = None
    promoted: bool | None = None
    """Whether a promotion was on the bought line, None unless bought."""


def touches(event: AnyEvent, settings: InterestSettings) -> list[Touch]:
    """The interactions of ``event``: one a line of an order, else at most one; what weighs 0 gives none."""
    read = _READERS.get(type(event))
    return read(event, settings) if read else []


def complete(touch: Touch, details: Details) -> Touch:
    """``touch`` with what it leaves out taken from ``details``."""
    return Touch(
        touch.item_id,
        touch.kind,
        touch.weight,
        touch.dwell_ms,
        details.category if touch.category is None else touch.category,
        details.brand if touch.brand is None else touch.brand,
        details.price if touch.price is None else touch.price,
        details.store_id if touch.store_id is None else touch.store_id,
        touch.promoted,
    )


def band(price: float) -> str:
    """Price band as a key: two bands for each doubling of 1 + price."""
    return str(int(BANDS_PER_DOUBLING * log2(1.0 + price)))


def dwell_factor(dwell_ms: int, typical_s: float) -> float:
    """``1/2 + d / (d + typical)``: a half for no dwell, 1 for a typical one, 3/2 at most."""
    dwell_s = dwell_ms / 1000.0
    return 0.5 + dwell_s / (dwell_s + typical_s)


def _browse(event: Browse, settings: InterestSettings) -> list[Touch]:
    weight = WEIGHTS[Kind.VIEW]
    if event.dwell_ms is not None:
        weight *= dwell_factor(event.dwell_ms, settings.typical_dwell_s)
    return [
        Touch(
            event.item_id,
            Kind.VIEW,
            weight,
            event.dwell_ms,
            event.category,
            event.brand,
            event.price,
            event.store_id,
        )
    ]


def _purchase(event: Purchase, _: InterestSettings) -> list[Touch]:
    weight = WEIGHTS[Kind.PURCHASE]
    return [
        Touch(
            line.item_id,
            Kind.PURCHASE,
            weight,
            None,
            line.category,
            line.brand,
            line.price,
            line.store_id,
            line.promotion_id is not None,
        )
        for line in event.lines
    ]


def _click(event: Click, _: InterestSettings) -> list[Touch]:
    return [Touch(event.item_id, Kind.CLICK, WEIGHTS[Kind.CLICK])]


def _cart(event: Cart, _: InterestSettings) -> list[Touch]:
    return [Touch(event.item_id, Kind.CART, WEIGHTS[Kind.CART], price=event.price)]


def _wishlist(event: Wishlist, _: InterestSettings) -> list[Touch]:
    return [Touch(event.item_id, Kind.WISHLIST, WEIGHTS[Kind.WISHLIST])]


def _rating(event: Rating, _: InterestSettings) -> list[Touch]:
    weight = WEIGHTS[Kind.RATING] * event.rating
    return [Touch(event.item_id, Kind.RATING, weight)] if weight > 0.0 else []


def _dwell(event: Dwell, settings: InterestSettings) -> list[Touch]:
    weight = WEIGHTS[Kind.DWELL] * dwell_factor(event.dwell_ms, settings.typical_dwell_s)
    return [Touch(event.item_id, Kind.DWELL, weight, event.dwell_ms)]


_READERS: Final[dict[type, Callable[..., list[Touch]]]] = {
    Browse: _browse,
    Purchase: _purchase,
    Click: _click,
    Cart: _cart,
    Wishlist: _wishlist,
    Rating: _rating,
    Dwell: _dwell,
}
