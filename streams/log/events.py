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
    """One event of the log; an order names all of its items, a search none."""

    topic: str
    event: AnyEvent
    item_ids: tuple[str, ...]


def to_events(rows: Iterable[LogRow], currency: str | None = None) -> Iterator[Logged]:
    """Rows of one order that follow each other are one purchase, or several beyond ``MAX_LINES`` lines."""
    for same, group in groupby(rows, key=_same_order):
        if same is None:
            for row in group:
                yield _event(row, currency)
        else:
            while lines := list(islice(group, MAX_LINES)):
                yield _purchase(lines, currency)


def _same_order(row: LogRow) -> tuple[str, str] | None:
    return (row.user, row.order) if row.order else None


def _event(row: LogRow, currency: str | None) -> Logged:
    if row.kind is Kind.PURCHASE:
        return _purchase([row], currency)
    if row.kind is Kind.SEARCH:
        return Logged(SEARCH, Search(**_who_and_when(row), query=row.query, category=row.category), ())
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
    )


def _purchase(rows: list[LogRow], currency: str | None) -> Logged:
    first = rows[0]
    order = Purchase(
        **_who_and_when(first),
        order_id=first.order or None,
        currency=currency,
        lines=[_line(row) for row in rows],
    )
    return Logged(PURCHASE, order, tuple(dict.fromkeys(row.item for row in rows)))


def _line(row: LogRow) -> Line:
    return Line(
        item_id=row.item,
        quantity=row.quantity,
        price=row.price,
        category=row.category,
        brand=row.brand,
        store_id=row.store_id,
    )


def _cart(row: LogRow) -> AnyEvent:
    return Cart(**_who_and_when(row), item_id=row.item, quantity=row.quantity, price=row.price)


def _rating(row: LogRow) -> AnyEvent:
    assert row.rating is not None, "the mapping demands a column, the parser a number"
    return Rating(**_who_and_when(row), item_id=row.item, rating=row.rating)


def _dwell(row: LogRow) -> AnyEvent:
    assert row.dwell_ms is not None, "the mapping demands a column, the parser a number"
    return Dwell(**_who_and_when(row), item_id=row.item, dwell_ms=row.dwell_ms)


_FEEDBACK: Final[dict[Kind, Callable[[LogRow], AnyEvent]]] = {
    Kind.CART: _cart,
    Kind.RATING: _rating,
    Kind.DWELL: _dwell,
    Kind.CLICK: lambda row: Click(**_who_and_when(row), item_id=row.item),
    Kind.WISHLIST: lambda row: Wishlist(**_who_and_when(row), item_id=row.item),
    Kind.DISMISS: lambda row: Dismiss(**_who_and_when(row), item_id=row.item),
    Kind.IMPRESSION: lambda row: Impression(**_who_and_when(row), item_ids=[row.item]),
}
