"""Lists as they would be with some sources of data alone: to be judged under every coalition, and to be learned."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.learn.groups import I16, SCALE, Groups
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from models.value.games import Layout

Bool = NDArray[np.bool_]
MEASURES: Final = ("ndcg", "hit_rate", "mrr")


def worth(groups: Groups, weights: F32, layout: Layout, opened: Bool, k: int) -> F64:
    """(3, G, C) ``MEASURES`` at ``k`` of what was wanted, ranked by ``weights`` (F,) under each of C coalitions.

    ``opened`` (C, B) says which blocks each knows. A candidate takes part where a recommendation source that may speak
    names it; ties count half. Lists without something wanted are 0 everywhere: leave them out before.
    """
    out = np.zeros((len(MEASURES), len(groups.n), len(opened)))
    _worth(groups.x, groups.n, groups.target, weights * SCALE, *_columns(layout), opened, k, out)
    return out


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
    scaled: F32,
    block: I32,
    named: I32,
    agreement: int,
    opened: Bool,
    k: int,
    out: F64,
) -> None:
    n_blocks = opened.shape[1]
    part = np.empty((x.shape[1], n_blocks), np.float32)
    speaks = np.empty((x.shape[1], n_blocks), np.bool_)
    score = np.empty(x.shape[1], np.float32)
    one = scaled[agreement] / (np.float32(SCALE) * np.float32(len(named)))
    for g in range(x.shape[0]):
        wanted = target[g]
        if wanted < 0:
            continue
        part[:], speaks[:] = np.float32(0.0), False
        for i in range(n[g]):
            for f in range(x.shape[2]):
                if f != agreement:
                    part[i, block[f]] += np.float32(x[g, i, f]) * scaled[f]
            for column in named:
                if x[g, i, column] > 0:
                    speaks[i, block[column]] = True
                    part[i, block[column]] += one
        for c in range(len(opened)):
            rank = _rank(part, speaks, n[g], wanted, opened[c], score)
            if 0.0 < rank <= k:
                out[0, g, c] = 1.0 / np.log2(1.0 + rank)
                out[1, g, c] = 1.0
                out[2, g, c] = 1.0 / rank


@compiled
def _rank(part: F32, speaks: Bool, n: int, wanted: int, opened: Bool, score: F32) -> float:
    """Of the wanted candidate, from 1, a tie half; 0 where nobody names it."""
    for i in range(n):
        score[i], heard = np.float32(0.0), False
        for b in range(len(opened)):
            if opened[b]:
                score[i] += part[i, b]
                heard = heard or speaks[i, b]
        if not heard:
            score[i] = np.float32(-np.inf)
    if score[wanted] == np.float32(-np.inf):
        return 0.0
    ahead, tied = 0, 0
    for i in range(n):
        ahead += score[i] > score[wanted]
        tied += score[i] == score[wanted]
    return 0.5 + ahead + 0.5 * tied


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
