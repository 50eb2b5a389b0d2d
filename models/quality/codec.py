"""Stored form of a partition's profiles: a version byte, then msgpack. Equal profiles give equal bytes."""

from base64 import b64decode, b64encode
from typing import Final

import msgspec
from msgspec import Struct

from models.quality.partition import PartitionProfiles
from models.quality.profile import Profile
from models.quality.settings import QualitySettings

VERSION: Final = 2
MAX_PROFILE_BYTES: Final = 31 * 1024
"""Bound of one window, worked out in the tests from every cap; in use it is one or two KiB."""
MAX_HEAD_BYTES: Final = 512
"""Bound of the rest: 16 open windows make at most 496.5 KiB, 32 (the most allowed) 992.5 KiB: a record of Kafka."""


class _Stored(Struct, array_like=True, frozen=True):
    topic: str
    partition: int
    stamp: int
    watermark_ms: int
    freshest_ms: int
    lag_ms: int
    closed_ms: int
    windows: list[Profile]
    """Oldest first."""


_ENCODER: Final = msgspec.msgpack.Encoder(order="sorted")
_DECODER: Final = msgspec.msgpack.Decoder(_Stored)


class _Head(Struct, array_like=True, frozen=True):
    """The first fields of ``_Stored``; decoding leaves the rest alone."""

    topic: str
    partition: int
    stamp: int


_HEAD_DECODER: Final = msgspec.msgpack.Decoder(_Head)


def encode(profiles: PartitionProfiles) -> bytes:
    """Bytes to store. ``close`` first: between the two, a batch may have opened more windows than the cap."""
    stored = _Stored(
        profiles.topic,
        profiles.partition,
        profiles.stamp,
        profiles.watermark_ms,
        profiles.freshest_ms,
        profiles.lag_ms,
        profiles.closed_ms,
        [profiles.windows[start] for start in sorted(profiles.windows)],
    )
    return bytes([VERSION]) + _ENCODER.encode(stored)


def decode(data: bytes, settings: QualitySettings) -> PartitionProfiles:
    """What ``encode`` was given, under today's ``settings``; ValueError for anything else."""
    if not data or data[0] != VERSION:
        raise ValueError(
            f"stored quality profiles start with byte {data[:1].hex() or 'none'}, this release reads version "
            f"{VERSION}: run the release that wrote them, or drop the table to count afresh"
        )
    stored = _DECODER.decode(memoryview(data)[1:])
    return PartitionProfiles(
        topic=stored.topic,
        partition=stored.partition,
        settings=settings,
        stamp=stored.stamp,
        watermark_ms=stored.watermark_ms,
        freshest_ms=stored.freshest_ms,
        lag_ms=stored.lag_ms,
        closed_ms=stored.closed_ms,
        windows={profile.start_ms: profile for profile in stored.windows},
    )


def is_older(data: bytes, than: bytes) -> bool:
    """Whether ``data`` was stored before ``than``, by their offset stamps."""
    stamp, other = (_HEAD_DECODER.decode(memoryview(each)[1:]).stamp for each in (data, than))
    return stamp < other


_PROFILE_DECODER: Final = msgspec.msgpack.Decoder(Profile)


def encode_profile(profile: Profile) -> str:
    """One window as base64, to be merged elsewhere with those of other partitions."""
    return b64encode(bytes([VERSION]) + _ENCODER.encode(profile)).decode()


def decode_profile(text: str) -> Profile | None:
    """What ``encode_profile`` was given; None when another release wrote it, ValueError for what none wrote."""
    data = b64decode(text, validate=True)
    return _PROFILE_DECODER.decode(memoryview(data)[1:]) if data[:1] == bytes([VERSION]) else None
