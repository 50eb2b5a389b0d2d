from typing import get_args

import pytest
from msgspec.structs import fields

from models.quality.fields import PATHS, SHAPES, Filled, blamed, count_filled, shape_of
from schemas.events import AnyEvent, Browse, Cart, Click, Line, Purchase, Search

WHO = {"event_id": "e", "user_id": "u", "time_ms": 1}


def optional(kind):
    return {path for _, path, _ in shape_of(kind).optional}


def test_the_optional_fields_of_a_browse_are_those_that_may_be_null():
    assert optional(Browse) == {
        "session_id",
        "platform",
        "category",
        "brand",
        "price",
        "store_id",
        "dwell_ms",
        "slate_id",
        "position",
    }


def test_a_list_that_may_be_left_out_is_optional_too():
    assert optional(Search) == {"session_id", "platform", "category", "results"}


def test_every_kind_of_event_has_a_shape_and_every_field_a_path():
    for kind in get_args(AnyEvent):
        assert {field.name for field in fields(kind)} <= PATHS
        assert SHAPES[kind.__name__] is shape_of(kind)
    assert {"lines.item_id", "lines.price"} <= PATHS


def test_a_field_that_may_be_null_is_never_missed():
    for kind in get_args(AnyEvent):
        nullable = {field.name for field in fields(kind) if field.default is None}
        assert nullable <= optional(kind)
        assert not optional(kind) & {field.name for field in fields(kind) if field.required}


def test_counts_what_was_left_out():
    browses = [Browse(**WHO, item_id="i", price=1.0, category=""), Browse(**WHO, item_id="i", session_id="s")]
    (filled,) = count_filled(browses)
    assert (filled.shape, filled.n) == ("Browse", 2)
    # An empty label is a value; session_id, category and price are given once each, the other six never.
    assert filled.absent["session_id"] == filled.absent["category"] == filled.absent["price"] == 1
    assert filled.absent["brand"] == 2
    assert len(filled.absent) == 9


def test_what_is_always_given_is_not_listed():
    (filled,) = count_filled(
        [Search(**WHO, query="q", session_id="s", platform="p", category="c", results=["i"])]
    )
    assert filled == Filled("Search", 1, {}, filled.columns)


def test_an_empty_list_says_nothing():
    (filled,) = count_filled([Search(**WHO, query="q", session_id="s", platform="p", category="c")])
    assert filled.absent == {"results": 1}


def test_lines_of_an_order_are_counted_one_by_one():
    orders = [
        Purchase(**WHO, lines=[Line(item_id="a", price=1.0), Line(item_id="b")]),
        Purchase(**WHO, lines=[Line(item_id="c", price=2.0)], order_id="o"),
    ]
    purchase, line = count_filled(orders)
    assert (purchase.shape, purchase.n, purchase.absent["order_id"]) == ("Purchase", 2, 1)
    assert (line.shape, line.n, line.absent["lines.price"]) == ("Line", 3, 1)
    assert line.absent["lines.brand"] == 3


def test_a_field_is_asked_only_of_the_kinds_that_have_it():
    mixed = [Click(**WHO, item_id="i"), Cart(**WHO, item_id="i"), Click(**WHO, item_id="j")]
    filled = {f.shape: f for f in count_filled(mixed)}
    assert {name: f.n for name, f in filled.items()} == {"Click": 2, "Cart": 1}
    assert "price" not in filled["Click"].absent
    assert filled["Cart"].absent["price"] == 1


def test_nothing_has_no_counts():
    assert list(count_filled([])) == []


@pytest.mark.parametrize(
    ("detail", "path"),
    [
        ("$.price is 'free': Expected `float | null`, got `str`", "price"),
        ("$.lines[3].price is -1: Expected `float` >= 0.0", "lines.price"),
        ("$.lines[0].item_id is missing", "lines.item_id"),
        ("$.item_ids[17] is '': Expected `str` of length >= 1", "item_ids"),
        ("$.made_up is missing", None),
        ("$ is 3: Expected `object`, got `int`", None),
        ("byte 3 of 9: invalid start byte; it starts with '$.price '", None),
        ("", None),
    ],
)
def test_a_rejection_blames_the_field_that_its_detail_starts_with(detail, path):
    assert blamed(detail) == path
