"""Which preset fits a log."""

from streams.errors import InputError
from streams.log import presets
from streams.log.delimited import SEPARATORS
from streams.log.mapping import LogMapping
from streams.log.source import lines, opened


def guess(path: str) -> tuple[str, LogMapping]:
    """Name and mapping of the preset whose name is in the path, or whose columns are those of the file.

    Raises:
        InputError: none fits.
    """
    with opened(path) as source:
        first = next(lines(source), b"").decode(errors="replace").rstrip("\r\n")
    fitting = [name for name in presets.names() if _fits(presets.preset(name), first)]
    by_path = [name for name in fitting if name in path]
    by_header = [name for name in fitting if presets.preset(name).file.header]
    for name in (*by_path, *by_header):
        return name, presets.preset(name)
    raise InputError(
        f"No preset fits {path}, which begins with {first[:100]!r}.",
        fix=f"Name a mapping with --mapping: {', '.join(presets.names())}, or a TOML file.",
    )


def _fits(mapping: LogMapping, first: str) -> bool:
    values = first.split(SEPARATORS[mapping.file.format or "csv"])
    if mapping.file.header:
        return set(mapping.needed()) <= set(values)
    return len(values) == len(mapping.file.columns)
