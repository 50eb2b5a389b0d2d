"""Data-parallel learning by torch.distributed: one process leads, the others work out gradients of a share.

::

    leader: stream, tables, optimiser ──► weights, batch ──► all ──► each its share of the examples
                  ▲                                                        │
                  └──────────────── sum of the gradients ◄─────────────────┘

Helpers keep nothing between two steps, so that they neither read the stream nor have to be brought up to date. Only
numbers cross, in two buffers a step.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Final, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from models.embed.crew import Alone
from models.embed.model import Model, Reading, seeded
from models.embed.settings import EmbedSettings
from models.embed.step import Batch, Stays, learned_of
from models.embed.table import Gathered
from models.embed.tower import Parts

LEADER: Final = 0
STOP: Final = 0
STEP: Final = 1
MAX_AXES: Final = 2

T = TypeVar("T")


class Leader:
    """A crew of all processes of the default group; made in the process of rank 0."""

    def __init__(self, settings: EmbedSettings, device: str) -> None:
        self._alone, self._device = Alone(settings, device), device

    def gradients(self, model: Model, batch: Batch) -> float:
        """See ``Crew``. Raises RuntimeError when a helper is gone."""
        _send_head(STEP, batch, self._device)
        columns = [parameters_to_vector(model.parameters()).detach(), *(c.detach() for c in _columns(batch))]
        for buffer in _packed(columns):
            dist.broadcast(buffer, LEADER)
        loss = self._alone.gradients(model, share_of(batch, LEADER, dist.get_world_size()))
        summed = _reduced(model, batch, loss)
        learned = [*model.parameters(), *_values(batch)]
        *gradients, summed_loss = torch.split(summed, [*(p.numel() for p in learned), 1])
        for parameter, gradient in zip(learned, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return float(summed_loss)

    def close(self) -> None:
        """Send the helpers home."""
        dist.broadcast(torch.full((_head_size(),), STOP, dtype=torch.int64, device=self._device), LEADER)


def help_out(settings: EmbedSettings, device: str) -> int:
    """Work for the leader until it closes; how many steps that were."""
    rank = dist.get_rank()
    generator = torch.Generator(device).manual_seed(settings.seed + rank)
    model, alone = seeded(settings, generator).to(device).train(), Alone(settings, device)
    for n_steps in _counting():
        head = torch.empty(_head_size(), dtype=torch.int64, device=device)
        dist.broadcast(head, LEADER)
        operation, n_examples, n_stays, *sizes = head.tolist()
        if operation == STOP:
            return n_steps
        weights, *columns = _received(_shapes([_n_weights(model), -1, *sizes]), device)
        vector_to_parameters(weights, model.parameters())
        batch = _of_columns(columns, n_examples, n_stays)
        for gathered in learned_of(batch):
            gathered.values.requires_grad_()
        model.zero_grad()
        loss = alone.gradients(model, share_of(batch, rank, dist.get_world_size()))
        _reduced(model, batch, loss)
    raise AssertionError


def share_of(batch: Batch, rank: int, n: int) -> Batch:
    """Every n-th example and stay of a batch, from ``rank`` on. All items are kept."""
    rows = slice(rank, None, n)
    stays = batch.stays
    return batch._replace(
        query=batch.query._replace(at=batch.query.at[rows]),
        segment=batch.segment._replace(at=batch.segment.at[rows]),
        reading=_rows(batch.reading, rows),
        target=batch.target[rows],
        worth=batch.worth[rows],
        bought=batch.bought[rows],
        stays=_stays_of(stays, rank, n),
    )


def _stays_of(stays: Stays, rank: int, n: int) -> Stays:
    """Those of the users whose examples are in the share."""
    mine = torch.nonzero(stays.user % n == rank).squeeze(1)
    return Stays(
        _rows(stays.reading, mine),
        torch.div(stays.user[mine], n, rounding_mode="floor"),
        stays.item[mine],
        stays.log_s[mine],
    )


def _rows(reading: Reading, rows: slice | Tensor) -> Reading:
    return Reading._make(column[rows] for column in reading)


def _columns(batch: Batch) -> list[Tensor]:
    """All tensors of a batch, in one order."""
    return [
        *(column for gathered in learned_of(batch) for column in gathered),
        *batch.reading,
        *batch.stays.reading,
        *batch.stays[1:],
        batch.parts.given,
        batch.told,
        batch.target,
        batch.log_chance,
        batch.worth,
        batch.bought,
    ]


def _of_columns(columns: list[Tensor], n_examples: int, n_stays: int) -> Batch:
    """What ``_columns`` gave."""
    left = iter(columns)

    def next_of(made: Callable[..., T], n: int) -> T:
        return made(*(next(left) for _ in range(n)))

    *parts, query, segment = [next_of(Gathered, 3) for _ in range(7)]
    reading = next_of(Reading, 4)
    stays = next_of(lambda *c: Stays(Reading(*c[:4]), *c[4:]), 7)
    given, told, target, log_chance, worth, bought = left
    return Batch(
        Parts(given, *parts),
        query,
        segment,
        reading,
        told,
        target,
        log_chance,
        worth,
        bought,
        stays,
        n_examples,
        n_stays,
    )


KINDS: Final = (
    *((torch.int64, torch.float32, torch.int64) * 7),
    *((torch.int64,) * 4 * 2),
    *(torch.int64, torch.int64, torch.float32),
    torch.float32,
    *(torch.int64, torch.int64, torch.float32, torch.float32, torch.float32),
)
"""Of the columns of a batch."""


class _Column(NamedTuple):
    shape: list[int]
    kind: torch.dtype


def _head_size() -> int:
    return 3 + MAX_AXES * len(KINDS)


def _send_head(operation: int, batch: Batch, device: str) -> None:
    head = [operation, batch.n_examples, batch.n_stays]
    for column in _columns(batch):
        head += [*column.shape, *([-1] * (MAX_AXES - column.ndim))]
    dist.broadcast(torch.tensor(head, dtype=torch.int64, device=device), LEADER)


def _shapes(sizes: list[int]) -> list[_Column]:
    shapes = [[s for s in sizes[i : i + MAX_AXES] if s >= 0] for i in range(0, len(sizes), MAX_AXES)]
    return [_Column(shape, kind) for shape, kind in zip(shapes, (torch.float32, *KINDS), strict=True)]


def _packed(columns: list[Tensor]) -> Iterator[Tensor]:
    """One buffer for each kind of number."""
    for kind in (torch.int64, torch.float32):
        yield torch.cat([column.reshape(-1) for column in columns if column.dtype == kind])


def _received(expected: list[_Column], device: str) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for kind in (torch.int64, torch.float32):
        mine = [i for i, column in enumerate(expected) if column.kind == kind]
        sizes = [prod(expected[i].shape) for i in mine]
        buffer = torch.empty(sum(sizes), dtype=kind, device=device)
        dist.broadcast(buffer, LEADER)
        for i, part in zip(mine, torch.split(buffer, sizes), strict=True):
            found[i] = part.view(expected[i].shape)
    return [found[i] for i in range(len(expected))]


def _reduced(model: Model, batch: Batch, loss: float) -> Tensor:
    """Gradients and loss, summed over all processes where it is the leader."""
    learned = [*model.parameters(), *_values(batch)]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
    flat = torch.cat([*(g.reshape(-1) for g in gradients), gradients[0].new_tensor([loss])])
    dist.reduce(flat, LEADER)
    return flat


def _values(batch: Batch) -> list[Tensor]:
    return [gathered.values for gathered in learned_of(batch)]


def _n_weights(model: Model) -> int:
    return sum(p.numel() for p in model.parameters())


def _counting() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1
