"""What a log looks like before anyone said what it means: format, separator, header, columns, first rows."""

import codecs
from itertools import islice
from typing import Any, Final, NamedTuple

from streams.errors import InputError
from streams.log.delimited import read_delimited
from streams.log.json_lines import read_json_lines
from streams.log.mapping import FilePart
from streams.log.parquet import read_parquet
from streams.log.source import PACKED, lines, opened
from streams.log.table import Row, Table
from streams.log.written import as_written

SAMPLE_ROWS: Final = 10_000
HEAD_LINES: Final = 50
_SEPARATORS: Final = (",", "\t", ";", "|")


class Sample(NamedTuple):
    """The first rows of a log."""

    file: FilePart
    columns: tuple[str, ...]
    rows: list[Row]

    def values(self, column: str) -> list[str]:
        """What stands in a column, empty values left out."""
        at = self.columns.index(column)
        return [value for row in self.rows if (value := row.values[at].strip())]


def sniff(path: str) -> Sample:
    """The first rows of a log, read as what it looks like.

    Raises:
        InputError: it is empty, or cannot be read.
    """
    file = _file(path)
    with opened(path) as source:
        if file.format == "parquet":
            table = read_parquet(source)
        elif file.format == "jsonl":
            table = read_json_lines(source, file)
        else:
            table = read_delimited(source, file)
        return Sample(file, table.columns, _first_rows(table))


def _first_rows(table: Table) -> list[Row]:
    return [row for row in islice(table.rows, SAMPLE_ROWS) if isinstance(row, Row)]


def _file(path: str) -> FilePart:
    if as_written(FilePart(), path).format == "parquet":
        return FilePart(format="parquet")
    with opened(path) as source:
        raw = b"".join(islice(lines(source), HEAD_LINES))
    if not raw:
        raise InputError(f"{path} is empty.", fix="Give a file with rows.")
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    head = raw.decode(encoding, errors="replace").splitlines() or [""]
    if head[0].startswith("PAR1") and not path.endswith(PACKED):
        return FilePart(format="parquet")
    if "".join(head).lstrip("\ufeff \t").startswith("[{"):
        raise InputError(
            f"{path} is one JSON array.", fix="Write JSON lines, an object a line: `jq -c '.[]'` does it."
        )
    if head[0].lstrip("\ufeff \t").startswith("{"):
        return FilePart(format="jsonl")
    return _delimited(head, {"encoding": encoding} if encoding != "utf-8" else {})


def _delimited(head: list[str], known: dict[str, Any]) -> FilePart:
    separator = max(_SEPARATORS, key=lambda each: _fewest(head, each))
    first = [value.strip('" \r\n') for value in head[0].split(separator)]
    if separator not in ",\t":
        known = {**known, "separator": separator}
    form = "tsv" if separator == "\t" else "csv"
    if any(_is_number(value) for value in first):
        names = tuple(f"column{n}" for n in range(1, len(first) + 1))
        return FilePart(format=form, header=False, columns=names, **known)
    return FilePart(format=form, **known)


def _fewest(head: list[str], separator: str) -> int:
    """Separators of the line that has fewest."""
    return min(line.count(separator) for line in head[:-1] or head)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
