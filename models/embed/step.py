"""One step of learning as tensors: what a batch reads, and what is wrong with the model on it."""

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.embed.heads import TASKS
from models.embed.loss import sampled_softmax
from models.embed.model import Model, Reading, looked_up
from models.embed.table import Gathered
from models.embed.tower import Parts

PURCHASE: Final = TASKS.index("purchase")
DWELL: Final = TASKS.index("dwell")


class Stays(NamedTuple):
    """m earlier moments of the batch's users: what they were about to look at, and for how long."""

    reading: Reading
    """(m, W) before they looked."""
    user: Tensor
    """(m,) row of the batch."""
    item: Tensor
    """(m,) place among the U items."""
    log_s: Tensor
    """(m,) log(1 + seconds) until the next interaction."""


class Batch(NamedTuple):
    """n examples that read U items, of which C contend."""

    parts: Parts
    """(U,)"""
    query: Gathered
    """(n,)"""
    segment: Gathered
    """(n,)"""
    reading: Reading
    """(n, W)"""
    told: Tensor
    """(C,) places of the contenders among the U items."""
    target: Tensor
    """(n,) place of the target among the contenders."""
    log_chance: Tensor
    """(C,) log of the chance that each came to contend."""
    worth: Tensor
    """(n,) what each example counts, 0 for a target that is not known."""
    bought: Tensor
    """(n,) 1 where the interaction was a purchase."""
    stays: Stays
    n_examples: int
    """Of the whole step, of which these may be a share."""
    n_stays: int


class Losses(NamedTuple):
    """What is wrong with the answers, by task."""

    next_item: Tensor
    """(n,) -log P(target)."""
    purchase: Tensor
    """(n,) -log P(bought or not)."""
    dwell: Tensor
    """(m,) Huber's, of log seconds."""


def losses(model: Model, batch: Batch) -> Losses:
    """By task; gradients flow to whatever the batch has gathered."""
    vectors = model.items(batch.parts)  # (U, D)
    context = looked_up(batch.query) + looked_up(batch.segment)  # (n, D)
    users = model.users(vectors, batch.reading, context)  # (n, D)
    told = vectors[batch.told]  # (C, D)
    scores = model.scores(users, told).float()  # (n, D), (C, D) -> (n, C)
    answers = model.heads(users, told[batch.target]).float()  # (n, T)
    return Losses(
        sampled_softmax(scores, batch.target, batch.log_chance),
        functional.binary_cross_entropy_with_logits(answers[:, PURCHASE], batch.bought, reduction="none"),
        _dwell(model, batch.stays, vectors, context),
    )


def _dwell(model: Model, stays: Stays, vectors: Tensor, context: Tensor) -> Tensor:
    """(m,)"""
    if not len(stays.user):
        return stays.log_s
    users = model.users(vectors, stays.reading, context[stays.user])  # (m, D)
    log_s = model.heads(users, vectors[stays.item]).float()[:, DWELL]  # (m, T) -> (m,)
    return functional.huber_loss(log_s, stays.log_s, reduction="none")


def total(found: Losses, batch: Batch, task_weight: float) -> Tensor:
    """() what is made small: the mean over the examples, and ``task_weight`` times those of the other tasks."""
    n, known = max(batch.n_examples, 1), (batch.worth > 0.0).float()  # (n,)
    others = (found.purchase * known).sum() / n + found.dwell.sum() / max(batch.n_stays, 1)
    return (found.next_item * batch.worth).sum() / n + task_weight * others


def learned_of(batch: Batch) -> list[Gathered]:
    """The rows of tables that a step changes: of the item tower's tables in their order, of queries, of segments."""
    return [*batch.parts.gathered, batch.query, batch.segment]


def halves(device: str, precision: str) -> torch.autocast:
    """Mixed precision: products in bfloat16, sums and parameters in single precision (Micikevicius et al., ICLR 2018).

    ``auto``: on a GPU.
    """
    kind = device.split(":")[0]
    enabled = precision == "bf16" or (precision == "auto" and kind == "cuda")
    return torch.autocast(kind, torch.bfloat16, enabled=enabled)
