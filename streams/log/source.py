"""The bytes of a log: a local file or an object of a store, gunzipped or unzstd-ed on the way.

What is read is counted before it is unpacked, for progress bars. A log that was cut off is read as far as it
goes. Nothing here knows rows."""

import gzip
import io
import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

from streams.errors import InputError

CHUNK_BYTES: Final = 1 << 20
PACKED_BYTES: Final = 1 << 16
"""Taken at once, so that what they unpack to stays small and a progress bar moves smoothly."""
PACKED: Final = (".gz", ".gzip", ".zst", ".zstd")
MAX_LINE_BYTES: Final = 16 << 20
_LOG: Final = logging.getLogger(__name__)

OnBytes = Callable[[int, int], None]
"""Called with the bytes read so far, and those there are in all; 0 when that is not known."""


class DamageError(Exception):
    """Packed bytes that cannot be unpacked."""


class Source(NamedTuple):
    """An opened log: ``unpacked`` yields its content, ``packed`` its bytes as they lie there."""

    path: str
    packed: BinaryIO
    unpacked: BinaryIO
    size_bytes: int


class _Counted(io.RawIOBase):
    """Passes bytes on and tells how many; can seek where what lies below can."""

    def __init__(self, file: IO[bytes], size_bytes: int, on_bytes: OnBytes) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._on_bytes(self._file.tell(), self._size_bytes)
        return len(chunk)


class _Zstd(io.RawIOBase):
    """Frames of zstd, one after the other; EOFError when the last one is cut off, as gzip has it."""

    def __init__(self, packed: BinaryIO) -> None:
        import zstandard

        self._packed = packed
        self._error = zstandard.ZstdError
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._left = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            chunk = self._left or self._packed.read(PACKED_BYTES)
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the last frame is cut off")
                return 0
            self._frame = self._frame or self._new_frame()
            try:
                self._unpacked, self._left = memoryview(self._frame.decompress(chunk)), b""
            except self._error as error:
                raise DamageError(str(error)) from error
            if self._frame.eof:
                self._left, self._frame = self._frame.unused_data, None
        n = min(len(buffer), len(self._unpacked))
        buffer[:n], self._unpacked = self._unpacked[:n], self._unpacked[n:]
        return n


def suffixes(path: str) -> list[str]:
    """Endings of the file's name, those of packing left out: ``.csv`` of ``a.csv.gz``."""
    return [each for each in Path(path).suffixes if each.lower() not in PACKED]


def stem(path: str) -> str:
    """The file's name without the endings that tell its format."""
    name = path.rpartition("/")[2]
    for ending in (*PACKED, ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet"):
        name = name.removesuffix(ending)
    return name


@contextmanager
def opened(path: str, on_bytes: OnBytes | None = None) -> Iterator[Source]:
    """The log at a path or a URL such as ``s3://bucket/log.csv.gz``.

    Raises:
        InputError: it is not there, cannot be read, or the package for its store is missing.
    """
    with ExitStack() as stack:
        file, size_bytes = _file(path)
        stack.enter_context(file)
        counted = _Counted(file, size_bytes, on_bytes or _ignore)
        packed = cast(BinaryIO, stack.enter_context(io.BufferedReader(counted, PACKED_BYTES)))
        yield Source(path, packed, _unpacked(path, packed), size_bytes)


def lines(source: Source) -> Iterator[bytes]:
    """The lines with their ends; one that was cut off, in a log that was, comes last.

    Raises:
        InputError: the log is damaged, or a line has more than ``MAX_LINE_BYTES``.
    """
    with read_as_far_as_it_goes(source):
        for line in iter(partial(source.unpacked.readline, MAX_LINE_BYTES), b""):
            if len(line) == MAX_LINE_BYTES:
                raise InputError(
                    f"{source.path} has a line of more than {MAX_LINE_BYTES >> 20} MiB.",
                    fix="One event must be one line: JSON has to be JSON lines, not one array.",
                )
            yield line


@contextmanager
def read_as_far_as_it_goes(source: Source) -> Iterator[None]:
    """A log that is cut off ends there, with a warning; one that is damaged is refused."""
    try:
        yield
    except EOFError:
        _LOG.warning("the log is cut off, what came before is used: path=%s", source.path)
    except (DamageError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{source.path} is damaged near byte {source.packed.tell():,}: {error}.",
            fix="Fetch the file again; `gzip -t` or `zstd -t` checks it.",
        ) from error


def _file(path: str) -> tuple[IO[bytes], int]:
    try:
        if "://" in path:
            return _remote(path)
        return open(path, "rb", buffering=0), Path(path).stat().st_size
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", fix="Check the path of the log."
        ) from error


def _remote(url: str) -> tuple[IO[bytes], int]:
    import fsspec

    try:
        store, name = fsspec.url_to_fs(url)
        return store.open(name, "rb"), int(store.size(name) or 0)
    except ImportError as error:
        raise InputError(f"{url} needs a package: {error}.", fix="Install it, for example s3fs.") from error
    except ValueError as error:
        raise InputError(f"{url} cannot be read: {error}.", fix="Check the URL.") from error


def _unpacked(path: str, packed: BinaryIO) -> BinaryIO:
    ending = Path(path).suffix.lower()
    if ending in {".gz", ".gzip"}:
        return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=packed), CHUNK_BYTES))
    if ending in {".zst", ".zstd"}:
        return cast(BinaryIO, io.BufferedReader(_Zstd(packed), CHUNK_BYTES))
    return packed


def _ignore(_: int, __: int) -> None:
    """Nobody watches."""
