"""How the items of a session lose weight by their position: the functions of VS-KNN, as tables."""

from collections.abc import Callable

import numpy as np

from models.retrieve.contract import F32, F64
from models.retrieve.settings import Decay

_BY_POSITION: dict[Decay, Callable[[F64, F64], F64]] = {
    "same": lambda i, n: np.ones_like(i * n),
    "linear": lambda i, n: np.maximum(0.0, 1.0 - 0.1 * (n - i)),
    "div": lambda i, n: i / n,
    "log": lambda i, n: 1.0 / np.log10(n - i + 1.7),
    "quadratic": lambda i, n: (i / n) ** 2,
}
_BY_STEP: dict[Decay, Callable[[F64], F64]] = {
    "same": np.ones_like,
    "linear": lambda i: np.maximum(0.0, 1.0 - 0.1 * i),
    "div": lambda i: 1.0 / i,
    "log": lambda i: 1.0 / np.log10(i + 1.7),
    "quadratic": lambda i: 1.0 / i**2,
}


def by_position(decay: Decay, n_items: int) -> F32:
    """(L + 1, L) weight of the p-th newest of n items, at [n, p]; 0 where p >= n."""
    n = np.arange(n_items + 1, dtype=np.float64)[:, None]
    i = np.maximum(n - np.arange(n_items), 0.0)
    table = _BY_POSITION[decay](i, np.maximum(n, 1.0))
    return np.where(i > 0, table, 0.0).astype(np.float32)


def by_step(decay: Decay, n_items: int) -> F32:
    """(L,) weight of a vote by the step p at which the newest shared item is, 0 for the newest of all."""
    return _BY_STEP[decay](np.arange(1.0, n_items + 1)).astype(np.float32)


def by_distance(decay: float, n_items: int) -> F32:
    """(W + 1,) weight of a neighbour's item d places from the newest shared one: 1 - decay (1 - 1 / d)."""
    distance = np.maximum(np.arange(n_items + 1.0), 1.0)
    return np.asarray(1.0 - decay * (1.0 - 1.0 / distance), np.float32)
