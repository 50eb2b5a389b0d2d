"""The directory or object store: a folder for each version, each file digested on its way, all of a version or nothing.

On a local disk a version is written to a hidden folder that is renamed when everything has reached the disk. Object
stores cannot rename: there the manifest, written last, makes the version. What is in the files is not known here.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from schemas.snapshots import StoredFile
from streams.errors import InputError
from streams.snapshots.errors import SnapshotBrokenError
from streams.snapshots.version import is_version

MANIFEST: Final = "manifest.json"
PIECE_BYTES: Final = 1 << 20

_HIDDEN: Final = ".writing-"


class Folder(NamedTuple):
    """One that is there."""

    name: str
    version: str
    """Of which it is, or will be."""


class Place:
    """Errors of the file system are passed on as they are."""

    def __init__(self, url: str) -> None:
        """Contact nothing yet.

        Raises:
            InputError: fsspec does not know such URLs, or needs a package for them.
        """
        try:
            self._files, root = fsspec.url_to_fs(url)
        except ImportError as error:
            raise InputError(f"{url} needs a package: {error}.", fix="Install it beside Rillet.") from error
        except ValueError as error:
            raise InputError(
                f"{url} is no place for snapshots: {error}.", fix="Name a folder, or a URL that fsspec knows."
            ) from error
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)

    @contextmanager
    def writing(self, version: str) -> Iterator[str]:
        """The folder to write the files of ``version`` to, the manifest last; readers find it at the end."""
        name = f"{_HIDDEN}{version}" if self._is_local else version
        self._files.makedirs(self.path(name), exist_ok=True)
        try:
            yield name
            if self._is_local:
                _sync(self.path(name))
                os.rename(self.path(name), self.path(version))
                _sync(self._root)
        except BaseException:
            with suppress(OSError):
                self.remove(name)
            raise

    def write(self, folder: str, name: str, pieces: Iterable[bytes]) -> StoredFile:
        """Write one file."""
        digest, size = sha256(), 0
        with self._files.open(self.path(folder, name), "wb") as file:
            for piece in pieces:
                digest.update(piece)
                size += file.write(piece)
            if self._is_local:
                file.flush()
                os.fsync(file.fileno())
        return StoredFile(size_bytes=size, checksum=digest.hexdigest())

    def fetch(self, folder: str, name: str, told: StoredFile, to: Path) -> None:
        """Copy a file ``to`` this machine: what is then read of it is what was checked.

        Raises:
            SnapshotBrokenError: it is not what was ``told``; nothing is read if there are more bytes or less.
        """
        path, size = self.path(folder, name), self.size(folder, name)
        if size != told.size_bytes:
            raise SnapshotBrokenError.of(path, f"{told.size_bytes:,} bytes", f"{size:,}")
        digest = sha256()
        with self._files.open(path, "rb") as file, to.open("wb") as copy:
            for piece in pieces_of(file):
                digest.update(piece)
                copy.write(piece)
        if digest.hexdigest() != told.checksum:
            raise SnapshotBrokenError.of(path, f"SHA-256 {told.checksum}", digest.hexdigest())

    def read_small(self, folder: str, name: str, max_bytes: int) -> bytes:
        """All of a file that must not be larger than ``max_bytes``."""
        size = self.size(folder, name)
        if size > max_bytes:
            raise SnapshotBrokenError.of(self.path(folder, name), f"at most {max_bytes:,} bytes", f"{size:,}")
        return bytes(self._files.cat_file(self.path(folder, name)))

    def size(self, folder: str, name: str) -> int:
        """Bytes of a file."""
        self._files.invalidate_cache()
        return int(self._files.size(self.path(folder, name)) or 0)

    def has_manifest(self, folder: Folder) -> bool:
        """Whether it is a version for readers."""
        return folder.name == folder.version and self._files.exists(self.path(folder.name, MANIFEST))

    def folders(self) -> list[Folder]:
        """Those of versions, being written ones too; anything else is left alone."""
        self._files.invalidate_cache()
        try:
            paths = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        names = [str(path).rstrip("/").rpartition("/")[2] for path in paths]
        folders = [Folder(name, name.removeprefix(_HIDDEN)) for name in names]
        return [folder for folder in folders if is_version(folder.version)]

    def remove(self, folder: str) -> None:
        """The manifest first, so that readers never find half a version. What is gone already is no matter."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self.path(folder, MANIFEST))
        with suppress(FileNotFoundError):
            self._files.rm(self.path(folder), recursive=True)

    def path(self, *names: str) -> str:
        """Of a folder or file, for the file system and for messages."""
        return "/".join([self._root, *names])


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """All of it."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def _sync(folder: str) -> None:
    """Have the names in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
