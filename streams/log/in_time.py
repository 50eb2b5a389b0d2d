"""Rows in the order of time, whatever order they come in, in bounded memory: an external merge sort.

Up to ``max_rows`` are sorted in memory. Beyond, each such run of rows is sorted and written to a temporary
folder, and all runs are merged in one pass. Never more than ``MAX_RUNS`` files are open: when there are more,
runs are first merged into longer ones."""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from streams.log.parse import LogRow

MAX_ROWS: Final = 200_000
"""Rows in memory at once, 1 kB each."""
MAX_RUNS: Final = 64
_LENGTH_BYTES: Final = 4


def in_time(rows: Iterable[LogRow], max_rows: int = MAX_ROWS, max_runs: int = MAX_RUNS) -> Iterator[LogRow]:
    """The rows by time, then order number, then place in the file; nothing comes before all is read."""
    left = iter(rows)
    first = _sorted(left, max_rows)
    if len(first) < max_rows:
        yield from first
        return
    with tempfile.TemporaryDirectory(prefix="rillet-sort-") as folder:
        runs = [_write(Path(folder) / "0", first)]
        first.clear()
        while _write(path := Path(folder) / str(len(runs)), _sorted(left, max_rows)).stat().st_size:
            runs.append(path)
        path.unlink()
        yield from _merged(runs, max_runs)


def _sorted(rows: Iterator[LogRow], n: int) -> list[LogRow]:
    return sorted(islice(rows, n), key=_moment)


def _moment(row: LogRow) -> tuple[int, str, int]:
    return row.time_ms, row.order, row.number


def _merged(runs: list[Path], max_runs: int) -> Iterator[LogRow]:
    n_written = len(runs)
    while len(runs) > max_runs:
        taken, runs = runs[:max_runs], runs[max_runs:]
        runs.append(_write(taken[0].with_name(str(n_written)), _merge(taken)))
        n_written += 1
        for each in taken:
            each.unlink()
    yield from _merge(runs)


def _merge(runs: list[Path]) -> Iterator[LogRow]:
    return heapq.merge(*map(_read, runs), key=_moment)


def _write(path: Path, rows: Iterable[LogRow]) -> Path:
    encode = msgspec.msgpack.Encoder().encode
    with path.open("wb") as file:
        for row in rows:
            packed = encode(row)
            file.write(len(packed).to_bytes(_LENGTH_BYTES, "little") + packed)
    return path


def _read(path: Path) -> Iterator[LogRow]:
    decode = msgspec.msgpack.Decoder(LogRow).decode
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield decode(file.read(int.from_bytes(length, "little")))
