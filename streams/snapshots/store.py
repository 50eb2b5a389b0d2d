"""Where snapshots lie, in a directory or an object store (any URL that fsspec knows).

::

    <url>/20261122T235001123-9f3a2c/model.safetensors     what is served
                                    model.msgpack         ids by list, such as those of the items
                                    trainer.safetensors   what learning goes on from; may be absent
                                    trainer.msgpack
                                    manifest.json         written last: without it there is no such version

It announces nothing and promotes nothing.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.snapshots import LAYOUT, About, Announced, Manifest, StoredFile, StoredPart
from streams.errors import InputError
from streams.snapshots import names, tensors
from streams.snapshots.errors import SnapshotBrokenError, SnapshotMissingError, StoreUnreachableError
from streams.snapshots.place import MANIFEST, Place, pieces_of
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.tensors import Arrays
from streams.snapshots.version import created_ms, is_version, version_of

MODEL: Final = "model"
TRAINER: Final = "trainer"

MAX_MANIFEST_BYTES: Final = 16 << 20
YOUNG_MS: Final = 60_000
"""Versions younger than this are never removed: someone may just be about to announce or read them."""
ABANDONED_MS: Final = 3_600_000
"""What has no manifest after this was left behind by a writer that was killed."""
SHOWN: Final = 5
CLIENTS: Final = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google"}
"""Packages of object stores, whose own errors fsspec lets through: they are no OSError."""


class Part(NamedTuple):
    """Arrays, and lists of ids that say what their rows are."""

    arrays: Mapping[str, NDArray[Any]]
    names: Mapping[str, Sequence[str]]
    """Such as ``items``: the id of each row of the item table, in order."""


class Snapshot(NamedTuple):
    """What serves. The arrays are the reader's own, and may be written to."""

    manifest: Manifest
    arrays: Arrays
    names: names.Names


def _clock() -> int:
    return time.time_ns() // 1_000_000


