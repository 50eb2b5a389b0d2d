"""How a file is written, told by its name."""

from typing import Final, Literal

from streams.log.mapping import FilePart
from streams.log.source import suffixes

_BY_ENDING: Final[dict[str, Literal["csv", "tsv", "jsonl", "parquet"]]] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def as_written(file: FilePart, path: str) -> FilePart:
    """The same with its format, the one of the file's name where the mapping names none."""
    if file.format:
        return file
    endings = [_BY_ENDING[each.lower()] for each in suffixes(path) if each.lower() in _BY_ENDING]
    return file.model_copy(update={"format": endings[-1] if endings else "csv"})
