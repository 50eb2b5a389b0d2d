"""Embedding tables that grow: a row for each index that was seen often enough, none shared.

Collision-free with a frequency filter, as Monolith keeps its own (Liu et al., RecSys ORSUM 2022).
"""

from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.retrieve.contract import F32, I32

I64 = NDArray[np.int64]
Arrays = dict[str, NDArray[np.generic]]

NONE = 0
"""The row of what has none: zero, and never learned."""
FIRST_ROWS = 1_024
BETAS = 0.9, 0.999
EPSILON = 1e-8


class Gathered(NamedTuple):
    """The rows that a batch reads, each once, so that a step costs what the batch reads and not what is kept."""

    rows: Tensor
    """(R,) rows of the table; the first is ``NONE``."""
    values: Tensor
    """(R, D) a leaf of the graph."""
    at: Tensor
    """(...) where among the R rows each index that was asked for is."""


class DynamicTable:
    """At most ``max_rows`` rows (D,), by index; learned by Adam (Kingma and Ba, ICLR 2015), lazily, row by row.

    Rows begin as normal noise of deviation ``spread``.
    """

    def __init__(
        self, dim: int, max_rows: int, min_count: int, spread: float, rng: np.random.Generator, device: str
    ) -> None:
        self._max_rows, self._min_count, self._spread, self._rng = max_rows, min_count, spread, rng
        self._row_of = np.zeros(0, np.int32)
        self._count = np.zeros(0, np.int32)
        self._index_of = np.full(FIRST_ROWS, -1, np.int32)
        self._free: list[int] = []
        self._used = 1
        self._n_steps = 0
        self.values, self._mean, self._square = (
            torch.zeros(FIRST_ROWS, dim, device=device) for _ in range(3)
        )

    def __len__(self) -> int:
        return self._used - 1 - len(self._free)

    @property
    def indexes(self) -> I32:
        """Indexes that have a row, in the order of the rows."""
        held = self._index_of[: self._used]
        return held[held >= 0]

    def see(self, indexes: I32) -> None:
        """Count n indexes, -1 for none; those seen ``min_count`` times by now get a row, as long as there is room."""
        indexes = indexes[indexes >= 0]
        if not indexes.size:
            return
        self._reach(int(indexes.max()))
        np.add.at(self._count, indexes, 1)
        due = indexes[(self._row_of[indexes] == NONE) & (self._count[indexes] >= self._min_count)]
        if due.size:
            self._give(cast(I32, np.unique(due)))

    def rows(self, indexes: I32) -> I32:
        """(...) rows of ``indexes``, ``NONE`` where they have none."""
        known = (indexes >= 0) & (indexes < len(self._row_of))
        if not len(self._row_of):
            return np.zeros(indexes.shape, np.int32)
        return cast(I32, np.where(known, self._row_of[np.where(known, indexes, 0)], NONE))

    def gather(self, indexes: I32) -> Gathered:
        """The rows of ``indexes`` (...) to learn."""
        device = self.values.device
        distinct, at = distinct_of(self.rows(indexes), self._used, always=NONE)
        rows = torch.from_numpy(distinct).to(device)
        values = self.values[rows].requires_grad_()  # (R, D)
        return Gathered(rows, values, torch.from_numpy(at).to(device))

    @torch.no_grad()
    def step(self, gathered: Gathered, rate: float, decay: float) -> None:
        """One step of Adam down the gradient of the gathered rows, with decoupled weight ``decay``."""
        self._n_steps += 1
        if gathered.values.grad is None or len(gathered.rows) < 2:
            return
        rows, slope = gathered.rows[1:], gathered.values.grad[1:]  # (R - 1,), (R - 1, D)
        mean = self._mean[rows].lerp_(slope, 1.0 - BETAS[0])  # (R - 1, D)
        square = self._square[rows].mul_(BETAS[1]).addcmul_(slope, slope, value=1.0 - BETAS[1])  # (R - 1, D)
        self._mean[rows], self._square[rows] = mean, square
        rest = 1.0 - BETAS[0] ** self._n_steps, 1.0 - BETAS[1] ** self._n_steps
        step = mean.div_(rest[0]).div_(square.div_(rest[1]).sqrt_().add_(EPSILON))  # (R - 1, D)
        self.values[rows] = gathered.values[1:].detach().mul(1.0 - rate * decay).sub_(step, alpha=rate)

    def forget(self, indexes: I32) -> None:
        """Take the rows of these indexes back; the next ones to have them begin afresh, their moments too."""
        indexes = indexes[(indexes >= 0) & (indexes < len(self._row_of))]
        rows = self._row_of[indexes]
        rows = rows[rows != NONE]
        self._row_of[indexes] = NONE
        self._count[indexes] = 0
        self._index_of[rows] = -1
        self._clear(rows)
        self._free.extend(rows[::-1].tolist())

    def state(self) -> Arrays:
        """Indexes with a row (R,), their values and moments (R, D), and how often each index below I was seen (I,)."""
        indexes = self.indexes
        rows = torch.from_numpy(self.rows(indexes).astype(np.int64)).to(self.values.device)
        columns = {"values": self.values, "mean": self._mean, "square": self._square}
        seen = np.flatnonzero(self._count).astype(np.int32)
        return {
            "index": indexes,
            "seen": seen,
            "count": self._count[seen],
            "steps": np.array([self._n_steps]),
            **{name: column[rows].cpu().numpy() for name, column in columns.items()},
        }

    def load(self, state: Arrays) -> None:
        """Go on from ``state``; rows and counts whose index is -1 by now are left out."""
        self.forget(self.indexes)
        self._n_steps = int(state["steps"][0])
        index, seen = cast(I32, state["index"]), cast(I32, state["seen"])
        kept = np.flatnonzero(index >= 0)[: self._max_rows]
        indexes = index[kept]
        self._reach(int(max(indexes.max(initial=-1), seen.max(initial=-1))))
        self._give(indexes)
        rows = torch.from_numpy(self.rows(indexes).astype(np.int64)).to(self.values.device)
        for name, column in (("values", self.values), ("mean", self._mean), ("square", self._square)):
            column[rows] = torch.from_numpy(cast(F32, state[name][kept])).to(column.device)
        self._count[:] = 0
        self._count[seen[seen >= 0]] = state["count"][seen >= 0]

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        of_indexes = self._row_of.nbytes + self._count.nbytes + self._index_of.nbytes
        return of_indexes + 3 * self.values.nbytes

    def _give(self, indexes: I32) -> None:
        indexes = indexes[: self._max_rows - len(self)]
        reused = [self._free.pop() for _ in range(min(len(self._free), len(indexes)))]
        n_new = len(indexes) - len(reused)
        rows = np.array([*reused, *range(self._used, self._used + n_new)], np.int32)
        self._used += n_new
        self._grow(self._used)
        self._row_of[indexes], self._index_of[rows] = rows, indexes
        first = self._rng.standard_normal((len(rows), self.values.shape[1]), np.float32) * np.float32(
            self._spread
        )
        self.values[torch.from_numpy(rows.astype(np.int64))] = torch.from_numpy(first).to(self.values.device)

    def _clear(self, rows: I32) -> None:
        at = torch.from_numpy(rows.astype(np.int64)).to(self.values.device)
        for column in (self.values, self._mean, self._square):
            column[at] = 0.0

    def _reach(self, index: int) -> None:
        """Have room for ``index``."""
        if index >= len(self._row_of):
            more = max(index + 1, 2 * len(self._row_of)) - len(self._row_of)
            self._row_of = np.concatenate([self._row_of, np.zeros(more, np.int32)])
            self._count = np.concatenate([self._count, np.zeros(more, np.int32)])

    def _grow(self, n_rows: int) -> None:
        """Have ``n_rows``, by doubling."""
        held = len(self._index_of)
        if n_rows <= held:
            return
        more = min(max(n_rows, 2 * held), self._max_rows + 1) - held
        self._index_of = np.concatenate([self._index_of, np.full(more, -1, np.int32)])
        self.values, self._mean, self._square = (
            torch.cat([column, column.new_zeros(more, column.shape[1])])
            for column in (self.values, self._mean, self._square)
        )


def distinct_of(rows: I32, n_rows: int, always: int | None = None) -> tuple[I64, I64]:
    """The distinct ``rows`` (...) below ``n_rows``, ascending, and where among them each is (...).

    ``always`` is one of them in any case. Marks instead of sorting: a few times faster at these sizes.
    """
    marks = np.zeros(n_rows, np.bool_)
    marks[rows.ravel()] = True
    if always is not None:
        marks[always] = True
    distinct = np.flatnonzero(marks)
    place = np.empty(n_rows, np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[rows]
