"""Rows of the log to events; the rows of one order become one purchase."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

from models.kinds import Kind
from schemas.events import (
    MAX_LINES,
    AnyEvent,
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Line,
    Purchase,
    Rating,
    Search,
    Wishlist,
)
from schemas.topics import BROWSE, FEEDBACK, PURCHASE, SEARCH
from streams.log.parse import LogRow


class Logged(NamedTuple):
    """One event of the log; an order names all of its items, an impression those shown, a search none."""

    topic: str
    event: AnyEvent
    item_ids: tuple[str, ...]


def to_events(rows: Iterable[LogRow]) -> Iterator[Logged]:
    """Rows of one order, or of one record that lists items, become one event, or several beyond ``MAX_LINES``."""
    for same, group in groupby(rows, key=_together):
        if same is None:
            for row in group:
                yield _event(row)
        else:
            while some := list(islice(group, MAX_LINES)):
                yield _LISTING[some[0].kind](some)


def _together(row: LogRow) -> tuple[str, str | int, Kind] | None:
    """What rows of one event have in common."""
    if row.kind not in _LISTING:
        return None
    return (row.user, row.order or row.number, row.kind)


def _event(row: LogRow) -> Logged:
    if row.kind is Kind.VIEW:
        return Logged(BROWSE, _browse(row), (row.item,))
    return Logged(FEEDBACK, _FEEDBACK[row.kind](row), (row.item,))


def _who_and_when(row: LogRow) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "user_id": row.user,
        "time_ms": row.time_ms,
        "session_id": row.session,
        "platform": row.platform,
    }


def _browse(row: LogRow) -> Browse:
    return Browse(
        event_id=row.event_id,
        user_id=row.user,
        time_ms=row.time_ms,
        session_id=row.session,
        platform=row.platform,
        item_id=row.item,
        category=row.category,
        brand=row.brand,
        price=row.price,
        store_id=row.store_id,
        slate_id=row.slate_id,
    )


def _search(rows: list[LogRow]) -> Logged:
    first, results = rows[0], list(_items(rows))
    event = Search(**_who_and_when(first), query=first.query, category=first.category, results=results)
    return Logged(SEARCH, event, ())


def _impression(rows: list[LogRow]) -> Logged:
    first, items = rows[0], _items(rows)
    event = Impression(**_who_and_when(first), item_ids=list(items), slate_id=first.slate_id)
    return Logged(FEEDBACK, event, items)


def _items(rows: list[LogRow]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.item for row in rows if row.item))


def _purchase(rows: list[LogRow]) -> Logged:
    first = rows[0]
    order = Purchase(
        **_who_and_when(first),
        order_id=first.order or None,
        currency=first.currency,
        lines=[_line(row) for row in rows],
    )
    return Logged(PURCHASE, order, _items(rows))


def _line(row: LogRow) -> Line:
    return Line(
        item_id=row.item,
        quantity=row.quantity,
        price=row.price,
        category=row.category,
        brand=row.brand,
        store_id=row.store_id,
        promotion_id=row.promotion_id,
    )


def _about(row: LogRow) -> dict[str, Any]:
    return {**_who_and_when(row), "item_id": row.item, "slate_id": row.slate_id}


def _cart(row: LogRow) -> AnyEvent:
    return Cart(**_about(row), quantity=row.quantity, price=row.price)


def _rating(row: LogRow) -> AnyEvent:
    assert row.rating is not None, "the mapping demands a column, the parser a number"
    return Rating(**_about(row), rating=row.rating)


def _dwell(row: LogRow) -> AnyEvent:
    assert row.dwell_ms is not None, "the mapping demands a column, the parser a number"
    return Dwell(**_about(row), dwell_ms=row.dwell_ms)


_FEEDBACK: Final[dict[Kind, Callable[[LogRow], AnyEvent]]] = {
    Kind.CART: _cart,
    Kind.RATING: _rating,
    Kind.DWELL: _dwell,
    Kind.CLICK: lambda row: Click(**_about(row)),
    Kind.WISHLIST: lambda row: Wishlist(**_about(row)),
    Kind.DISMISS: lambda row: Dismiss(**_about(row)),
}
_LISTING: Final[dict[Kind, Callable[[list[LogRow]], Logged]]] = {
    Kind.PURCHASE: _purchase,
    Kind.IMPRESSION: _impression,
    Kind.SEARCH: _search,
}
"""Kinds of which several rows make one event."""
