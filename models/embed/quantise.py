"""Vectors kept in panels of 512 rows, component by component, so that a core scores a whole panel at once.

A row takes four, two or one byte a component. Two and one are fixed point with a scale of the row's own: the
largest component becomes 32,767 or 127, and none is off by more than half a step. No search lives here.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.retrieve.contract import F32

Precision = Literal["f32", "f16", "i8"]
I64 = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., object])

PANEL: Final = 512
"""Rows a panel: 64 components of 4 bytes fill an eighth of a core's second-level cache on common servers."""
STEP: Final = 8
"""Components that a pass over a panel adds up before it writes."""
LARGEST: Final[dict[Precision, int]] = {"f16": 32_767, "i8": 127}
DTYPES: Final[dict[Precision, type[np.generic]]] = {"f32": np.float32, "f16": np.int16, "i8": np.int8}


class Panels:
    """Rows of ``dimension`` components; ``values[p, d, j] * scale[p, j]`` is component d of row 512 p + j."""

    def __init__(self, dimension: int, precision: Precision) -> None:
        self.dimension, self.precision = dimension, precision
        self.values: NDArray[np.generic] = np.zeros(
            (0, -(-dimension // STEP) * STEP, PANEL), DTYPES[precision]
        )
        self.scale: F32 = np.zeros((0, PANEL), np.float32)

    def reserve(self, n: int) -> None:
        """Make room for ``n`` rows; grows by a quarter at least, so that adding row by row stays cheap."""
        held = len(self.values)
        if n > held * PANEL:
            self._resize(max(-(-n // PANEL), held + held // 4))

    def shrink(self, n: int) -> None:
        """Give back what lies beyond ``n`` rows."""
        self._resize(-(-n // PANEL))

    def write(self, rows: I64, vectors: F32) -> None:
        """Set ``rows`` (n,), reserved before, to ``vectors`` (n, D)."""
        at, lane = np.divmod(rows, PANEL)
        values, scale = quantised(vectors, self.precision)
        self.values[at, : self.dimension, lane] = values
        self.scale[at, lane] = scale

    def read(self, rows: I64) -> F32:
        """(n, D) the vectors as they are kept."""
        at, lane = np.divmod(rows, PANEL)
        values = self.values[at, : self.dimension, lane].astype(np.float32)
        return np.asarray(values * self.scale[at, lane, None], np.float32)

    def move(self, sources: I64, targets: I64) -> None:
        """Copy rows ``sources`` (n,) over rows ``targets`` (n,); no row is in both."""
        of, source = np.divmod(sources, PANEL)
        to, target = np.divmod(targets, PANEL)
        self.values[to, :, target] = self.values[of, :, source]
        self.scale[to, target] = self.scale[of, source]

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.values.nbytes + self.scale.nbytes

    def _resize(self, n_panels: int) -> None:
        kept = min(n_panels, len(self.values))
        values = np.zeros((n_panels, *self.values.shape[1:]), self.values.dtype)
        scale = np.zeros((n_panels, PANEL), np.float32)
        values[:kept], scale[:kept] = self.values[:kept], self.scale[:kept]
        self.values, self.scale = values, scale


def quantised(vectors: F32, precision: Precision) -> tuple[NDArray[np.generic], F32]:
    """(n, D) values and (n,) scales whose product is nearest to ``vectors`` (n, D)."""
    if precision == "f32":
        return vectors, np.ones(len(vectors), np.float32)
    largest = np.abs(vectors).max(axis=1, initial=0.0)
    scale = np.where(largest > 0.0, largest / LARGEST[precision], 1.0).astype(np.float32)
    return np.rint(vectors / scale[:, None]).astype(DTYPES[precision]), scale


def of_fixed_scale(vectors: F32) -> tuple[NDArray[np.int8], float]:
    """(n, D) ``vectors`` over one step for all, for libraries that know no scale of a row, and the step.

    Components of unit vectors beyond four standard deviations, 4 / sqrt(D), are cut.
    """
    step = min(1.0, 4.0 / np.sqrt(vectors.shape[1])) / LARGEST["i8"]
    return np.rint(vectors / step).clip(-LARGEST["i8"], LARGEST["i8"]).astype(np.int8), float(step)


def summing(function: F) -> F:
    """``function`` as machine code that may reorder and fuse sums, in the same way for every row of a panel.

    Equal rows get equal scores.
    """
    fast = {"contract", "reassoc"}
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath=fast)(function))


@summing
def score_four(values: NDArray[np.generic], scale: F32, queries: F32, scores: F32) -> None:
    """Inner products of a panel (D, 512) and four queries (4, D) into ``scores`` (4, 512)."""
    a, b, c, e = queries[0], queries[1], queries[2], queries[3]
    of_a, of_b, of_c, of_e = scores[0], scores[1], scores[2], scores[3]
    scores[:] = np.float32(0.0)
    # Written out, so that the factors of eight components and four users stay in registers.
    for d in range(0, values.shape[0], 8):
        a0, a1, a2, a3 = a[d], a[d + 1], a[d + 2], a[d + 3]
        a4, a5, a6, a7 = a[d + 4], a[d + 5], a[d + 6], a[d + 7]
        b0, b1, b2, b3 = b[d], b[d + 1], b[d + 2], b[d + 3]
        b4, b5, b6, b7 = b[d + 4], b[d + 5], b[d + 6], b[d + 7]
        c0, c1, c2, c3 = c[d], c[d + 1], c[d + 2], c[d + 3]
        c4, c5, c6, c7 = c[d + 4], c[d + 5], c[d + 6], c[d + 7]
        e0, e1, e2, e3 = e[d], e[d + 1], e[d + 2], e[d + 3]
        e4, e5, e6, e7 = e[d + 4], e[d + 5], e[d + 6], e[d + 7]
        for j in range(values.shape[1]):
            t0, t1 = np.float32(values[d, j]), np.float32(values[d + 1, j])
            t2, t3 = np.float32(values[d + 2, j]), np.float32(values[d + 3, j])
            t4, t5 = np.float32(values[d + 4, j]), np.float32(values[d + 5, j])
            t6, t7 = np.float32(values[d + 6, j]), np.float32(values[d + 7, j])
            of_a[j] += a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3 + a4 * t4 + a5 * t5 + a6 * t6 + a7 * t7
            of_b[j] += b0 * t0 + b1 * t1 + b2 * t2 + b3 * t3 + b4 * t4 + b5 * t5 + b6 * t6 + b7 * t7
            of_c[j] += c0 * t0 + c1 * t1 + c2 * t2 + c3 * t3 + c4 * t4 + c5 * t5 + c6 * t6 + c7 * t7
            of_e[j] += e0 * t0 + e1 * t1 + e2 * t2 + e3 * t3 + e4 * t4 + e5 * t5 + e6 * t6 + e7 * t7
    for j in range(values.shape[1]):
        of_a[j] *= scale[j]
        of_b[j] *= scale[j]
        of_c[j] *= scale[j]
        of_e[j] *= scale[j]


@summing
def score_one(values: NDArray[np.generic], scale: F32, query: F32, scores: F32) -> None:
    """The same of one query (D,) into ``scores`` (512,)."""
    scores[:] = np.float32(0.0)
    for d in range(0, values.shape[0], 8):
        a0, a1, a2, a3 = query[d], query[d + 1], query[d + 2], query[d + 3]
        a4, a5, a6, a7 = query[d + 4], query[d + 5], query[d + 6], query[d + 7]
        for j in range(values.shape[1]):
            t0, t1 = np.float32(values[d, j]), np.float32(values[d + 1, j])
            t2, t3 = np.float32(values[d + 2, j]), np.float32(values[d + 3, j])
            t4, t5 = np.float32(values[d + 4, j]), np.float32(values[d + 5, j])
            t6, t7 = np.float32(values[d + 6, j]), np.float32(values[d + 7, j])
            scores[j] += a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3 + a4 * t4 + a5 * t5 + a6 * t6 + a7 * t7
    for j in range(values.shape[1]):
        scores[j] *= scale[j]
