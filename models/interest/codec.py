"""State to bytes and back: one version byte, then MessagePack. The layout is that of ``State``.

InterestError
├── UnknownVersionError  written by a newer release
└── BrokenStateError     not bytes that ``encode`` wrote
"""

from collections.abc import Callable
from typing import Final

from msgspec import DecodeError, Struct
from msgspec.msgpack import Decoder, Encoder

from models.interest.state import State

VERSION: Final = 1

_PREFIX: Final = bytes([VERSION])
_encode: Final = Encoder().encode
_decode: Final = Decoder(State).decode


class _Head(Struct, array_like=True):
    """The first fields of ``State``; decoding leaves the rest alone."""

    n_events: int
    n_impressions: int
    latest_ms: int
    stamps: dict[str, int]


_decode_head: Final = Decoder(_Head).decode


class InterestError(Exception):
    """What can be wrong with a stored state."""


class UnknownVersionError(InterestError):
    """The state was written in a layout that this release does not know."""


class BrokenStateError(InterestError):
    """The bytes are not a state."""


DECODERS: Final[dict[int, Callable[[memoryview], State]]] = {1: _decode}
"""By version. A new layout adds its decoder and keeps the old ones, which answer with today's ``State``."""


def encode(state: State) -> bytes:
    """Bytes of ``state``.

    At the default caps: at most 9 KiB of numbers, and 277 strings of 256 bytes in the worst case. With item
    ids of 36 bytes and labels of up to 16 it stays below 16 KiB.
    """
    return _PREFIX + _encode(state)


def decode(data: bytes) -> State:
    """The state that ``encode`` wrote, of this version or an older one."""
    if not data:
        raise BrokenStateError("a stored state has at least its version byte, this one has 0 bytes")
    decoder = DECODERS.get(data[0])
    if decoder is None:
        raise UnknownVersionError(
            f"the state has version {data[0]}, this release reads {min(DECODERS)} to {VERSION}: "
            "run the release that wrote it, or a newer one"
        )
    try:
        return decoder(memoryview(data)[1:])
    except DecodeError as error:
        raise BrokenStateError(
            f"{len(data)} bytes of version {data[0]} do not decode ({error}): "
            "delete the table's local files, it is rebuilt from its changelog"
        ) from error


def is_older(data: bytes, than: bytes) -> bool:
    """Whether ``data`` was stored before ``than``, by their offset stamps: behind in some, ahead in none."""
    stamps, others = _decode_head(memoryview(data)[1:]).stamps, _decode_head(memoryview(than)[1:]).stamps
    behind = any(stamps.get(place, -1) < offset for place, offset in others.items())
    return behind and all(offset <= others.get(place, -1) for place, offset in stamps.items())
