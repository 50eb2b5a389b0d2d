from collections.abc import Callable

import numpy as np
import pytest

from models.kinds import Kind
from models.learn.groups import SCALE, Groups
from models.value.games import Layout

N_RECOMMENDERS = 3
WIDTH = 2
"""Columns of each recommendation source: whether it names the item, and its score. The last column is agreement."""


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Three recommendation sources, each of a source of data of its own; agreement takes none."""
    return Layout(
        block=np.array([1, 1, 2, 2, 3, 3, 0], np.int32),
        needs=np.array([0, 1, 2, 4], np.uint8),
        named=np.array([0, 2, 4], np.int32),
        agreement=6,
    )


@pytest.fixture(scope="session")
def lists() -> Callable[..., Groups]:
    """``n`` lists whose wanted item the first source of data knows best, the second as it, the third not at all."""

    def make(n: int, seed: int = 1, k: int = 12, noise: float = 0.7, named: float = 0.8) -> Groups:
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(n, k))
        x = np.zeros((n, k, 7))
        heard = rng.normal(size=(n, k)) * noise
        for s, told in enumerate((truth + heard, truth + heard, rng.normal(size=(n, k)))):
            names = rng.random((n, k)) < named if s == 2 or named < 1.0 else np.ones((n, k), bool)
            x[:, :, 2 * s] = names
            x[:, :, 2 * s + 1] = np.where(names, np.clip(told, -3.9, 3.9), 0.0)
        x[:, :, 6] = x[:, :, [0, 2, 4]].mean(axis=2)
        wanted = (truth + rng.gumbel(size=(n, k)) * 0.3).argmax(axis=1)
        return Groups(
            np.round(x / SCALE).astype(np.int16),
            np.full(n, k, np.int32),
            wanted.astype(np.int32),
            np.ones(n, np.float32),
            np.zeros(n, np.uint8),
            np.ones(n, np.uint8),
            np.zeros(n, np.uint8),
            np.ones((n, k), np.float32),
            np.full(n, Kind.CLICK, np.uint8),
        )

    return make
