"""A log from its bytes to its events: opened, read into rows, understood, put in order, made events."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from streams.errors import InputError
from streams.log.delimited import read_delimited
from streams.log.events import Logged, to_events
from streams.log.guess import guess
from streams.log.in_time import in_time
from streams.log.json_lines import read_json_lines
from streams.log.mapping import FilePart, LogMapping
from streams.log.objects import JSON_FORMATS
from streams.log.parquet import read_parquet
from streams.log.parse import ROW_ERRORS, LogRow, Parser, why_not
from streams.log.presets import named
from streams.log.source import OnBytes, Source, opened, stem
from streams.log.table import CutOff, Row, Table, Unreadable, places
from streams.log.tally import Tally
from streams.log.written import as_written


def read_log(
    path: Path | str, mapping: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Logged]:
    """The events of a log in the order of time.

    ``mapping`` is the name of a preset or the path of a TOML file; None guesses. ``on_bytes`` is told the
    bytes done and to do: those of the file, and once more as many for a log that has to be sorted.

    Raises:
        InputError: the file or the mapping is not there or does not fit, or too many rows are unreadable.
    """
    return iter(Log(path, mapping, on_bytes))


class Log:
    """A log with its mapping, by name or ``known``; iterating reads it, ``tally`` counts what became of its rows."""

    def __init__(
        self,
        path: Path | str,
        mapping: str | None = None,
        on_bytes: OnBytes | None = None,
        known: tuple[str, LogMapping] | None = None,
    ) -> None:
        self.path = str(path)
        self.name, self.mapping = known or (named(mapping) if mapping else guess(self.path))
        self.tally = Tally(self.path, self.mapping.file.max_unreadable)
        self._on_bytes = on_bytes

    def __iter__(self) -> Iterator[Logged]:
        self.tally = Tally(self.path, self.mapping.file.max_unreadable)
        rows = self._in_order() if self.mapping.file.in_order else self._sorted()
        yield from to_events(rows)

    def rows(self, on_bytes: OnBytes | None = None) -> Iterator[LogRow]:
        """The rows that become events, as they lie in the file."""
        with opened(self.path, on_bytes or self._on_bytes) as source:
            table = read_table(source, self.mapping)
            at = places(table, self.mapping.needed(), self.path)
            parser = Parser(self.mapping, at, self.name, stem(self.path))
            self.tally.unmapped_kinds = parser.unmapped
            yield from self._parsed(table, parser)
        self.tally.end()

    def span_ms(self, *, to_the_end: bool = True) -> tuple[int, int] | None:
        """Times of the first and last event, None without any; reads the log once, without a word about it.

        Not ``to_the_end``, the last one is the first, and of a log in order no more is read.
        """
        quiet = Log(self.path, on_bytes=self._on_bytes, known=(self.name, self.mapping))
        quiet.tally.quiet = True
        rows = quiet.rows()
        if not to_the_end and self.mapping.file.in_order:
            rows = islice(rows, 1)
        first_ms, last_ms = math.inf, -math.inf
        for row in rows:
            first_ms, last_ms = min(first_ms, row.time_ms), max(last_ms, row.time_ms)
        if first_ms > last_ms:
            return None
        return int(first_ms), int(last_ms if to_the_end else first_ms)

    def _parsed(self, table: Table, parser: Parser) -> Iterator[LogRow]:
        tally = self.tally
        for row in table.rows:
            if isinstance(row, Row):
                tally.n_rows += row.place == 0
                try:
                    parsed = parser.parse(row.values, tally.n_rows - 1, row.place)
                except ROW_ERRORS as error:
                    tally.unreadable(Unreadable(row.line, ",".join(row.values), why_not(error)))
                    continue
                if parsed is None:
                    tally.n_left_out += 1
                else:
                    yield parsed
            elif isinstance(row, CutOff):
                tally.cut_off(row.line)
            else:
                tally.n_rows += 1
                tally.unreadable(row)

    def _in_order(self) -> Iterator[LogRow]:
        latest_ms = 0
        for row in self.rows():
            if row.time_ms < latest_ms:
                self.tally.back_in_time(row.number)
            latest_ms = max(latest_ms, row.time_ms)
            yield row

    def _sorted(self) -> Iterator[LogRow]:
        """Half of the work is reading, the other half begins once all is read."""
        on_bytes = self._on_bytes
        if on_bytes is None:
            yield from in_time(self.rows())
            return
        size_bytes = 0

        def reading(done: int, total: int) -> None:
            nonlocal size_bytes
            size_bytes = total
            on_bytes(done, 2 * total)

        for n, row in enumerate(in_time(self.rows(reading)), 1):
            if n % 1_000 == 0:
                on_bytes(size_bytes + size_bytes * n // self.tally.n_rows, 2 * size_bytes)
            yield row
        on_bytes(2 * size_bytes, 2 * size_bytes)


def read_table(source: Source, mapping: LogMapping) -> Table:
    """The columns and rows of an opened log.

    Raises:
        InputError: the file is empty or of another format.
    """
    file = as_written(mapping.file, source.path)
    table = _table(source, file, mapping)
    if not table.columns:
        raise InputError(f"{source.path} is empty.", fix="Give a file with a header and rows.")
    return table


def _table(source: Source, file: FilePart, mapping: LogMapping) -> Table:
    if file.format == "parquet":
        return read_parquet(source, mapping.needed())
    if file.format in JSON_FORMATS:
        return read_json_lines(source, file, mapping.needed(), mapping.rare())
    return read_delimited(source, file)
