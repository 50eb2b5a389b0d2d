"""How the kernels of retrieval are compiled. No kernel lives here.

numba keeps compiled kernels beside their source and looks at that file's time alone: after a change to a
kernel that another file calls, delete ``models/retrieve/__pycache__``.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """``function`` as machine code, without the interpreter lock, kept on disk between runs."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def packed(array: NDArray[np.generic], dtype: DTypeLike) -> NDArray[np.generic]:
    """``array`` itself if packed and writable, else a copy: any other layout would be compiled for anew."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable:
        return array
    return np.array(array, dtype, order="C")


def held_bytes(*groups: tuple[NDArray[np.generic], ...]) -> int:
    """Bytes of all arrays in ``groups``."""
    return sum(array.nbytes for group in groups for array in group)
