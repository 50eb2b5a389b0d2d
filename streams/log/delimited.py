"""CSV and TSV: rows of values between separators."""

import csv
from collections.abc import Iterator
from typing import Any, Final

from streams.errors import InputError
from streams.log.mapping import FilePart
from streams.log.source import Source
from streams.log.table import CutOff, Row, Table, Unreadable
from streams.log.text import Text

SEPARATORS: Final = {"csv": ",", "tsv": "\t"}


def read_delimited(source: Source, file: FilePart) -> Table:
    """The table in a CSV or TSV file; empty without columns when the file is."""
    text = Text(source, file.encoding)
    separator = file.separator or SEPARATORS[file.format or "csv"]
    reader = csv.reader(
        text,
        delimiter=separator,
        quotechar=file.quote or None,
        quoting=csv.QUOTE_MINIMAL if file.quote else csv.QUOTE_NONE,
    )
    columns = _header(reader, source) if file.header else file.columns
    return Table(columns, _rows(reader, len(columns), separator, text))


def _header(reader: Any, source: Source) -> tuple[str, ...]:
    try:
        return tuple(next(reader, ()))
    except csv.Error as error:
        raise InputError(
            f"{source.path} does not begin with a row of column names: {error}.",
            fix="Check that it is text with values between separators, a row a line.",
        ) from error


def _rows(reader: Any, n_columns: int, separator: str, text: Text) -> Iterator[Row | Unreadable | CutOff]:
    """An unreadable row is held until it is known whether it was the last, and cut off."""
    held: Unreadable | None = None
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            held, passed = Unreadable(reader.line_num, "", str(error)), held
            if passed:
                yield passed
            continue
        if values is None:
            break
        if held:
            yield held
            held = None
        if len(values) == n_columns:
            yield Row(reader.line_num, values)
        elif values:
            why = f"{len(values)} values in {n_columns} columns"
            held = Unreadable(reader.line_num, separator.join(values), why)
    if held:
        yield held if text.whole else CutOff(held.line)
