from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.kinds import Kind
from models.learn.groups import SCALE, Groups

Rows = Sequence[Sequence[float]]


def _lists(
    *lists: tuple[Rows, int, float],
    learned: Sequence[int] = (),
    seen: Sequence[int] = (),
    chances: Sequence[float] = (),
    k: int = 0,
    f: int = 0,
) -> Groups:
    width = max([k, *(len(rows) for rows, _, _ in lists)])
    n_features = f or max(len(row) for rows, _, _ in lists for row in rows)
    x = np.zeros((len(lists), width, n_features), np.int16)
    for g, (rows, _, _) in enumerate(lists):
        x[g, : len(rows)] = np.round(np.array(rows).reshape(len(rows), n_features) / SCALE)
    looked_at = np.ones((len(lists), width), np.float32)
    looked_at[:, : len(chances)] = chances or 1.0
    return Groups(
        x,
        np.array([len(rows) for rows, _, _ in lists], np.int32),
        np.array([target for _, target, _ in lists], np.int32),
        np.array([weight for _, _, weight in lists], np.float32),
        learned=np.array(learned or [0] * len(lists), np.uint8),
        sampled=np.ones(len(lists), np.uint8),
        seen=np.array(seen or [0] * len(lists), np.uint8),
        chances=looked_at,
        kind=np.full(len(lists), Kind.CLICK, np.uint8),
    )


def _toy(n: int, seed: int = 1, k: int = 8, f: int = 5, truth: Sequence[float] = (3, -2, 1, 0, 0)) -> Groups:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, k, f))
    noise = rng.gumbel(size=(n, k))
    target = (x @ np.array(truth, float) + noise).argmax(axis=1)
    return _lists(*((x[g], int(target[g]), 1.0) for g in range(n)))


@pytest.fixture(scope="session")
def lists() -> Callable[..., Groups]:
    """From ``(rows of features, target, weight)`` a list, features as close as sixteen bits come.

    ``learned`` and ``seen`` are one mark a list, ``chances`` those of the places of all lists.
    """
    return _lists


@pytest.fixture(scope="session")
def toy() -> Callable[..., Groups]:
    """``n`` lists of eight whose wanted ones are drawn from the softmax of ``truth``."""
    return _toy
