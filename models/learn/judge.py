"""How well weights would have ordered lists whose outcome is now known, before anyone learns from it."""

from typing import NamedTuple

import numpy as np

from models.learn.groups import I16, SCALE, Groups
from models.learn.listwise import softmax
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32


class Judged(NamedTuple):
    """(G,) figures of lists; NaN where a list has no wanted candidate."""

    rank: F32
    """Of the wanted candidate, from 1; a tie counts against it."""
    loss: F32
    """-log P(wanted) of the softmax over the list, nats."""
    auc: F32
    """Share of the other candidates that score lower, ties half."""
    best: F32
    """Probability given to the best candidate."""
    is_best: F32
    """1 where that was the wanted one."""


def judge(groups: Groups, weights: F32) -> Judged:
    """Of lists with ``weights`` (F,)."""
    out = np.full((5, len(groups.n)), np.nan, np.float32)
    _judge(groups.x, groups.n, groups.target, groups.weight, weights * SCALE, out)
    return Judged(*out)


def ndcg(rank: F32, k: int) -> F32:
    """(G,) gain of the one wanted candidate, 0 beyond place ``k``."""
    return np.asarray(np.where(rank <= k, 1.0 / np.log2(1.0 + rank), 0.0), np.float32)


@compiled
def _judge(x: I16, n: I32, target: I32, weight: F32, scaled: F32, out: F32) -> None:
    p = np.empty(x.shape[1], np.float32)
    for g in range(len(n)):
        wanted = target[g]
        if wanted < 0 or weight[g] <= 0.0 or n[g] < 2:
            continue
        softmax(x[g], n[g], scaled, p)
        ahead, tied, best = 0, 0, np.float32(0.0)
        for i in range(n[g]):
            best = max(best, p[i])
            if i != wanted:
                ahead += p[i] > p[wanted]
                tied += p[i] == p[wanted]
        out[0, g] = 1.0 + ahead + tied
        out[1, g] = -np.log(max(p[wanted], np.float32(1e-9)))
        out[2, g] = 1.0 - (ahead + 0.5 * tied) / (n[g] - 1)
        out[3, g] = best
        out[4, g] = p[wanted] == best
