"""The read model on disk: what is written together is there together, in order, and only once opened."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import topics
from streams.api.store import Held, Store, StoreError
from streams.errors import SettingsError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def test_values_and_offsets_of_a_write_are_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    held = Held(7, b"id", b"{}")
    store.changes().put(topics.SLATES, b"u", held).reached(topics.SLATES, 3, 42).write()
    store.close()
    store = Store(tmp_path)
    assert store.get(topics.SLATES, b"u") == held
    assert store.offsets() == {(topics.SLATES, 3): 42}
    store.close()


def test_changes_that_were_not_written_are_not_there(store: Store) -> None:
    store.changes().put(topics.SLATES, b"u", Held(7, b"id", b"{}")).reached(topics.SLATES, 3, 42)
    assert store.get(topics.SLATES, b"u") is None
    assert store.offsets() == {}


def test_a_removed_key_is_gone(store: Store) -> None:
    store.changes().put(topics.RELATED, b"i", Held(1, b"", b"{}")).write()
    store.changes().remove(topics.RELATED, [b"i"]).write()
    assert store.get(topics.RELATED, b"i") is None


def test_topics_do_not_mix(store: Store) -> None:
    store.changes().put(topics.SLATES, b"k", Held(1, b"", b"1")).put(
        topics.ITEMS, b"k", Held(2, b"", b"2")
    ).write()
    assert [held.body for _, held in store.after(topics.SLATES, b"")] == [b"1"]
    assert [held.body for _, held in store.after(topics.ITEMS, b"")] == [b"2"]


def test_reports_come_newest_first_and_go_on_behind_a_place(store: Store) -> None:
    for offset, time_ms in enumerate((30, 10, 20)):
        store.changes().add(topics.ALERTS, 0, offset, time_ms, b"k", b"%d" % time_ms).write()
    first, *rest = store.newest(topics.ALERTS)
    assert (first.time_ms, first.offset, first.body) == (30, 0, b"30")
    assert list(store.newest(topics.ALERTS, first.place)) == rest


def test_a_record_without_a_time_stands_before_all_others(store: Store) -> None:
    store.changes().add(topics.ALERTS, 0, 0, -1, b"", b"").add(topics.ALERTS, 0, 1, 5, b"", b"").write()
    assert [each.time_ms for each in store.newest(topics.ALERTS)] == [5, 0]


def test_what_is_held_of_one_topic_is_forgotten_alone(store: Store) -> None:
    store.changes().put(topics.SLATES, b"u", Held(1, b"", b"")).reached(topics.SLATES, 0, 9).write()
    store.changes().put(topics.ITEMS, b"i", Held(1, b"", b"")).reached(topics.ITEMS, 0, 8).write()
    store.forget(topics.SLATES)
    assert store.get(topics.SLATES, b"u") is None
    assert store.get(topics.ITEMS, b"i") is not None
    assert store.offsets() == {(topics.ITEMS, 0): 8}


def test_a_second_process_is_refused_with_the_way_out(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"api\.datadir"):
        Store(tmp_path / "store")


def test_damage_is_told_and_never_taken_for_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in range(2_000):
        store.changes().put(topics.ITEMS, b"%06d" % n, Held(1, b"", random.randbytes(100))).write()
    store._db.flush()
    store.close()
    (table,) = tmp_path.glob("*.sst")
    with table.open("r+b") as written:
        written.seek(table.stat().st_size // 2)
        written.write(bytes(5_000))
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be read"):
        list(store.after(topics.ITEMS, b""))
    with pytest.raises(StoreError, match="cannot be read"):
        [store.get(topics.ITEMS, b"%06d" % n) for n in range(2_000)]
    store.close()


def test_a_damaged_folder_is_not_taken_for_that_of_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "block")
    store._db.flush()
    store.close()
    (table,) = (tmp_path / "block").glob("*.sst")
    table.write_bytes(bytes(100))
    with pytest.raises(StoreError, match="Delete the folder"):
        Store(tmp_path / "block")


@settings(deadline=None, max_examples=25)
@given(keys=st.sets(st.binary(min_size=1, max_size=6), max_size=20), limit=st.integers(1, 7))
def test_pages_hold_every_key_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, keys: set[bytes], limit: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    changes = store.changes()
    for key in keys:
        changes.put(topics.RELATED, key, Held(1, b"", key))
    changes.write()
    found: list[bytes] = []
    while page := [key for key, _ in islice(store.after(topics.RELATED, found[-1] if found else b""), limit)]:
        found += page
    store.close()
    assert found == sorted(keys)
