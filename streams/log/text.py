"""Lines of bytes to lines of text: the encoding of the mapping, and line by line another where that fails."""

import codecs
import io
import logging
from collections.abc import Iterator
from typing import Final

from streams.errors import InputError
from streams.log.source import Source, lines, read_as_far_as_it_goes

FALLBACK: Final = "cp1252"
_LOG: Final = logging.getLogger(__name__)


class Text:
    """The lines of a source as text; ``whole`` is false once a last line without its end was handed out."""

    def __init__(self, source: Source, encoding: str) -> None:
        try:
            self._encoding = codecs.lookup(encoding).name
        except LookupError as error:
            raise InputError(
                f"There is no encoding {encoding!r}.", fix="Name one of Python's, such as utf-8 or latin-1."
            ) from error
        self._source = source
        self.whole = True
        self.n_other_encoding = 0

    def __iter__(self) -> Iterator[str]:
        if self._encoding.startswith(("utf-16", "utf-32")):
            with read_as_far_as_it_goes(self._source):
                yield from io.TextIOWrapper(self._source.unpacked, self._encoding, "replace", newline="")
            return
        line = b"\n"
        for n, line in enumerate(lines(self._source), 1):
            yield self._decoded(line.removeprefix(codecs.BOM_UTF8) if n == 1 else line, n)
        self.whole = line.endswith(b"\n")

    def _decoded(self, line: bytes, n: int) -> str:
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError:
            self.n_other_encoding += 1
            if self.n_other_encoding == 1:
                _LOG.warning(
                    "a line is not in the encoding of the log, read as %s: path=%s line=%d encoding=%s",
                    FALLBACK, self._source.path, n, self._encoding,
                )  # fmt: skip
            return line.decode(FALLBACK, errors="replace")
