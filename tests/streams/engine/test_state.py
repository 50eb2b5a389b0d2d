"""Bulk reads and writes on a real RocksDB, without a running worker."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.stores import rocksdb
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.app import faust_app
from streams.engine.state import OFFSET_KEY, StateTable, free, freed
from streams.settings import Settings


class Changelog:
    """Stands for a parcel: keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, list[tuple[bytes, bytes | None]]]] = []

    def add_changelog(self, topic: str, partition: int, items: Iterable[tuple[bytes, bytes | None]]) -> None:
        self.sent.append((topic, partition, list(items)))


@pytest.fixture
def app(tmp_path: Path) -> faust.App:
    return faust_app(Settings.model_validate({"worker": {"datadir": tmp_path, "id": "w1", "app_id": "shop"}}))


@pytest.fixture
def table(app: faust.App) -> StateTable:
    return StateTable(app, "interest", 4)


@pytest.fixture
def reopened(tmp_path: Path, app: faust.App, table: StateTable) -> Callable[[], StateTable]:
    """The same files, as the next process opens them."""

    def reopen() -> StateTable:
        table._table.data._dbs.clear()  # closes the files
        again = faust_app(
            Settings.model_validate({"worker": {"datadir": tmp_path, "id": "w1", "app_id": "shop"}})
        )
        return StateTable(again, "interest", 4)

    return reopen


def store(table: StateTable, partition: int, **values: bytes) -> Changelog:
    changelog = Changelog()
    parcel: Any = changelog
    table.store(partition, [(key.encode(), value) for key, value in values.items()], parcel)
    return changelog


def test_values_come_back_in_the_order_asked_and_none_for_absent_keys(table: StateTable) -> None:
    store(table, 0, a=b"1", b=b"2", c=b"")
    assert table.load(0, [b"c", b"absent", b"a", b"a"]) == [b"", None, b"1", b"1"]
    assert table.load(0, []) == []


def test_partitions_are_apart(table: StateTable) -> None:
    store(table, 0, a=b"zero")
    store(table, 1, a=b"one")
    assert [table.load(partition, [b"a"]) for partition in range(3)] == [[b"zero"], [b"one"], [None]]


def test_a_later_value_takes_the_place_of_an_earlier_one(table: StateTable) -> None:
    store(table, 0, a=b"1", b=b"1")
    store(table, 0, a=b"2")
    assert table.load(0, [b"a", b"b"]) == [b"2", b"1"]


def test_keys_and_values_are_any_bytes(table: StateTable) -> None:
    parcel: Any = Changelog()
    items = [(bytes([n]) * 3, bytes(range(n, 256))) for n in range(256)]
    table.store(2, items, parcel)
    assert table.load(2, [key for key, _ in items]) == [value for _, value in items]


def test_what_is_stored_goes_to_the_changelog_partition_of_the_same_number(table: StateTable) -> None:
    assert table.changelog == "shop-interest-changelog"
    assert store(table, 3, a=b"1", b=b"2").sent == [
        ("shop-interest-changelog", 3, [(b"a", b"1"), (b"b", b"2")])
    ]


def test_storing_nothing_is_no_error(table: StateTable) -> None:
    assert store(table, 0).sent == [("shop-interest-changelog", 0, [])]


def test_values_and_persisted_offsets_survive_a_restart(
    table: StateTable, reopened: Callable[[], StateTable]
) -> None:
    store(table, 1, a=b"1")
    table.persisted(1, 41)
    again = reopened()
    assert again.load(1, [b"a"]) == [b"1"]
    assert again._table.data.persisted_offset(TP(again.changelog, 1)) == 41
    assert again._table.data.persisted_offset(TP(again.changelog, 2)) is None


def test_a_user_with_the_name_of_faust_s_own_key_does_not_touch_the_offset(table: StateTable) -> None:
    assert rocksdb.Store.offset_key == OFFSET_KEY
    table.persisted(0, 7)
    changelog = store(table, 0, **{OFFSET_KEY.decode(): b"state"})
    assert table._table.data.persisted_offset(TP(table.changelog, 0)) == 7
    assert table.load(0, [OFFSET_KEY]) == [b"state"]
    # Recovery writes the changelog's keys as they are, so there it must be the other name as well.
    assert [key for key, _ in changelog.sent[0][2]] == [b"\0" + OFFSET_KEY]


@given(st.lists(st.sampled_from([b"", b"\0", b"a", OFFSET_KEY]), max_size=4).map(b"".join), st.binary())
def test_no_two_keys_become_one(key: bytes, other: bytes) -> None:
    assert free(key) != OFFSET_KEY
    assert freed(free(key)) == key
    for each in (other, b"\0" + key, key[1:]):
        assert (free(key) == free(each)) == (key == each)
