"""Pages: everything once, none of them long in the making, and no cursor but our own."""

from collections.abc import Iterator

import msgspec

from schemas.api import Page
from streams.api.answers import MAX_LOOKED_AT, page


def numbered(n: int, meant: int) -> Iterator[tuple[str, bytes | None]]:
    """``n`` entries, of which every ``meant``-th is asked for."""
    return ((str(i), b"%d" % i if i % meant == 0 else None) for i in range(n))


def read(found: Iterator[tuple[str, bytes | None]], limit: int) -> Page[int]:
    return msgspec.json.decode(page(found, limit).body, type=Page[int])  # type: ignore[arg-type]


def test_a_page_holds_what_is_meant_and_says_where_the_others_begin() -> None:
    assert read(numbered(10, meant=2), limit=3) == Page(items=[0, 2, 4], next="4")
    assert read(numbered(5, meant=2), limit=3) == Page(items=[0, 2, 4], next=None)


def test_a_page_ends_early_where_little_of_much_is_meant() -> None:
    found = numbered(10 * MAX_LOOKED_AT, meant=MAX_LOOKED_AT - 1)
    assert read(found, limit=50) == Page(items=[0, MAX_LOOKED_AT - 1], next=str(MAX_LOOKED_AT - 1))
    assert next(found)[0] == str(MAX_LOOKED_AT + 1)  # nothing beyond was looked at
