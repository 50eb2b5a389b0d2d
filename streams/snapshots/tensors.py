"""Arrays as a safetensors file, checked against what is expected before any is made. Nothing is ever unpickled.

Large arrays are copied by pieces: in one go the library holds the interpreter, 100 ms for 200 MB.
"""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.snapshots import ArrayShape, Dtype
from streams.errors import InputError
from streams.snapshots.errors import SnapshotBrokenError

Arrays = dict[str, NDArray[Any]]

PIECE_BYTES: Final = 4 << 20
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


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the file.

    Raises:
        OSError: the disk refuses.
    """
    library = _library()
    try:
        library.numpy.save_file({name: np.asarray(each, order="C") for name, each in arrays.items()}, path)
    except library.SafetensorError as error:
        raise OSError(str(error)) from error


def read(file: str, path: Path, expected: Mapping[str, ArrayShape]) -> Arrays:
    """The arrays of ``file``, of which a copy lies at ``path``.

    Raises:
        SnapshotBrokenError: it is none, or holds other arrays, dtypes or shapes than ``expected``.
    """
    library = _library()
    try:
        with library.safe_open(path, "numpy") as opened:
            if set(opened.keys()) != expected.keys():
                raise SnapshotBrokenError.of(file, f"arrays {sorted(expected)}", f"{sorted(opened.keys())}")
            slices = {name: opened.get_slice(name) for name in expected}
            for name, shape in expected.items():
                found = slices[name].get_dtype(), slices[name].get_shape()
                wanted = _CODES[shape.dtype], shape.shape
                if found != wanted:
                    raise SnapshotBrokenError.of(file, f"{name!r} as {wanted}", str(found))
            return {
                name: _copied(slices[name], shape)
                if size_of(shape) > PIECE_BYTES
                else opened.get_tensor(name)
                for name, shape in expected.items()
            }
    except (library.SafetensorError, ValueError) as error:
        raise SnapshotBrokenError.of(file, "a file of safetensors", str(error)) from error


def _copied(of_file: Any, shape: ArrayShape) -> NDArray[Any]:
    array = np.empty(shape.shape, shape.dtype)
    n_rows = max(len(array) * PIECE_BYTES // array.nbytes, 1)
    for start in range(0, len(array), n_rows):
        some = slice(start, min(start + n_rows, len(array)))
        array[some] = of_file[some]
    return array


def _library() -> ModuleType:
    """Imported when arrays are: the commands that read none do without the extra ``embed``."""
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise InputError(
            f"Snapshots need a package that is not installed: {error.name}.",
            fix="Install it: pip install 'rillet[embed]'.",
        ) from error
    return safetensors
