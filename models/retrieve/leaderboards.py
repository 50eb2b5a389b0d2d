"""Rows of decayed counts, each bounded to its heaviest items: what goes with an item, a category, a query.

It knows nothing of what a row stands for.
"""

from math import log
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled, packed
from models.retrieve.contract import F32, F64, I32
from models.retrieve.top_k import empty_lists, top_k

LN2 = log(2.0)
_MAX_EXPONENT = 40.0


class Leaderboards(NamedTuple):
    """R rows of W counted items.

    Counts are kept as of the row's landmark: an interaction at ``t`` adds ``weight * 2 ** ((t - landmark) /
    half-life)`` (forward decay: Cormode, Shkapenyuk, Srivastava and Xu, ICDE 2009), so that time alone
    changes nothing stored and interactions may come in any order of their times. When a row is full the
    smallest count makes room, and the newcomer starts from it with that much noted as error (Space-Saving:
    Metwally, Agrawal and El Abbadi, ICDT 2005): ``counts - errors`` never says too much.
    """

    items: I32
    """(R, W) -1 where free."""
    counts: F32
    errors: F32
    totals: F64
    """(R,) sum of all that was added, kept or not."""
    landmark_s: F64
    """(R,)"""


class Scratch(NamedTuple):
    """Working memory of a query, left as it was found."""

    score: F32
    """(I,) 0"""
    largest: F32
    """(I,) 0; the largest part of the score that one row gave."""
    cause: I32
    """(I,) which row that was."""
    touched: I32
    """(I,)"""


def empty_leaderboards(n_rows: int, width: int) -> Leaderboards:
    """``n_rows`` rows of ``width`` items."""
    return Leaderboards(
        items=np.full((n_rows, width), -1, np.int32),
        counts=np.zeros((n_rows, width), np.float32),
        errors=np.zeros((n_rows, width), np.float32),
        totals=np.zeros(n_rows),
        landmark_s=np.zeros(n_rows),
    )


def empty_scratch(n_items: int) -> Scratch:
    """Working memory for a catalogue of ``n_items``."""
    return Scratch(
        score=np.zeros(n_items, np.float32),
        largest=np.zeros(n_items, np.float32),
        cause=np.full(n_items, -1, np.int32),
        touched=np.zeros(n_items, np.int32),
    )


@compiled
def add(b: Leaderboards, row: int, item: int, weight: float, time_s: float, rate: float) -> None:
    """Count ``item`` in ``row``; ``rate`` is ln 2 over the half-life in seconds."""
    exponent = (time_s - b.landmark_s[row]) * rate
    if b.totals[row] == 0.0 or exponent > _MAX_EXPONENT:
        scale = np.float32(np.exp(-exponent)) if b.totals[row] > 0.0 else np.float32(0.0)
        for j in range(b.items.shape[1]):
            b.counts[row, j] *= scale
            b.errors[row, j] *= scale
        b.totals[row] *= scale
        b.landmark_s[row] = time_s
        exponent = 0.0
    gain = np.float32(weight * np.exp(exponent))
    if gain <= 0.0:
        return
    b.totals[row] += gain
    least = 0
    for j in range(b.items.shape[1]):
        if b.items[row, j] == item:
            b.counts[row, j] += gain
            return
        if b.counts[row, j] < b.counts[row, least]:
            least = j
    b.items[row, least] = item
    b.errors[row, least] = b.counts[row, least]
    b.counts[row, least] += gain


@compiled
def add_all(
    b: Leaderboards, rows: I32, items: I32, n_items: int, weights: F32, time_s: F64, rate: float
) -> None:
    """Count n interactions, in order; rows and items out of range are passed over."""
    for r in range(rows.shape[0]):
        if 0 <= rows[r] < b.totals.shape[0] and 0 <= items[r] < n_items:
            add(b, rows[r], items[r], weights[r], time_s[r], rate)


@compiled
def share_out(
    b: Leaderboards, t: Scratch, row: int, cause: int, weight: float, smoothing: float, n_touched: int
) -> int:
    """Add ``weight`` times each item's share of the row to the scores; returns how many have a score."""
    unit = np.float32(weight / (b.totals[row] + smoothing))
    for j in range(b.items.shape[1]):
        item = b.items[row, j]
        part = unit * (b.counts[row, j] - b.errors[row, j])
        if item < 0 or not part > 0.0:
            continue
        if t.score[item] == 0.0:
            t.touched[n_touched] = item
            n_touched += 1
        t.score[item] += part
        if part > t.largest[item]:
            t.largest[item] = part
            t.cause[item] = cause
    return n_touched


@compiled
def clear(t: Scratch, n_touched: int) -> None:
    """Leave the working memory as it was found."""
    for j in range(n_touched):
        t.score[t.touched[j]] = 0.0
        t.largest[t.touched[j]] = 0.0


@compiled
def blend(
    b: Leaderboards,
    t: Scratch,
    rows: I32,
    weights: F32,
    now_s: F64,
    smoothing: float,
    rate: float,
    out: I32,
    out_score: F32,
    out_cause: I32,
) -> None:
    """Candidates (N, K) from the rows (N, R) of each user; the cause is the row that gave most."""
    for r in range(rows.shape[0]):
        n_touched = 0
        for c in range(rows.shape[1]):
            row = rows[r, c]
            if row < 0 or row >= b.totals.shape[0] or b.totals[row] <= 0.0:
                continue
            smooth = smoothing * np.exp((now_s[r] - b.landmark_s[row]) * rate) if smoothing > 0.0 else 0.0
            n_touched = share_out(b, t, row, row, weights[r, c], smooth, n_touched)
        n_top = top_k(t.score, t.touched, n_touched, out[r], out_score[r])
        for j in range(n_top):
            out_cause[r, j] = t.cause[out[r, j]]
        clear(t, n_touched)


def blended(
    b: Leaderboards, t: Scratch, rows: I32, weights: F32, now_s: F64, smoothing: float, rate: float, k: int
) -> tuple[I32, F32, I32]:
    """Items, scores and causes (N, k) from the rows (N, R) of each user."""
    out = empty_lists(len(rows), k)
    blend(
        b,
        t,
        cast(I32, packed(rows, np.int32)),
        cast(F32, packed(weights, np.float32)),
        cast(F64, packed(now_s, np.float64)),
        smoothing,
        rate,
        *out,
    )
    return out


def drop_items(b: Leaderboards, gone: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Take the items marked in ``gone`` (I + 1,) out of every row; returns the rows that held one."""
    row, column = np.nonzero(gone[b.items])
    known = (b.counts[row, column] - b.errors[row, column]).astype(np.float64)
    np.subtract.at(b.totals, row, known)
    np.maximum(b.totals, 0.0, out=b.totals)
    b.items[row, column] = -1
    b.counts[row, column] = 0.0
    b.errors[row, column] = 0.0
    return np.unique(row)


def clear_rows(b: Leaderboards, rows: NDArray[np.bool_]) -> None:
    """Empty the rows marked in ``rows`` (R,)."""
    b.items[rows] = -1
    b.counts[rows] = 0.0
    b.errors[rows] = 0.0
    b.totals[rows] = 0.0
