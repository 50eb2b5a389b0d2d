import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.kinds import Kind
from streams.log import read_log
from streams.log.in_time import in_time
from streams.log.parse import LogRow

AT_MS = 1_700_000_000_000


def a_row(time: int, order: str, number: int) -> LogRow:
    return LogRow(
        time_ms=AT_MS + time,
        order=order,
        number=number,
        kind=Kind.VIEW,
        event_id=f"e{number}",
        user="a",
        item="1",
        session=None,
        platform=None,
        store_id=None,
        category=None,
        brand=None,
        price=1.5,
        quantity=1,
        query="",
        rating=None,
        dwell_ms=None,
    )


@given(
    moments=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["", "x", "y"])), max_size=60),
    max_rows=st.integers(1, 12),
    max_runs=st.integers(2, 4),
)
def test_rows_come_out_as_if_sorted_in_memory(
    moments: list[tuple[int, str]], max_rows: int, max_runs: int
) -> None:
    rows = [a_row(time, order, number) for number, (time, order) in enumerate(moments)]
    expected = sorted(rows, key=lambda row: (row.time_ms, row.order, row.number))
    assert list(in_time(iter(rows), max_rows, max_runs)) == expected


def test_no_more_rows_than_allowed_are_taken_at_once_and_nothing_is_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = in_time((a_row(100 - n, "", n) for n in range(100)), max_rows=10, max_runs=3)
    assert next(rows).number == 99
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) <= 3
    assert [row.number for row in rows] == list(range(98, -1, -1))
    assert not list(tmp_path.iterdir())


def test_reading_and_handing_out_each_count_half_for_a_log_that_is_sorted(tmp_path: Path) -> None:
    text = "SessionId\tItemId\tTime\n" + "".join(f"1\t{n}\t{1_700_000_000 - n}\n" for n in range(5_000))
    path = tmp_path / "serenade.tsv"
    path.write_text(text)
    told: list[tuple[int, int]] = []
    assert sum(1 for _ in read_log(path, "serenade", lambda *done: told.append(done))) == 5_000
    assert told == sorted(told)
    assert told[-1] == (2 * len(text), 2 * len(text))
