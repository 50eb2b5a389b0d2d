"""The book of profiles: counted once whatever is redelivered, windows published when they close."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from faust.types import TP

from models.ingest.record import Accepted, Ingested
from models.quality.observe import NOT_APPLICABLE, QualityBatch
from models.quality.settings import QualitySettings
from schemas import topics
from schemas.events import Browse
from schemas.quality import QualityReport
from streams.metrics import stage_seconds
from streams.quality import QualityBook

SETTINGS = QualitySettings(window_s=10, allowed_lateness_s=20, quiet_s=30)
LONG_AGO_MS = 1_700_000_000_000
EPOCH = 5


class Parcel:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.added: list[tuple[str, bytes, bytes]] = []
        self.sealed = False
        self.delivered: Any = None

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        self.added.append((topic, key, value))

    def seal(self) -> None:
        self.sealed = True
        self.delivered.set_result(None)

    @property
    def reports(self) -> list[QualityReport]:
        assert {topic for topic, _, _ in self.added} <= {topics.QUALITY}
        return [msgspec.json.decode(value, type=QualityReport) for _, _, value in self.added]


class Outbox:
    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def parcel(self) -> Parcel:
        self.parcels.append(Parcel())
        self.parcels[-1].delivered = asyncio.get_running_loop().create_future()
        return self.parcels[-1]


class Table:
    """Values by partition and key, as the state table keeps them."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, bytes], bytes] = {}
        self.n_stored = 0

    def load(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.values.get((partition, key)) for key in keys]

    def store(self, partition: int, items: Sequence[tuple[bytes, bytes]], parcel: Parcel) -> None:
        self.values.update({(partition, key): value for key, value in items})
        self.n_stored += 1


class Given:
    """A book, and what lies around it."""

    def __init__(self, table: Table | None = None) -> None:
        self.outbox, self.table = Outbox(), table or Table()
        around: Any = self
        self.book = QualityBook(around.table, SETTINGS, around.outbox)

    def observe(self, *events: tuple[int, int], partition: int = 0) -> list[QualityReport]:
        """Browse events as (offset, event time in seconds after the start); the reports that they caused."""
        self.book.add(batch(*events, partition=partition), EPOCH)
        return self.count(EPOCH)

    def count(self, epoch: int) -> list[QualityReport]:
        parcel: Any = Parcel()
        self.book.count(epoch, parcel)
        reports: list[QualityReport] = parcel.reports
        return reports

    def close_quiet(self, *assignment: TP) -> list[QualityReport]:
        asyncio.run(self.book.close_quiet(set(assignment), EPOCH))
        assert self.outbox.parcels[-1].sealed
        return self.outbox.parcels[-1].reports


def batch(*events: tuple[int, int], partition: int = 0, start_ms: int = LONG_AGO_MS) -> QualityBatch:
    n = len(events)
    times = [start_ms + at_s * 1_000 for _, at_s in events]
    accepted = [
        Accepted(offset, time_ms, Browse(event_id=f"e{offset}", user_id="u", time_ms=time_ms, item_id="i"))
        for (offset, _), time_ms in zip(events, times, strict=True)
    ]
    silent = np.full(n, NOT_APPLICABLE, np.int8)
    return QualityBatch(
        topics.BROWSE,
        partition,
        Ingested(accepted, [], {}),
        np.array(times, np.int64),
        np.zeros(n, np.bool_),
        silent,
        silent,
        np.full((n, 3), NOT_APPLICABLE, np.int8),
        start_ms + 1_000_000,
    )


BROWSE_0 = TP(topics.BROWSE, 0)


def test_a_window_is_published_when_event_time_has_left_it_for_long_enough() -> None:
    given = Given()
    assert given.observe((1, 0), (2, 9)) == []
    assert given.observe((3, 29)) == []
    # The first window ends after 10 s, and is held open for 20 s more of event time.
    (report,) = given.observe((4, 30))
    assert (report.source, report.window_start_ms, report.n_events) == (topics.BROWSE, LONG_AGO_MS, 2)


def test_redelivered_records_are_not_counted_again() -> None:
    given = Given()
    given.observe((1, 0), (2, 1))
    given.observe((1, 0), (2, 1), (3, 2))
    (report,) = given.observe((4, 30))
    assert report.n_events == 3


def test_batches_that_wait_are_counted_together() -> None:
    given = Given()
    given.book.add(batch((1, 0), (2, 1)), EPOCH)
    given.book.add(batch((2, 1), (3, 2)), EPOCH)  # 2 was fetched again
    given.book.add(batch((1, 0), partition=1), EPOCH)
    assert (given.count(EPOCH), given.table.n_stored) == ([], 2)
    (report,) = given.observe((4, 30))
    assert report.n_events == 3


def test_what_counting_takes_is_a_stage_of_the_path() -> None:
    before = stage_seconds().get("quality", 0.0)
    Given().observe((1, 0), (2, 9))
    assert stage_seconds()["quality"] > before


def test_what_waits_when_partitions_are_assigned_anew_is_left_to_its_redelivery() -> None:
    given = Given()
    given.book.add(batch((1, 0), (2, 1)), EPOCH)
    assert (given.count(EPOCH + 1), given.table.values) == ([], {})
    given.book.add(batch((1, 0), (2, 1)), EPOCH + 1)
    given.book.add(batch((1, 0), partition=1), EPOCH + 2)
    given.count(EPOCH + 2)
    assert given.table.values.keys() == {(1, topics.BROWSE.encode())}


def test_windows_do_not_close_over_what_waits() -> None:
    given = Given()
    given.observe((1, 0))
    given.book.add(batch((2, 1)), EPOCH)
    assert [report.n_events for report in given.close_quiet(BROWSE_0)] == [2]


def test_partitions_have_books_of_their_own() -> None:
    given = Given()
    given.observe((1, 0), partition=0)
    given.observe((1, 0), (2, 1), partition=1)
    assert [report.n_events for report in given.observe((2, 30), partition=0)] == [1]
    assert [report.n_events for report in given.observe((3, 30), partition=1)] == [2]


def test_windows_of_a_quiet_partition_close_by_the_clock() -> None:
    given = Given()
    given.observe((1, 0), (2, 12))
    assert [report.n_events for report in given.close_quiet(BROWSE_0)] == [1, 1]
    assert given.close_quiet(BROWSE_0) == []


def test_windows_of_a_partition_that_is_not_quiet_stay_open() -> None:
    given = Given()
    given.book.add(batch((1, 0), start_ms=int(time.time() * 1000)), EPOCH)
    given.count(EPOCH)
    stored = given.table.n_stored
    assert given.close_quiet(BROWSE_0) == []
    assert given.table.n_stored == stored


def test_a_partition_that_was_given_away_is_left_to_its_new_owner() -> None:
    given = Given()
    given.observe((1, 0))
    assert given.close_quiet(TP(topics.BROWSE, 1)) == []


@pytest.mark.parametrize("assigned_before", [[], [TP(topics.BROWSE, 1)]])
def test_windows_that_another_run_left_open_are_closed_though_nothing_comes(
    assigned_before: list[TP],
) -> None:
    first = Given()
    first.observe((1, 0))
    second = Given(first.table)
    second.close_quiet(*assigned_before)
    assert [report.n_events for report in second.close_quiet(BROWSE_0)] == [1]


def test_changelogs_in_the_assignment_are_no_sources() -> None:
    given = Given()
    assert given.close_quiet(TP("rillet-quality-changelog", 0)) == []
    assert given.table.values == {}
