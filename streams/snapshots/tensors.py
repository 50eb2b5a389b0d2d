"""Arrays as a safetensors file, and back without a copy once the header was found to be what is expected.

The format is that of Hugging Face's ``safetensors``: eight bytes with the length of the header (little-endian), the
header in JSON (dtype, shape and place of each array), the arrays one after the other. It is written and read here so
that a file is digested piece by piece on its way, arrays are views of what was read, and the commands do without that
package. Nothing is ever unpickled.
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final, get_args

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.snapshots import ArrayShape, Dtype
from streams.snapshots.errors import SnapshotBrokenError

Arrays = dict[str, NDArray[Any]]
Bytes = NDArray[np.uint8]

LENGTH_BYTES: Final = 8
ALIGNMENT: Final = 8
MAX_HEADER_BYTES: Final = 16 << 20
_CODES: Final[dict[str, str]] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
assert set(_CODES) == set(get_args(Dtype))


class _Entry(Struct, forbid_unknown_fields=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def shapes_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArrayShape]:
    """Dtype and shape of each.

    Raises:
        TypeError: a dtype is none that snapshots hold.
    """
    for name, array in arrays.items():
        if array.dtype.name not in _CODES:
            raise TypeError(f"array {name!r} is of {array.dtype}, snapshots hold {', '.join(_CODES)}")
    return {
        name: ArrayShape(dtype=array.dtype.name, shape=list(array.shape))  # type: ignore[arg-type]
        for name, array in arrays.items()
    }


def size_of(shape: ArrayShape) -> int:
    """Bytes of such an array."""
    return prod(shape.shape) * np.dtype(shape.dtype).itemsize


def written(arrays: Mapping[str, NDArray[Any]]) -> Iterator[bytes | memoryview]:
    """The file, piece by piece. Wide dtypes come first, so that every array is aligned."""
    shapes = shapes_of(arrays)
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    entries, end = {}, 0
    for name in names:
        start, end = end, end + size_of(shapes[name])
        entries[name] = _Entry(_CODES[shapes[name].dtype], shapes[name].shape, (start, end))
    header = msgspec.json.encode(entries)
    header += b" " * (-len(header) % ALIGNMENT)
    yield len(header).to_bytes(LENGTH_BYTES, "little")
    yield header
    for name in names:
        flat = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<")).reshape(-1)
        yield flat.view(np.uint8).data


def read(file: str, content: Bytes, expected: Mapping[str, ArrayShape]) -> Arrays:
    """The arrays of ``file``, views of its ``content`` (n,).

    Raises:
        SnapshotBrokenError: the header is none, or tells of other arrays, dtypes, shapes or places than ``expected``.
    """
    entries, data = _header(file, content)
    if entries.keys() != expected.keys():
        raise SnapshotBrokenError.of(file, f"arrays {sorted(expected)}", f"{sorted(entries)}")
    end = 0
    for name, entry in sorted(entries.items(), key=lambda each: each[1].data_offsets):
        shape = expected[name]
        found, wanted = (entry.dtype, entry.shape), (_CODES[shape.dtype], shape.shape)
        if found != wanted:
            raise SnapshotBrokenError.of(file, f"{name!r} as {wanted}", str(found))
        start, end = end, end + size_of(shape)
        if entry.data_offsets != (start, end):
            raise SnapshotBrokenError.of(file, f"{name!r} at bytes {(start, end)}", str(entry.data_offsets))
    if end != len(data):
        raise SnapshotBrokenError.of(file, f"{end:,} bytes of arrays", f"{len(data):,}")
    try:
        return {
            name: data[slice(*entries[name].data_offsets)].view(shape.dtype).reshape(shape.shape)
            for name, shape in expected.items()
        }
    except (ValueError, OverflowError) as error:  # an empty array of monstrous shape
        raise SnapshotBrokenError.of(file, "shapes of arrays", str(error)) from error


def _header(file: str, content: Bytes) -> tuple[dict[str, _Entry], Bytes]:
    length = int.from_bytes(content[:LENGTH_BYTES].tobytes(), "little")
    room = min(len(content) - LENGTH_BYTES, MAX_HEADER_BYTES)
    if length > room:
        raise SnapshotBrokenError.of(file, f"a header of at most {max(room, 0):,} bytes", f"{length:,}")
    header = content[LENGTH_BYTES : LENGTH_BYTES + length].tobytes()
    try:
        entries = msgspec.json.decode(header, type=dict[str, _Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotBrokenError.of(file, "a header of safetensors", str(error)) from error
    return entries, content[LENGTH_BYTES + length :]
