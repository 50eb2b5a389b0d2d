"""What the read model makes of records: the newest holds, repeats and removals are known, and all is bounded."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from schemas import headers, topics
from schemas.api import DeadLetterSummary
from schemas.catalog import Item
from schemas.rejections import Reason, Rejection
from streams.api.live import Hub
from streams.api.read_model import ReadModel, Sweeper
from streams.api.settings import ApiSettings
from streams.api.store import Held, Store, StoreError
from streams.follow import FollowedRecord
from streams.settings import load

NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def fail(error: BaseException) -> None:
    raise error


def model(store: Store, hub: Hub | None = None) -> ReadModel:
    return ReadModel(load(environ={}), store, hub or Hub(), fail)


async def begin(store: Store, servers: str) -> None:
    """Start to follow, and stop."""
    reads = ReadModel(load(environ={"RILLET_BOOTSTRAP_SERVERS": servers}), store, Hub(), fail)
    await reads.start()
    await asyncio.to_thread(reads.stop)


def record(topic: str, offset: int, key: bytes, value: bytes | None, **more: Any) -> FollowedRecord:
    given = {"partition": 0, "timestamp": NOW_MS, "headers": ()} | more
    return FollowedRecord(topic=topic, offset=offset, key=key, value=value, **given)


def slate(offset: int, user: bytes = b"u", slate_id: bytes | None = None, **more: Any) -> FollowedRecord:
    named = [(headers.SLATE_ID, slate_id or b"events.browse-0-%d" % offset)]
    return record(topics.SLATES, offset, user, b'{"n":%d}' % offset, headers=named, **more)


def test_the_newest_slate_of_a_batch_holds_and_the_place_is_kept(store: Store) -> None:
    model(store).apply([slate(1), slate(2), slate(3, b"other")])
    held = store.get(topics.SLATES, b"u")
    assert held is not None
    assert (held.id, held.body) == (b"events.browse-0-2", b'{"n":2}')
    assert store.offsets() == {(topics.SLATES, 0): 4}


def test_a_repeat_is_neither_written_nor_told(store: Store) -> None:
    hub = Hub()
    reads, watch = model(store, hub), hub.watch(b"u")
    reads.apply([slate(1)])
    assert len(watch.take()) == 1
    reads.apply([slate(2, slate_id=b"events.browse-0-1")])
    assert watch.take() == []
    assert store.offsets() == {(topics.SLATES, 0): 3}


def test_a_null_value_removes_the_key(store: Store) -> None:
    reads = model(store)
    reads.apply([record(topics.RELATED, 1, b"i", b'{"item_id":"i","items":[],"updated_ms":1}')])
    assert store.get(topics.RELATED, b"i") is not None
    reads.apply([record(topics.RELATED, 2, b"i", None)])
    assert store.get(topics.RELATED, b"i") is None


@pytest.mark.parametrize(
    "topic", [topics.SLATES, topics.TRENDING, topics.RELATED, topics.VERSIONS, topics.ASSETS]
)
def test_what_cannot_be_read_does_not_replace_what_is_held(store: Store, topic: str) -> None:
    store.changes().put(topic, b"k", Held(1, b"", b'{"held":1}')).write()
    model(store).apply(
        [record(topic, n, b"k", broken) for n, broken in enumerate((b"", b"nix", b"[", b"\xff"))]
    )
    held = store.get(topic, b"k")
    assert held is not None
    assert held.body == b'{"held":1}'
    assert store.offsets() == {(topic, 0): 4}


def test_a_topic_that_begins_again_is_forgotten_and_read_anew_by_another_start(store: Store) -> None:
    reads = model(store)
    reads.apply([slate(n, b"%d" % n) for n in range(5, 8)])
    with pytest.raises(StoreError, match="made anew"):
        reads.apply([slate(0, b"new")])
    assert list(store.after(topics.SLATES, b"")) == []
    assert store.offsets() == {}


def test_the_catalogue_is_held_as_ingest_reads_it(store: Store) -> None:
    item = msgspec.json.encode(Item(item_id="i", time_ms=NOW_MS, title="shoe"))
    model(store).apply(
        [
            record(topics.ITEMS, 1, b"i", item),
            record(topics.ITEMS, 2, b"bad", b"{"),
            record(topics.ITEMS, 3, b"j", item),
        ]
    )
    assert [key for key, _ in store.after(topics.ITEMS, b"")] == [
        b"i"
    ]  # the last one's key is another item's


def test_reports_lose_their_sketches_and_what_is_no_json_is_left_out(store: Store) -> None:
    body = b'{"source":"events.browse","sketches":"AAAA"}'
    model(store).apply([record(topics.QUALITY, 1, b"s", body), record(topics.QUALITY, 2, b"s", b"nix")])
    (report,) = store.newest(topics.QUALITY)
    assert (report.key, report.body) == (b"s", b'{"source":"events.browse"}')


def test_dead_letters_are_held_without_their_bytes(store: Store) -> None:
    refused = record(topics.BROWSE, 7, b"u", b"{broken")
    letter = bury(Rejected(refused, Rejection(Reason.BROKEN_JSON, "it is broken")))
    model(store).apply([record(topics.DEAD_LETTER, 1, b"u", letter.value, headers=letter.headers)])
    (held,) = store.newest(topics.DEAD_LETTER)
    told = msgspec.json.decode(held.body, type=DeadLetterSummary)
    assert (told.topic, told.source_offset, told.reason, told.size_bytes) == (
        topics.BROWSE,
        7,
        "broken_json",
        7,
    )
    assert b"{broken" not in held.body


def test_slates_go_when_they_are_too_old(store: Store) -> None:
    model(store).apply([slate(1, b"old", timestamp=NOW_MS - 2 * DAY_MS), slate(2, b"new")])
    sweeper = Sweeper(store, ApiSettings(slate_ttl_s=DAY_MS / 1000))
    assert asyncio.run(sweeper.sweep(topics.SLATES)) == 1
    assert [key for key, _ in store.after(topics.SLATES, b"")] == [b"new"]


def test_what_is_too_much_goes_from_the_oldest_minute_on(store: Store) -> None:
    minute_ms = 60_000
    model(store).apply([slate(n, b"%d" % n, timestamp=NOW_MS - n * minute_ms) for n in range(6)])
    sweeper = Sweeper(store, ApiSettings(max_entries=3))
    asyncio.run(sweeper.sweep(topics.SLATES))  # counts
    assert asyncio.run(sweeper.sweep(topics.SLATES)) == 3
    assert [key for key, _ in store.after(topics.SLATES, b"")] == [b"0", b"1", b"2"]


def test_of_a_catalogue_sent_at_once_as_much_is_held_as_may_be(store: Store) -> None:
    for n in range(6):
        model(store).apply([slate(n, b"%d" % n)])  # all of one minute
    sweeper = Sweeper(store, ApiSettings(max_entries=4))
    asyncio.run(sweeper.sweep(topics.SLATES))  # counts
    assert [asyncio.run(sweeper.sweep(topics.SLATES)) for _ in range(2)] == [4, 4]


def test_a_flood_of_dead_letters_is_cut_in_one_round(store: Store) -> None:
    changes = store.changes()
    for offset in range(50):  # a quiet partition, whose letters are the oldest
        changes.add(topics.DEAD_LETTER, 0, offset, NOW_MS - 5_000 + offset, b"", b"{}")
    for offset in range(1_000):
        changes.add(topics.DEAD_LETTER, 1, offset, NOW_MS + offset, b"", b"{}")
    changes.write()
    asyncio.run(Sweeper(store, ApiSettings(max_reports=100)).cut(topics.DEAD_LETTER, pause_s=0.0))
    left = [(each.partition, each.offset) for each in store.newest(topics.DEAD_LETTER)]
    assert left == [(1, offset) for offset in range(999, 899, -1)]


def test_a_log_is_read_again_to_be_cut_once_a_tenth_has_come(store: Store) -> None:
    reads, sweeper = model(store), Sweeper(store, ApiSettings(max_reports=100))
    held = []
    for offsets in (range(100), range(100, 109), range(109, 110)):
        reads.apply([record(topics.ALERTS, offset, b"s", b"{}") for offset in offsets])
        asyncio.run(sweeper.cut(topics.ALERTS, pause_s=0.0))
        held.append(len(list(store.newest(topics.ALERTS))))
    assert held == [100, 109, 100]


def test_logs_are_cut_by_age_and_number(store: Store) -> None:
    reads = model(store)
    reads.apply([record(topics.ALERTS, 0, b"s", b"{}", timestamp=NOW_MS - 2 * DAY_MS)])
    reads.apply([record(topics.ALERTS, n, b"s", b"{}", timestamp=NOW_MS + n) for n in range(1, 151)])
    asyncio.run(Sweeper(store, ApiSettings(history_days=1.0, max_reports=100)).cut(topics.ALERTS))
    offsets = [each.offset for each in store.newest(topics.ALERTS)]
    assert offsets == list(range(150, 50, -1))


def test_what_is_held_of_a_topic_with_fewer_partitions_goes(store: Store, embedded: str) -> None:
    store.changes().put(topics.SLATES, b"u", Held(1, b"", b"{}")).reached(topics.SLATES, 7, 42).write()

    asyncio.run(begin(store, embedded))
    assert store.get(topics.SLATES, b"u") is None
    assert store.offsets() == {}


def test_what_was_not_followed_for_longer_than_removals_are_kept_is_made_anew(
    store: Store, embedded: str
) -> None:
    item, report = Held(1, b"", b"{}"), (topics.ALERTS, 0, 0, NOW_MS, b"s", b"{}")
    store.changes().put(topics.ITEMS, b"gone", item).add(*report).followed(NOW_MS - 8 * DAY_MS).write()
    asyncio.run(begin(store, embedded))
    assert store.get(topics.ITEMS, b"gone") is None
    assert len(list(store.newest(topics.ALERTS))) == 1  # of these nothing is ever removed
    store.changes().put(topics.ITEMS, b"there", item).followed(NOW_MS - 6 * DAY_MS).write()
    asyncio.run(begin(store, embedded))
    assert store.get(topics.ITEMS, b"there") is not None
