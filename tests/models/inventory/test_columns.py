import json

from hypothesis import given
from hypothesis import strategies as st

from models.inventory.columns import (
    MAX_COLUMNS,
    columns,
    fingerprint,
    json_object,
    key_column,
    objects,
    time_column,
)
from models.inventory.content import contents

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=6), inside, max_size=4),
    max_leaves=12,
)


def by_path(sample, n_records=0):
    return {each.path: each for each in columns(sample, n_records)}


def test_paths_types_and_nulls_of_nested_values():
    found = by_path(
        [
            {"id": "a", "price": 1, "user": {"name": "x"}, "lines": [{"sku": "s"}, {"sku": None}]},
            {"id": "b", "price": 2.5, "user": None, "lines": []},
            {"id": "c", "price": "3", "user": {"name": None}},
        ]
    )
    assert {path: each.type for path, each in found.items()} == {
        "id": "string",
        "price": "mixed",
        "user": "object",
        "lines": "array",
        "user.name": "string",
        "lines[]": "object",
        "lines[].sku": "string",
    }
    # user is null in one of three, its name in one of the two users, the sku in one of two lines
    nulls = {path: round(each.null_share, 3) for path, each in found.items()}
    assert (nulls["id"], nulls["user"], nulls["user.name"], nulls["lines[].sku"]) == (0, 0.333, 0.5, 0.5)


def test_whole_numbers_and_fractions_are_numbers():
    assert by_path([{"x": 1}, {"x": 1.5}])["x"].type == "number"


def test_an_object_of_ever_new_names_is_a_map():
    found = by_path([{"counts": {f"user-{n}": n, f"user-{n + 500}": n}} for n in range(100)])
    assert set(found) == {"counts", "counts.*"}
    assert found["counts.*"].type == "integer"


def test_a_column_is_unique_where_no_value_is_missing_or_comes_twice():
    sample = [{"id": f"e{n}", "user": f"u{n % 7}", "half": n if n % 2 else None} for n in range(40)]
    found = by_path(sample, 1_000)
    assert [path for path, each in found.items() if each.unique] == ["id"]
    assert found["id"].n_distinct == 1_000  # all of the sample came once: as many as there are records
    assert found["user"].n_distinct == 7  # each came several times: no more are to be expected


def test_the_event_time_is_the_best_name_that_is_always_there():
    sample = [{"created_at": 1795353422000, "time_ms": 1795353422000, "closed_ms": None} for _ in range(3)]
    assert time_column(columns(sample, 3)) == "time_ms"
    assert time_column(columns([{"price": 17}], 1)) is None


def test_the_key_is_the_field_that_equals_it():
    values = [{"user": {"id": n}, "item": "i"} for n in range(10)]
    sample = [(str(each["user"]["id"]).encode(), each) for each in values]
    assert key_column(columns(values, 10), sample) == "user.id"
    assert key_column(columns(values, 10), [(None, each) for each in values]) is None


def test_another_schema_has_another_fingerprint_and_another_order_has_not():
    one, two = [{"a": 1, "b": "x"}], [{"b": "y", "a": 2}]
    assert fingerprint(columns(one, 1)) == fingerprint(columns(two, 1))
    assert fingerprint(columns(one, 1)) != fingerprint(columns([{"a": "1", "b": "x"}], 1))


def test_the_number_of_columns_is_bounded():
    assert len(columns([{f"c{n}": n for n in range(5_000)}], 1)) == MAX_COLUMNS


@given(st.lists(st.dictionaries(st.text(max_size=6), JSON, max_size=5), max_size=8))
def test_any_json_has_columns_with_shares_between_0_and_1(sample):
    for each in columns(sample, len(sample)):
        assert 0.0 <= each.null_share <= 1.0
        assert each.n_distinct >= 0
        assert each.personal_share is None or 0.0 <= each.personal_share <= 1.0


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_make_it_raise(values):
    assert contents(values).n_other <= len(values)
    assert all(isinstance(each, dict) for each in objects(values))


def test_content_is_what_most_values_are():
    some = [json.dumps({"n": n}).encode() for n in range(5)]
    assert contents([*some, b"oops", None])[::2] == ("json", 1)
    assert contents([b"2026-01-01 INFO up", "grün\n".encode()]).content == "text"
    assert contents([b"\0\0\0\0\x07\x02abc"]).content == "registry"
    assert contents([b"\x1f\x8b\x08\0"]).content == "gzip"
    assert contents([b"\xff\xfe\0\1", b"a\0b"]).content == "binary"
    assert contents([None, b""]).content == "empty"


def test_deep_nesting_is_unreadable_and_no_crash():
    assert json_object(b"[" * 100_000) is None
    assert json_object(b'{"a":' * 50_000) is None
