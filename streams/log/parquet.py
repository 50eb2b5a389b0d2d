"""Parquet: read by row groups of a few thousand rows, only the columns that are needed."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from streams.errors import InputError
from streams.log.source import Source
from streams.log.table import Row, Table

BATCH_ROWS: Final = 8_192


def read_parquet(source: Source, needed: Sequence[str] = ()) -> Table:
    """The table in a Parquet file; ``needed`` columns alone are read, all of them without any.

    Raises:
        InputError: it is none, or cut off: what its columns are stands at its end.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(source.packed)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{source.path} is no Parquet file, or cut off: {error}", fix="Fetch or write it again."
        ) from error
    there = tuple(file.schema_arrow.names)
    columns = [name for name in needed if name in there] or list(there)
    lacking = tuple(name for name in there if name not in columns)
    return Table((*columns, *lacking), _rows(file, columns, len(lacking)))


def _rows(file: Any, columns: list[str], n_lacking: int) -> Iterator[Row]:
    line = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=columns):
        texts = [_as_text(batch.column(batch.schema.get_field_index(name))) for name in columns]
        texts += [[""] * batch.num_rows] * n_lacking
        for values in zip(*texts, strict=True):
            line += 1
            yield Row(line, values)


def _as_text(column: Any) -> list[str]:
    """As the values would stand in a CSV file; times in ISO."""
    import pyarrow

    try:
        texts: list[str] = column.cast(pyarrow.string()).fill_null("").to_pylist()
    except pyarrow.ArrowInvalid:  # binary columns that are no text, lists
        texts = ["" if value is None else str(value) for value in column.to_pylist()]
    return texts
