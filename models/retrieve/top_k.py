"""The k best of many scores: best first, ties by the lower index."""

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32


@compiled
def beats(score: float, index: int, other_score: float, other_index: int) -> bool:
    """Whether an index ranks before another."""
    return score > other_score or (score == other_score and index < other_index)


@compiled
def sift_down(indexes: I32, scores: F32, n: int) -> None:
    """Restore the heap of ``n`` entries, worst at the root, after its root changed."""
    index, score = indexes[0], scores[0]
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= n:
            break
        if child + 1 < n and beats(scores[child], indexes[child], scores[child + 1], indexes[child + 1]):
            child += 1
        if not beats(score, index, scores[child], indexes[child]):
            break
        indexes[hole], scores[hole] = indexes[child], scores[child]
        hole = child
    indexes[hole], scores[hole] = index, score


@compiled
def sift_up(indexes: I32, scores: F32, hole: int) -> None:
    """Restore the heap, worst at the root, after an entry was put at its end."""
    index, score = indexes[hole], scores[hole]
    while hole > 0:
        parent = (hole - 1) >> 1
        if not beats(scores[parent], indexes[parent], score, index):
            break
        indexes[hole], scores[hole] = indexes[parent], scores[parent]
        hole = parent
    indexes[hole], scores[hole] = index, score


@compiled
def select_k(scores: F32, indexes: I32, n: int, best: I32, best_scores: F32) -> int:
    """Write the best of ``indexes[:n]`` by ``scores[index]`` into ``best`` (K,), returns how many.

    They are a heap, worst first, when ``n`` is above K, else in the order of ``indexes``. Scores at or below
    0 are left out; entries of ``best`` beyond the number returned keep what they held.
    """
    k, size = best.shape[0], 0
    for j in range(n):
        index = indexes[j]
        score = scores[index]
        if score <= 0.0:
            continue
        if size < k:
            best[size], best_scores[size] = index, score
            size += 1
            if n > k:
                sift_up(best, best_scores, size - 1)
        elif k > 0 and beats(score, index, best_scores[0], best[0]):
            best[0], best_scores[0] = index, score
            sift_down(best, best_scores, size)
    return size


@compiled
def top_k(scores: F32, indexes: I32, n: int, best: I32, best_scores: F32) -> int:
    """The same, best first."""
    size = select_k(scores, indexes, n, best, best_scores)
    if n <= best.shape[0]:
        for end in range(1, size):
            sift_up(best, best_scores, end)
    for end in range(size - 1, 0, -1):
        best[0], best[end] = best[end], best[0]
        best_scores[0], best_scores[end] = best_scores[end], best_scores[0]
        sift_down(best, best_scores, end)
    return size


def empty_lists(n: int, k: int) -> tuple[I32, F32, I32]:
    """Items, scores and causes of (n, k) candidates, all padding."""
    return np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32), np.full((n, k), -1, np.int32)


def ranked(indexes: NDArray[np.integer], scores: NDArray[np.floating], k: int) -> tuple[I32, F32]:
    """The same for plain arrays of equal length: at most ``k`` positive entries."""
    order = np.lexsort((indexes, -scores))[:k]
    order = order[scores[order] > 0]
    return indexes[order].astype(np.int32), scores[order].astype(np.float32)


def marked(items: I32, n_items: int) -> NDArray[np.bool_]:
    """(I + 1,) True at each of ``items`` that is a valid index; the last stands for padding and is False."""
    gone = np.zeros(n_items + 1, np.bool_)
    gone[items[(items >= 0) & (items < n_items)]] = True
    return gone
