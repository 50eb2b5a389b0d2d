"""Metrics keep to their conventions, are all on their page, and forget partitions that were given away."""

import re
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import REGISTRY

from streams import metrics
from streams.metrics_page import page, rows

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_metrics_generate() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_page_names_every_metric_that_is_served() -> None:
    served = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in REGISTRY.collect()
        if family.name.startswith("rillet_")
    }
    assert {row.name for row in rows()} == served


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_names_and_labels_keep_to_the_convention(row: Any) -> None:
    assert re.fullmatch(r"rillet(_[a-z]+)+", row.name)
    assert (row.type == "counter") == row.name.endswith("_total")
    assert row.meaning.endswith(".")
    assert not {"user", "user_id", "item", "item_id"} & set(row.labels)


class Consumer:
    """As much of Faust's as is asked for: partition to (committed offset, end)."""

    def __init__(self, partitions: dict[TP, tuple[int | None, int | None]]) -> None:
        self._partitions = partitions
        self._committed_offset = {tp: committed for tp, (committed, _) in partitions.items()}

    def assignment(self) -> set[TP]:
        return set(self._partitions)

    def highwater(self, tp: TP) -> int | None:
        return self._partitions[tp][1]


def series(name: str) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["topic"], sample.labels["partition"]): sample.value
        for family in REGISTRY.collect()
        if family.name == name
        for sample in family.samples
    }


def test_lag_is_what_lies_between_commit_and_end_of_the_partitions_that_are_ours() -> None:
    ours = {TP("t", 0): (5, 12), TP("t", 1): (None, 3), TP("t", 2): (9, None), TP("changelog", 0): (1, 2)}
    metrics.watch_offsets(Consumer(ours), ["t"])
    # A commit that is ahead of the end last heard of is no negative lag.
    assert series("rillet_lag_records") == {("t", "0"): 7, ("t", "1"): 3, ("t", "2"): 0}
    assert series("rillet_committed_offset") == {("t", "0"): 5, ("t", "1"): 0, ("t", "2"): 9}
    metrics.watch_offsets(Consumer({TP("t", 1): (3, 3)}), ["t"])
    assert series("rillet_lag_records") == {("t", "1"): 0}
    assert series("rillet_committed_offset") == {("t", "1"): 3}


def test_tables_are_measured_by_the_files_of_their_partitions(tmp_path: Path) -> None:
    for name, size in (("interest-0.db", 5), ("interest-1.db", 7), ("quality-0.db", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000004.sst").write_bytes(b"x" * size)
    assert metrics.table_sizes(tmp_path) == {"interest": 12, "quality": 2}
    assert metrics.table_sizes(tmp_path / "none") == {}


def test_the_memory_limit_is_the_group_s_or_the_machine_s(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    machine = metrics.memory_limit_bytes(limit)  # there is no such file
    limit.write_text("max\n")
    assert metrics.memory_limit_bytes(limit) == machine > 2**28
    limit.write_text("104857600\n")
    assert metrics.memory_limit_bytes(limit) == 104_857_600


def test_the_room_left_is_that_of_the_disk_of_the_state(tmp_path: Path) -> None:
    metrics.watch_room(tmp_path, tmp_path / "tables")
    free, size = (metrics.DISK_FREE._value.get(), metrics.DISK_SIZE._value.get())
    assert 0 < free <= size