class SnapshotStore:
    """Reads, writes and prunes. Calls block: not for the event loop. ``now_ms`` tells the time of day."""

    def __init__(self, settings: SnapshotSettings, now_ms: Callable[[], int] = _clock) -> None:
        """Contact nothing yet.

        Raises:
            InputError: fsspec does not know such URLs, or needs a package for them.
        """
        self.url = settings.url
        self._settings = settings
        self._now_ms = now_ms
        self._place = Place(settings.url)

    def write(self, model: Part, about: About, trainer: Part | None = None) -> Manifest:
        """Write a new version; readers see all of it or nothing.

        Raises:
            TypeError: an array is of a dtype that snapshots do not hold.
            InputError: it is larger than the settings allow.
            StoreUnreachableError: the place refuses. What was written is removed as far as possible.
        """
        parts = {MODEL: model} | ({TRAINER: trainer} if trainer else {})
        stored = {name: _described(part) for name, part in parts.items()}
        self._refuse_large(stored)
        with self._asking():
            version = self._next_version()
            with self._place.writing(version) as folder:
                manifest = _manifest(about, version, stored, dict(self._write_parts(folder, parts)))
                content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
                self._place.write(folder, MANIFEST, [content])
        return manifest

    def read(self, version: str, checksum: str | None = None) -> Snapshot:
        """What a version serves; the trainer's files are left alone.

        Raises:
            SnapshotMissingError: there is no such version.
            SnapshotBrokenError: it is not what its manifest says, or the manifest not the one of ``checksum``.
            StoreUnreachableError: the place does not answer.
        """
        manifest = self.manifest(version, checksum)
        return Snapshot(manifest, *self._read_part(manifest, MODEL))

    def read_trainer(self, version: str) -> Part | None:
        """What learning goes on from, None where it was not kept; errors are those of ``read``."""
        manifest = self.manifest(version)
        return Part(*self._read_part(manifest, TRAINER)) if TRAINER in manifest.parts else None

    def manifest(self, version: str, checksum: str | None = None) -> Manifest:
        """The manifest alone; errors are those of ``read``."""
        return self._manifest(version, checksum)[0]

    def announcement(self, version: str) -> Announced:
        """What is told of a version on ``models.versions``; errors are those of ``read``."""
        manifest, checksum = self._manifest(version)
        return Announced(
            model=manifest.model,
            version=version,
            created_ms=manifest.created_ms,
            url=self.url,
            checksum=checksum,
            size_bytes=sum(file.size_bytes for file in manifest.files.values()),
            metrics=manifest.metrics,
            parent=manifest.parent,
        )

    def versions(self) -> list[Manifest]:
        """Manifests of all that can be read, newest last; what is broken or removed meanwhile is left out."""
        manifests = []
        for version in self._complete():
            with suppress(SnapshotMissingError, SnapshotBrokenError):
                manifests.append(self.manifest(version))
        return manifests

    def expired(self, protected: Collection[str]) -> list[str]:
        """Versions that may go: all but the newest ``keep``, the protected and the young.

        ``protected`` are the version that serves and the one before: ``Versions.protected`` names them.
        """
        return [
            version
            for version in self._complete()[: -self._settings.keep]
            if version not in protected and self._age_ms(version) > YOUNG_MS
        ]

    def prune(self, expired: Collection[str]) -> None:
        """Remove these versions, which are retracted by now, and what killed writers left."""
        with self._asking():
            abandoned = [
                folder.name
                for folder in self._place.folders()
                if self._age_ms(folder.version) > ABANDONED_MS and not self._place.has_manifest(folder)
            ]
            for folder in [*expired, *abandoned]:
                self._place.remove(folder)

    def _write_parts(self, folder: str, parts: Mapping[str, Part]) -> Iterator[tuple[str, StoredFile]]:
        for name, part in parts.items():
            file = _tensors_file(name)
            with _temporary() as path:
                tensors.write(path, part.arrays)
                with path.open("rb") as content:
                    yield file, self._place.write(folder, file, pieces_of(content))
            file = _names_file(name)
            yield file, self._place.write(folder, file, [names.written(part.names)])

    def _manifest(self, version: str, checksum: str | None = None) -> tuple[Manifest, str]:
        """The manifest and its SHA-256."""
        if not is_version(version):
            raise self._missing(version)
        with self._asking(version):
            content = self._place.read_small(version, MANIFEST, MAX_MANIFEST_BYTES)
        path, found = self._place.path(version, MANIFEST), sha256(content).hexdigest()
        if checksum not in (None, found):
            raise SnapshotBrokenError.of(path, f"SHA-256 {checksum}, as announced", found)
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SnapshotBrokenError.of(path, "a manifest", str(error)) from error
        if (manifest.version, manifest.layout) != (version, LAYOUT):
            there = f"{manifest.version} in layout {manifest.layout}"
            raise SnapshotBrokenError.of(path, f"{version} in layout {LAYOUT}", there)
        return manifest, found

    def _read_part(self, manifest: Manifest, name: str) -> tuple[Arrays, names.Names]:
        path = self._place.path(manifest.version, MANIFEST)
        if name not in manifest.parts:
            raise SnapshotBrokenError.of(path, f"a part {name!r}", f"{list(manifest.parts)}")
        part, files = manifest.parts[name], (_tensors_file(name), _names_file(name))
        n_bytes = sum(manifest.files[file].size_bytes for file in files if file in manifest.files)
        if n_bytes > self._settings.max_bytes:
            limit = f"files of at most {self._settings.max_bytes:,} bytes (snapshots.max_bytes)"
            raise SnapshotBrokenError.of(path, limit, f"{n_bytes:,}")
        with self._fetched(manifest, files[0]) as path_of_tensors:
            arrays = tensors.read(self._place.path(manifest.version, files[0]), path_of_tensors, part.arrays)
        with self._fetched(manifest, files[1]) as path_of_names:
            content = path_of_names.read_bytes()
        return arrays, names.read(self._place.path(manifest.version, files[1]), content, part.n_names)

    @contextmanager
    def _fetched(self, manifest: Manifest, file: str) -> Iterator[Path]:
        """A copy of a file on this machine, which is what the manifest tells of."""
        if file not in manifest.files:
            raise SnapshotBrokenError.of(
                self._place.path(manifest.version, MANIFEST), f"the size of {file}", "none"
            )
        with self._asking(manifest.version), _temporary() as path:
            self._place.fetch(manifest.version, file, manifest.files[file], path)
            yield path

    def _refuse_large(self, parts: Mapping[str, StoredPart]) -> None:
        for part in parts.values():
            size = sum(tensors.size_of(shape) for shape in part.arrays.values())
            if size > self._settings.max_bytes:
                raise InputError(
                    f"A snapshot of {size:,} bytes is larger than snapshots.max_bytes = "
                    f"{self._settings.max_bytes:,}.",
                    fix="Raise it, here and for the workers, or make the model smaller.",
                )

    def _next_version(self) -> str:
        """Newer than all that are there, whatever the clock says."""
        newest_ms = max((created_ms(folder.version) for folder in self._place.folders()), default=-1)
        return version_of(max(self._now_ms(), newest_ms + 1))

    def _complete(self) -> list[str]:
        """Versions with a manifest, newest last."""
        with self._asking():
            folders = self._place.folders()
            return sorted(folder.version for folder in folders if self._place.has_manifest(folder))

    def _age_ms(self, version: str) -> int:
        return self._now_ms() - created_ms(version)

    @contextmanager
    def _asking(self, version: str | None = None) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise (self._missing(version) if version else self._unreachable(error)) from error
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in CLIENTS:
                raise
            raise self._unreachable(error) from error

    def _missing(self, version: str) -> SnapshotMissingError:
        there = self._complete()[::-1]
        more = f" and {len(there) - SHOWN} older ones" if len(there) > SHOWN else ""
        return SnapshotMissingError(
            f"There is no version {version} in {self.url}, or not all of it; there are: "
            f"{', '.join(there[:SHOWN]) or 'none'}{more}.",
            fix="Name one of those, or the place that the trainer writes to (snapshots.url, --store).",
        )

    def _unreachable(self, error: Exception) -> StoreUnreachableError:
        return StoreUnreachableError(
            f"{self.url} cannot be used: {getattr(error, 'strerror', None) or error}.",
            fix="Check snapshots.url, the disk or network, and the rights there.",
        )


@contextmanager
def _temporary() -> Iterator[Path]:
    """Of a file that goes when it is no longer needed."""
    with TemporaryDirectory(prefix="rillet-snapshot-") as folder:
        yield Path(folder) / "file"


def settings_digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of settings as JSON with sorted keys."""
    return sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _described(part: Part) -> StoredPart:
    return StoredPart(
        arrays=tensors.shapes_of(part.arrays), n_names={name: len(ids) for name, ids in part.names.items()}
    )


def _manifest(
    about: About, version: str, parts: dict[str, StoredPart], files: dict[str, StoredFile]
) -> Manifest:
    told = msgspec.structs.asdict(about)
    told["metrics"] = {name: float(value) for name, value in about.metrics.items() if np.isfinite(value)}
    return Manifest(
        **told,
        version=version,
        created_ms=created_ms(version),
        settings_digest=settings_digest(about.settings),
        parts=parts,
        files=files,
    )


def _tensors_file(part: str) -> str:
    return f"{part}.safetensors"


def _names_file(part: str) -> str:
    return f"{part}.msgpack"
