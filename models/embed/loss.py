"""Sampled softmax: the targets of a batch and drawn negatives stand for the whole catalogue."""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from models.embed.table import I64, distinct_of
from models.retrieve.contract import F32, I32


class Contenders(NamedTuple):
    """C distinct items that the targets of a batch are told from."""

    items: I32
    target: I64
    """(n,) place of each target among them."""
    log_chance: F32
    """(C,) log of the chance that each came to be among them."""


def contenders(
    targets: I32, counts: I64, candidates: I32, n_drawn: int, rng: np.random.Generator
) -> Contenders:
    """Targets (n,) of a batch, and ``n_drawn`` of the ``candidates`` (M,), uniformly; all of them where M is no more.

    ``counts`` (I,) say how often each item is a target, with this batch. An item that comes up twice is there once.
    """
    n_items, full = len(counts), len(candidates) <= n_drawn
    drawn = candidates if full else candidates[rng.integers(0, len(candidates), n_drawn)]
    distinct, at = distinct_of(cast(I32, np.concatenate([targets, drawn])), n_items)
    if full:
        chance = np.ones(len(distinct))
    else:
        expected = len(targets) * np.maximum(counts[distinct], 1) / max(int(counts.sum()), 1)
        chance = -np.expm1(-expected - n_drawn / len(candidates))
    return Contenders(distinct.astype(np.int32), at[: len(targets)], np.log(chance).astype(np.float32))


def sampled_softmax(scores: Tensor, target: Tensor, log_chance: Tensor) -> Tensor:
    """(n,) -log P(target) by scores (n, C) of the contenders, with the sum over the catalogue estimated from them.

    Z = exp(s_target) + sum over others of exp(s_j) / chance_j: importance sampling (Bengio and Senecal, IEEE TNN
    2008) with the logQ correction of in-batch targets (Yi et al., RecSys 2019), but not of the row's own target,
    which is there for sure (Khrylchenko et al., RecSys 2025). Without chances below 1 it is the full softmax.
    """
    own = torch.zeros_like(scores).scatter_(1, target[:, None], log_chance[target][:, None])  # (n, C)
    return torch.nn.functional.cross_entropy(scores - log_chance + own, target, reduction="none")  # (n,)
