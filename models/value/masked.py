"""Lists as they would be with some sources of data alone: to be judged under every coalition, and to be learned."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learn.groups import I16, SCALE, Groups
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from models.value.games import Layout
from models.value.seen import OFF_POLICY, bought, clicked

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]
RANKED: Final = ("ndcg", "hit_rate", "mrr")
"""Of lists with a wanted item among others."""
MEASURES: Final = (*RANKED, *OFF_POLICY)
MOST: Final = np.float32(200.0)
FINE: Final = np.float32(1 << 20)
"""Scores are added up in steps of a millionth, so that what comes and goes again leaves nothing behind."""


def worth(groups: Groups, weights: F32, layout: Layout, opened: Bool, k: int, max_weight: float) -> F64:
    """(G, C, M) ``MEASURES`` of what was wanted, ranked by ``weights`` (F,) under each of C coalitions.

    ``opened`` (C, B) says which blocks each knows. A candidate takes part where a recommendation source that may speak
    names it; ties count half. Lists without something wanted are 0 everywhere: leave them out before. ``RANKED`` are at
    ``k`` places, 0 of a list of one; ``OFF_POLICY`` are what a click or purchase counts, at most ``max_weight``.
    """
    out = np.zeros((len(groups.n), len(opened), len(MEASURES)))
    order = np.arange(len(opened)) ^ (
        np.arange(len(opened)) >> 1
    )  # Gray's: one player comes or goes at a time
    steps = np.diff(opened[order].astype(np.int32), axis=0, prepend=np.zeros((1, opened.shape[1]), np.int32))
    taken = np.stack([clicked(groups), bought(groups)], axis=1).astype(np.float64)  # (G, 2)
    _worth(
        groups.x,
        groups.n,
        groups.target,
        groups.chances,
        taken,
        weights * SCALE,
        *_columns(layout),
        order,
        steps,
        k,
        max_weight,
        out,
    )
    return out


def shared(worths: F64, matrix: F64) -> tuple[F64, F64]:
    """Sums over lists, and of squares: (M, R) of what R rows of a ``matrix`` (R, C) make of ``worths`` (G, C, M)."""
    shape = worths.shape[2], len(matrix)
    total, squares = np.zeros(shape), np.zeros(shape)
    _share(worths, np.ascontiguousarray(matrix.T), total, squares)
    return total, squares


def masked(groups: Groups, layout: Layout, opened: Bool) -> Groups:
    """Lists with the columns alone that ``opened`` (G, B) gives, less the candidates that nobody names then.

    Lists whose wanted candidate is gone have ``n`` 0, and teach nothing.
    """
    x, n, target = np.zeros_like(groups.x), np.zeros_like(groups.n), np.full_like(groups.target, -1)
    chances = np.ones_like(groups.chances)
    _mask(groups.x, groups.n, groups.target, groups.chances, *_columns(layout), opened, x, n, target, chances)
    return groups._replace(x=x, n=n, target=target, chances=chances)


def _columns(layout: Layout) -> tuple[I32, I32, int]:
    return layout.block, layout.named, layout.agreement


@compiled
def _worth(
    x: I16,
    n: I32,
    target: I32,
    chances: F32,
    taken: F64,
    scaled: F32,
    block: I32,
    named: I32,
    agreement: int,
    order: I64,
    steps: I32,
    k: int,
    max_weight: float,
    out: F64,
) -> None:
    n_blocks = steps.shape[1]
    exact = np.empty(n_blocks, np.float32)
    part = np.empty((n_blocks, x.shape[1]), np.int32)
    speaks = np.empty((n_blocks, x.shape[1]), np.int32)
    score, heard = np.empty(x.shape[1], np.int32), np.empty(x.shape[1], np.int32)
    one = scaled[agreement] / (np.float32(SCALE) * np.float32(len(named)))
    for g in range(x.shape[0]):
        wanted = target[g]
        if wanted < 0:
            continue
        speaks[:] = 0
        for i in range(n[g]):
            exact[:] = np.float32(0.0)
            for f in range(x.shape[2]):
                if f != agreement:
                    exact[block[f]] += np.float32(x[g, i, f]) * scaled[f]
            for column in named:
                if x[g, i, column] > 0:
                    speaks[block[column], i] += 1
                    exact[block[column]] += one
            for b in range(n_blocks):
                part[b, i] = np.int32(min(max(exact[b], -MOST), MOST) * FINE)
        score[:], heard[:] = 0, 0
        for c in range(len(order)):
            for b in range(n_blocks):
                if steps[c, b] != 0:
                    for i in range(n[g]):
                        score[i] += steps[c, b] * part[b, i]
                        heard[i] += steps[c, b] * speaks[b, i]
            if heard[wanted] > 0:
                ahead, tied = _place(score, heard, n[g], wanted)
                rank = 0.5 + ahead + 0.5 * tied
                if rank <= k and n[g] > 1:
                    out[g, order[c], 0] = 1.0 / np.log2(1.0 + rank)
                    out[g, order[c], 1] = 1.0
                    out[g, order[c], 2] = 1.0 / rank
                if taken[g, 0] + taken[g, 1] > 0.0:
                    there = chances[g, ahead : ahead + tied].mean()
                    weight = min(there / chances[g, wanted], max_weight)
                    out[g, order[c], 3] = taken[g, 0] * weight
                    out[g, order[c], 4] = taken[g, 1] * weight


@compiled
def _place(score: I32, heard: I32, n: int, wanted: int) -> tuple[int, int]:
    """How many candidates come before the wanted one, and how many are as good, itself included."""
    ahead, tied = 0, 0
    for i in range(n):
        named = heard[i] > 0
        ahead += named & (score[i] > score[wanted])
        tied += named & (score[i] == score[wanted])
    return ahead, tied


@compiled
def _mask(
    x: I16,
    n: I32,
    target: I32,
    chances: F32,
    block: I32,
    named: I32,
    agreement: int,
    opened: Bool,
    to_x: I16,
    to_n: I32,
    to_target: I32,
    to_chances: F32,
) -> None:
    for g in range(x.shape[0]):
        at = 0
        for i in range(n[g]):
            n_speak = 0
            for column in named:
                n_speak += x[g, i, column] > 0 and opened[g, block[column]]
            if n_speak == 0:
                continue
            for f in range(x.shape[2]):
                if opened[g, block[f]]:
                    to_x[g, at, f] = x[g, i, f]
            to_x[g, at, agreement] = np.int16(round(n_speak / len(named) / SCALE))
            to_chances[g, at] = chances[g, i]
            if i == target[g]:
                to_target[g] = at
            at += 1
        if to_target[g] >= 0 or target[g] < 0:
            to_n[g] = at


@compiled
def _share(worths: F64, columns: F64, total: F64, squares: F64) -> None:
    n_rows = columns.shape[1]
    value = np.empty(n_rows)
    for g in range(worths.shape[0]):
        for m in range(worths.shape[2]):
            value[:] = 0.0
            for c in range(worths.shape[1]):
                if worths[g, c, m] != 0.0:
                    for row in range(n_rows):
                        value[row] += worths[g, c, m] * columns[c, row]
            for row in range(n_rows):
                total[m, row] += value[row]
                squares[m, row] += value[row] * value[row]
