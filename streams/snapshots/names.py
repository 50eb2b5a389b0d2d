"""Lists of ids (of items, queries, segments) as MessagePack: a map from the list's name to pieces of it.

Pieces, each encoded by itself, so that a thread that decodes a million ids lets others run in between.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from streams.snapshots.errors import SnapshotBrokenError

Names = dict[str, list[str]]

PIECE: Final = 4_096
_piece = msgspec.msgpack.Decoder(list[str])
_pieces = msgspec.msgpack.Decoder(dict[str, list[bytes]])


def written(names: Mapping[str, Sequence[str]]) -> bytes:
    """The file."""
    return msgspec.msgpack.encode(
        {
            name: [msgspec.msgpack.encode(ids[at : at + PIECE]) for at in range(0, len(ids), PIECE)]
            for name, ids in names.items()
        }
    )


def read(file: str, content: bytes, expected: Mapping[str, int]) -> Names:
    """The lists of ``file``, whose lengths must be ``expected``.

    Raises:
        SnapshotBrokenError: they are not, or this is no such file.
    """
    try:
        names = {name: _joined(pieces) for name, pieces in _pieces.decode(content).items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotBrokenError.of(file, "lists of ids", str(error)) from error
    found = {name: len(ids) for name, ids in names.items()}
    if found != expected:
        raise SnapshotBrokenError.of(file, f"lists of lengths {dict(expected)}", str(found))
    return names


def _joined(pieces: Sequence[bytes]) -> list[str]:
    ids: list[str] = []
    for piece in pieces:
        ids += _piece.decode(piece)
    return ids
