"""The whole model: items to vectors, pasts to vectors of the same space, and what is wrong with both."""

from math import log, sqrt
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.embed.encoder import encoder_of
from models.embed.heads import Heads
from models.embed.sequences import N_EVIDENCE, Sequences
from models.embed.settings import EmbedSettings
from models.embed.table import I64, Gathered
from models.embed.tower import ATTRIBUTE_SPREAD, Parts

MASKED: Final = -1e4
"""Log weight of a place that holds nothing."""
AGE_BUCKETS: Final = 32
"""One for each doubling of 1 + age in seconds; the last begins at 68 years."""


class Reading(NamedTuple):
    """What the encoder reads of N users, as tensors; W is the longest of the N."""

    item: Tensor
    """(N, W) places in a table of item vectors."""
    age: Tensor
    """(N, W) buckets."""
    evidence: Tensor
    """(N, W)"""
    lengths: Tensor
    """(N,)"""


class Dropout(nn.Module):
    """Drops a share of the values in training, by a generator of its own."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        """The same shape; what is left is scaled up."""
        if not self.training or self.share == 0.0:
            return x
        return x * kept(x.shape, self.share, self.generator, x.device).div_(1.0 - self.share)


class Model(nn.Module):
    """score(user, item) = cos(u, v) / temperature (NISER: Gupta et al., 2019).

    v = own row + category + brand + price band + mean of the words + W given; u = out(encoder(past)) + weighted mean of
    the v in it + query + segment. That mean keeps users among the items from the first step on (CORE: Hou et al.,
    SIGIR 2022).
    """

    def __init__(self, settings: EmbedSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.settings, self.generator = settings, generator
        dim = settings.dim
        self.age = nn.Embedding(AGE_BUCKETS, dim)
        self.evidence = nn.Embedding(N_EVIDENCE, dim)
        self.encoder = encoder_of(settings)
        self.weigh = nn.Linear(dim, 1, bias=False)
        self.out = nn.Linear(dim, dim)
        self.heads = Heads(dim)
        self.given = _projection(settings) if settings.given_dim else None
        self.dropout = Dropout(settings.dropout, generator)

    def items(self, parts: Parts) -> Tensor:
        """(U, D) unit vectors of items; zero where nothing is known of one."""
        own = looked_up(parts.own)  # (U, D)
        text = functional.embedding_bag(parts.term.at, parts.term.values, padding_idx=0)  # (U, T) -> (U, D)
        sides = looked_up(parts.category) + looked_up(parts.brand) + looked_up(parts.band) + text  # (U, D)
        if self.given is not None:
            sides = sides + self.given(parts.given)  # (U, G) -> (U, D)
        if self.training:
            own, sides = self._hide(parts, own, sides)
        return functional.normalize(own + sides, dim=1)  # (U, D)

    def users(self, vectors: Tensor, reading: Reading, context: Tensor) -> Tensor:
        """(N, D) unit vectors of users, from vectors (U, D) of items and what query and segment add (N, D)."""
        v = self.dropout(functional.embedding(reading.item, vectors))  # (U, D) at (N, W) -> (N, W, D)
        x = v * sqrt(v.shape[2]) + self.age(reading.age) + self.evidence(reading.evidence)  # (N, W, D)
        h = self.encoder(x, reading.lengths)  # (N, D)
        holds = torch.arange(x.shape[1], device=x.device) < reading.lengths[:, None]  # (N, W)
        share = self.weigh(x).squeeze(2).masked_fill(~holds, MASKED).softmax(dim=1)  # (N, W, D) -> (N, W)
        pooled = torch.einsum("nw,nwd->nd", share, v)  # (N, W), (N, W, D) -> (N, D)
        return functional.normalize(self.out(self.dropout(h)) + pooled + context, dim=1)  # (N, D)

    def scores(self, users: Tensor, items: Tensor) -> Tensor:
        """(N, D) and (C, D) -> (N, C)."""
        return users @ items.T / self.settings.temperature

    def _hide(self, parts: Parts, own: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
        """Hide either the own row or the attributes of some items, where there are both."""
        has_own = parts.own.at != 0  # (U,)
        has_sides = (parts.category.at != 0) | (parts.brand.at != 0) | (parts.band.at != 0)
        has_sides |= (parts.term.at != 0).any(dim=1) | parts.given.any(dim=1)  # (U,)
        draw = torch.empty(len(own), device=own.device).uniform_(generator=self.generator)  # (U,)
        by_sides = has_own & has_sides & (draw < self.settings.id_dropout)  # (U,)
        by_own = has_own & has_sides & (draw > 1.0 - self.settings.attribute_dropout)  # (U,)
        return own * ~by_sides[:, None], sides * ~by_own[:, None]


def _projection(settings: EmbedSettings) -> nn.Linear:
    """(G,) -> (D,); what it makes of unit vectors is at first as long as what a table adds."""
    made = nn.Linear(settings.given_dim, settings.dim, bias=False)
    nn.init.normal_(made.weight, std=ATTRIBUTE_SPREAD / sqrt(settings.dim))
    return made


def looked_up(gathered: Gathered) -> Tensor:
    """(..., D) the values at each place; the first row, that of none, stays as it is."""
    return functional.embedding(gathered.at, gathered.values, padding_idx=0)


def kept(shape: torch.Size, share: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """1 with chance 1 - ``share``, else 0."""
    return torch.empty(shape, device=device).bernoulli_(1.0 - share, generator=generator)


def reading_of(sequences: Sequences, places: I64, device: str) -> Reading:
    """``sequences`` as tensors, cut to the longest; ``places`` (N, L) of their items in the table of vectors."""
    lengths = (sequences.items >= 0).sum(axis=1)  # (N,)
    width = max(int(lengths.max(initial=0)), 1)
    age = np.log1p(sequences.age_s[:, :width]) * np.float32(1.0 / log(2.0))  # (N, W)
    columns = (
        np.ascontiguousarray(places[:, :width]),
        np.minimum(age, AGE_BUCKETS - 1).astype(np.int64),
        sequences.evidence[:, :width].astype(np.int64),
        lengths,
    )
    return Reading(*(torch.from_numpy(column).to(device) for column in columns))


def seeded(settings: EmbedSettings, generator: torch.Generator) -> Model:
    """A new model, of weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        return Model(settings, generator)
