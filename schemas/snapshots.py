"""Snapshots of a model: the manifest that lies with each, and the values of the topic ``models.versions``.

How files are laid out and checked is the business of ``streams.snapshots``; what the arrays mean is the model's.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION

EMBEDDING: Final = "embedding"
"""Name of the embedding model."""

LAYOUT: Final = 1
"""Raised when files of a version are laid out in a way that earlier releases do not read."""

MAX_PREVIOUS: Final = 8
"""Versions that served before and are remembered."""

VERSION_PATTERN: Final = r"^\d{8}T\d{9}-[0-9a-f]{6}$"
"""Time of writing in UTC to the millisecond, and 24 random bits: ``20261122T235001123-9f3a2c``."""

Version = Annotated[str, Meta(pattern=VERSION_PATTERN)]
Checksum = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]
Dtype = Literal["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


class NextOffset(Struct, frozen=True, kw_only=True):
    """Up to where a model has read a partition: the offset of the first record that it has not learned."""

    topic: str
    partition: Count
    offset: Count


class ArrayShape(Struct, frozen=True, kw_only=True):
    """Of one array."""

    dtype: Dtype
    shape: list[Count]


class StoredFile(Struct, frozen=True, kw_only=True):
    """Of one file, with its SHA-256 in hexadecimal."""

    size_bytes: Count
    checksum: Checksum


class StoredPart(Struct, frozen=True, kw_only=True):
    """What one pair of files holds."""

    arrays: dict[str, ArrayShape]
    n_names: dict[str, Count]
    """Length of each list of ids."""


class About(Struct, frozen=True, kw_only=True):
    """What the model says of its snapshot."""

    model: str
    features: int
    """Version of what the model reads; one of another number does not fit."""
    settings: dict[str, Any]
    """Settings of the model, as JSON."""
    offsets: list[NextOffset] = []
    metrics: dict[str, float] = {}
    """Such as ``loss``; what is no finite number is left out."""
    parent: Version | None = None
    """Version that learning went on from."""


class Manifest(About, frozen=True, kw_only=True):
    """``manifest.json``: written last, so that a version without one does not exist."""

    version: Version
    created_ms: int
    settings_digest: Checksum
    """SHA-256 of the settings as JSON with sorted keys."""
    parts: dict[str, StoredPart]
    files: dict[str, StoredFile]
    layout: int = LAYOUT


class Announced(Struct, frozen=True, kw_only=True, tag_field="kind", tag="announced"):
    """A snapshot that was written and can be served."""

    model: str
    version: Version
    created_ms: int
    url: str
    checksum: Checksum
    size_bytes: Count
    metrics: dict[str, float] = {}
    parent: Version | None = None
    schema_version: int = SCHEMA_VERSION


class Promoted(Struct, frozen=True, kw_only=True, tag_field="kind", tag="promoted"):
    """Which snapshot serves, since when, and who decided that."""

    model: str
    version: Version
    checksum: Checksum
    time_ms: int
    actor: str
    detail: str
    previous: Annotated[list[Version], Meta(max_length=MAX_PREVIOUS)] = []
    pinned: bool = False
    schema_version: int = SCHEMA_VERSION
