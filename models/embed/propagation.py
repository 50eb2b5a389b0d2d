"""Vectors of items drawn towards those of the items that follow them in sessions: what one learned reaches the next.

LightGCN's propagation (He et al., SIGIR 2020) over vectors as they were learned; nothing is learned through it.
"""

from typing import Final, NamedTuple, cast

import numpy as np

from models.embed.table import I64
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32

HOPS: Final = 2
NEIGHBOURS: Final = 20
"""Of an item the ones seen most often beside it; it has more where it is among theirs."""


class Graph(NamedTuple):
    """E edges between n items by row, symmetric."""

    starts: I64
    """(n + 1,) edges of item i are those from ``starts[i]`` to ``starts[i + 1]``."""
    neighbours: I64
    """(E,)"""
    weights: F32
    """(E,) how often the two were seen beside one another, over the root of the product of both sums of that."""


def graph_of(here: I64, there: I64, n: int) -> Graph:
    """Of m times that row ``there`` (m,) came right after row ``here`` (m,), two different ones of n."""
    keys, counts = np.unique(np.concatenate([here * n + there, there * n + here]), return_counts=True)
    row, column = np.divmod(keys, n)
    order = np.lexsort((column, -counts, row))
    first = np.searchsorted(row, np.arange(n))
    kept = order[np.arange(len(order)) - first[row] < NEIGHBOURS]  # ``row[order]`` is ``row``
    kept = np.searchsorted(keys, np.union1d(keys[kept], column[kept] * n + row[kept]))
    row, column, count = row[kept], column[kept], counts[kept].astype(np.float64)
    sums = np.bincount(row, count, n)
    weights = count / np.sqrt(sums[row] * sums[column])
    return Graph(np.searchsorted(row, np.arange(n + 1)), column, weights.astype(np.float32))


def propagated(vectors: F32, graph: Graph, share: float, hops: int = HOPS) -> F32:
    """(n, D) unit vectors: (1 - share) v + share / hops (S v + S S v + …), S being the weights of the graph."""
    hop, total = vectors, np.float32(1.0 - share) * vectors  # (n, D)
    for _ in range(hops):
        hop = _hop(*graph, hop)  # (n, n) @ (n, D) -> (n, D)
        total += np.float32(share / hops) * hop
    length = np.linalg.norm(total, axis=1, keepdims=True)  # (n, 1)
    return cast(F32, total / np.maximum(length, np.float32(1e-12)))


@compiled
def _hop(starts: I64, neighbours: I64, weights: F32, vectors: F32) -> F32:
    out = np.zeros_like(vectors)
    for i in range(len(vectors)):
        for e in range(starts[i], starts[i + 1]):
            for d in range(vectors.shape[1]):
                out[i, d] += weights[e] * vectors[neighbours[e], d]
    return out
