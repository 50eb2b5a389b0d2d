"""The stream as it would be without one source of data, to learn everything anew from it."""

from typing import Final

from msgspec.structs import replace

from models.evaluate.of_path import Take
from schemas.events import AnyEvent, Browse, Cart, Click, Dismiss, Purchase, Search, Wishlist


def _without_browse(event: AnyEvent) -> AnyEvent | None:
    return None if isinstance(event, Browse | Click | Cart | Wishlist) else event


def _without_search(event: AnyEvent) -> AnyEvent | None:
    return None if isinstance(event, Search) else event


def _without_purchase(event: AnyEvent) -> AnyEvent | None:
    return None if isinstance(event, Purchase) else event


def _without_feedback(event: AnyEvent) -> AnyEvent | None:
    return None if isinstance(event, Dismiss) else event


def _without_attributes(event: AnyEvent) -> AnyEvent:
    if isinstance(event, Browse):
        return replace(event, category=None, brand=None, price=None)
    if isinstance(event, Purchase):
        return replace(
            event, lines=[replace(line, category=None, brand=None, price=None) for line in event.lines]
        )
    return event


WITHHELD: Final[dict[str, Take]] = {
    "browse": _without_browse,
    "search": _without_search,
    "purchase": _without_purchase,
    "feedback": _without_feedback,
    "attributes": _without_attributes,
}
"""By source, those that events carry."""
