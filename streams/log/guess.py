"""Which mapping fits a log that is named without one: a preset, else what its columns look like."""

import logging
from typing import Final

from streams.log import presets
from streams.log.mapping import LogMapping
from streams.log.propose import propose
from streams.log.sniff import Sample, sniff
from streams.log.source import stem

_LOG: Final = logging.getLogger(__name__)


def guess(path: str) -> tuple[str, LogMapping]:
    """Name and mapping: a preset whose columns are those of the file, of several the one named in the path.

    Raises:
        InputError: none fits, and no column looks like a user or an item.
    """
    sample = sniff(path)
    fitting = [name for name in presets.names() if _fits(presets.preset(name), sample)]
    by_path = [name for name in fitting if name in path]
    by_header = [name for name in fitting if presets.preset(name).file.header]
    for name in (*by_path, *by_header):
        return name, presets.preset(name)
    mapping = propose(sample, path)
    _LOG.warning(
        "no preset fits, columns are guessed: path=%s user=%s item=%s time=%s kind=%s",
        path, mapping.columns.user, mapping.columns.item, mapping.time.column,
        mapping.kind.column or mapping.kind.constant,
    )  # fmt: skip
    return stem(path), mapping


def _fits(mapping: LogMapping, sample: Sample) -> bool:
    if mapping.file.header:
        return set(mapping.needed()) <= set(sample.columns)
    return not sample.file.header and len(sample.columns) == len(mapping.file.columns)
