"""Vectors that others give of items, as an encoder of images or titles does. ``model`` learns what they mean."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.retrieve.contract import F32, I32

FIRST_ROWS: Final = 1_024


class GivenVectors:
    """One (G,) for each item that has one, of unit length, in half precision; at most ``n_items``.

    Rows are made as far as the highest such item. Where ``dim``, G, is 0, nothing is read and nothing kept.
    """

    def __init__(self, dim: int, n_items: int) -> None:
        self._dim, self._n_items = dim, n_items
        self._has = np.zeros(n_items if dim else 0, np.bool_)
        self._vectors = np.zeros((0, dim), np.float16)
        self.n_unfit = 0
        """Vectors that were not taken: of another length, all zeros, or not finite."""
        self.unfit_length = 0
        """Of the latest of them."""

    def __len__(self) -> int:
        return int(self._has.sum())

    def put(self, item: int, vector: Sequence[float] | F32 | None) -> None:
        """Take ``vector`` as the one of ``item`` in place of the one before; None, or one that is unfit, is none."""
        if not self._dim:
            return
        self.forget(np.array([item], np.int32))
        if vector is None:
            return
        values = np.asarray(vector, np.float64)
        length = float(np.linalg.norm(values))
        if len(values) != self._dim or not np.isfinite(length) or length == 0.0:
            self.n_unfit += 1
            self.unfit_length = len(values)
            return
        self._reach(item)
        self._vectors[item] = values / length
        self._has[item] = True

    def has(self, items: I32) -> NDArray[np.bool_]:
        """(n,) which of ``items`` have one."""
        return self._has[items] if self._dim else np.zeros(len(items), np.bool_)

    def gather(self, items: I32) -> F32:
        """(U, G) those of ``items`` (U,), zeros for those that have none."""
        found = np.zeros((len(items), self._dim), np.float32)
        has = self.has(items)
        found[has] = self._vectors[items[has]]
        return found

    def forget(self, items: I32) -> None:
        """These items have none any more."""
        if self._dim:
            self._has[items] = False

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self._has.nbytes + self._vectors.nbytes

    def _reach(self, item: int) -> None:
        """Have room for ``item``, by doubling."""
        held = len(self._vectors)
        if item >= held:
            n_rows = min(max(item + 1, 2 * held, FIRST_ROWS), self._n_items)
            more = np.zeros((n_rows - held, self._dim), np.float16)
            self._vectors = np.concatenate([self._vectors, more])
