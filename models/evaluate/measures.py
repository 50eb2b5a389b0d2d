"""Measures of the trials at a cut-off k, vectorised.

HR: share of the trials with any item found. MRR: mean of 1 / rank of the first. NDCG with gains of 1 (Järvelin and
Kekäläinen, 2002). Recall: share of the event's items found; precision: share of the k places that held one; F1: their
harmonic mean in each trial. With one item an event, recall is HR and precision HR / k.
"""

from collections.abc import Sequence

import numpy as np

from models.evaluate.trials import F64, I64

MEASURES = ("hr", "mrr", "ndcg", "recall", "precision", "f1")


def measured(ranks: Sequence[tuple[int, ...]], n_items: I64, k: int) -> F64:
    """(n, 6) of ``MEASURES`` for n trials, from the ranks of what was found and the number of items asked for."""
    n = len(ranks)
    lengths = np.fromiter(map(len, ranks), np.int64, n)
    flat = np.fromiter((rank for of_trial in ranks for rank in of_trial), np.int64, int(lengths.sum()))
    trial = np.repeat(np.arange(n), lengths)
    within = flat <= k
    flat, trial = flat[within], trial[within]
    hits = np.bincount(trial, minlength=n).astype(np.float64)
    first = np.full(n, np.inf)
    np.minimum.at(first, trial, flat)
    gain = np.bincount(trial, 1.0 / np.log2(flat + 1.0), n)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))])
    recall, precision = hits / n_items, hits / k
    both = recall + precision
    f1 = np.divide(2.0 * recall * precision, both, out=np.zeros(n), where=both > 0.0)
    return np.stack(
        [hits > 0, 1.0 / first, gain / ideal[np.minimum(n_items, k)], recall, precision, f1], axis=1
    )
