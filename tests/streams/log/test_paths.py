"""Paths lead to what is written there, make a row of each element, and never fail but by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError
from streams.log.mapping import parse_mapping
from streams.log.paths import MAX_ROWS, Paths, is_path

ORDER = {
    "id": 7,
    "user": {"id": None, "alias": "ann"},
    "lines": [{"sku": "a", "n": 1}, {"sku": "b"}],
    "params": [{"key": "x", "value": 1}, {"key": "page", "value": True}],
    "boxes": [{"no": 1, "items": [{"sku": "c"}, {"sku": "d"}]}, {"no": 2, "items": []}],
    "one": {"sku": "e"},
    "tags": ["new", "red"],
}


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (["id", "user.alias", "nowhere"], [["7", "ann", ""]]),
        (["user.id | user.name | user.alias"], [["ann"]]),
        (["id", "lines[].sku", "lines[].n"], [["7", "a", "1"], ["7", "b", ""]]),
        (["lines[1].sku", "lines[9].sku"], [["b", ""]]),
        (["params[key=page].value", "params[key=none].value"], [["true", ""]]),
        (["boxes[].items[].sku", "boxes[].no"], [["c", "1"], ["d", "1"], ["", "2"]]),
        (["nothing[].sku | lines[].sku | one.sku"], [["a"], ["b"]]),
        (["nothing[].sku | one.sku"], [["e"]]),
        (["one[].sku"], [["e"]]),
        (["tags[]"], [["new"], ["red"]]),
        (["boxes[0].items[].sku"], [["c"], ["d"]]),
        (["lines[].sku", "boxes[].no"], [["a", ""], ["b", ""]]),
    ],
)
def test_a_path_leads_to_its_value_and_a_list_makes_rows(columns: list[str], rows: list[list[str]]) -> None:
    assert list(Paths(columns).rows(ORDER)) == rows


def test_texts_that_stand_for_nothing_are_passed_over() -> None:
    record = {"a": "(not set)", "b": "shoes"}
    assert list(Paths(["a | b", "a"], ["(not set)"]).rows(record)) == [["shoes", ""]]


@pytest.mark.parametrize("column", ["user", "lines", "lines[]"])
def test_an_object_or_a_list_is_no_value(column: str) -> None:
    with pytest.raises(ValueError, match=r"expected a value"):
        list(Paths([column]).rows(ORDER))


def test_a_record_has_so_many_rows_at_most() -> None:
    many = {"a": [{"b": [1] * 100}] * (MAX_ROWS // 100)}
    assert len(list(Paths(["a[].b[]"]).rows(many))) == MAX_ROWS
    with pytest.raises(ValueError, match="more than 5000 rows"):
        list(Paths(["a[].b[]"]).rows({"a": [*many["a"], {"b": [1]}]}))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("a..b", "'' is no member"),
        ("a[", "'a[' is no member"),
        ("a[b]", "is no member; write name, name[], name[0] or name[member=value]"),
        ("a | ", "an alternative of no members"),
        ("a[-1]", "is no member"),
        ("a[][]", "brackets twice"),
    ],
)
def test_what_is_wrong_with_a_path_is_told_with_the_mapping(path: str, says: str) -> None:
    text = f'[file]\nformat = "jsonl"\n[columns]\nuser = "u"\nitem = "{path}"\n'
    with pytest.raises(InputError) as refused:
        parse_mapping(text, "shop.toml")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[columns]\nuser = "u"\nitem = "i"\n[catalog]\ntitle = "t"\n', "catalog.item is missing"),
        (
            '[columns]\nuser = "u"\nitem = "i"\n[catalog]\nitem = "i"\nkinds = ["x"]\n',
            "are values of kind.column",
        ),
        ('[columns]\nuser = "u"\nitem = "i"\n[catalog]\nitems = "i"\n', "did you mean catalog.item?"),
    ],
)
def test_a_catalogue_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_mapping(text, "shop.toml")
    assert says in str(refused.value)


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text("ab[].|$=", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(text=st.text("ab[].|=0 ", max_size=12), record=anything)
def test_any_text_is_a_path_or_none_and_any_record_has_rows_or_is_refused(text: str, record: Any) -> None:
    if not is_path(text):
        return
    try:
        rows = list(Paths([text, "a[].b", "a[].b[].c | c"]).rows(record))
    except ValueError as error:
        rows = [[str(error)] * 3]
    assert all(len(row) == 3 for row in rows)
