"""Encoders: N sequences of what was read at each place to one vector a user. One interface, two kinds."""

from math import sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from models.embed.settings import EmbedSettings

FEED_FORWARD = 4
"""Width of a transformer's inner layer over D."""


class Encoder(nn.Module):
    """Reads x (N, W, D), newest first, of which the first ``lengths`` (N,) places of a row hold something: (N, D).

    A row of no length gives what the encoder begins with; no row depends on the others, nor on its padding.
    """

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """One vector (N, D) a sequence."""
        raise NotImplementedError


class Gru(Encoder):
    """The last state of gated recurrent units (GRU4Rec: Hidasi et al., ICLR 2016), oldest to newest."""

    def __init__(self, settings: EmbedSettings) -> None:
        super().__init__()
        self.gru = nn.GRU(settings.dim, settings.dim, settings.layers, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """See ``Encoder``."""
        places = torch.arange(x.shape[1], device=x.device)  # (W,)
        last = lengths.clamp(min=1) - 1  # (N,)
        oldest_first = (last[:, None] - places).clamp(min=0)  # (N, 1) - (W,) -> (N, W)
        x = x.gather(1, oldest_first[:, :, None].expand_as(x))  # (N, W, D)
        packed = pack_padded_sequence(x, (last + 1).cpu(), batch_first=True, enforce_sorted=False)
        _, states = self.gru(packed)  # (layers, N, D)
        return cast(Tensor, states[-1])  # (N, D)


class Block(nn.Module):
    """Pre-norm attention and feed-forward (Xiong et al., ICML 2020); only the first ``n_asked`` places are answered."""

    def __init__(self, settings: EmbedSettings) -> None:
        super().__init__()
        dim = settings.dim
        self.heads = settings.heads
        self.before_attention, self.before_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ask, self.offer = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.join = nn.Linear(dim, dim)
        self.forward_in, self.forward_out = (
            nn.Linear(dim, FEED_FORWARD * dim),
            nn.Linear(FEED_FORWARD * dim, dim),
        )

    def forward(self, x: Tensor, seen: Tensor, n_asked: int) -> Tensor:
        """(N, W, D) and which places may be looked at (N, W) -> (N, n_asked, D)."""
        n, width, dim = x.shape
        y = self.before_attention(x)  # (N, W, D)
        query = self.ask(y[:, :n_asked])  # (N, n_asked, D)
        query = query.view(n, n_asked, self.heads, -1).transpose(1, 2)  # (N, H, n_asked, D/H)
        offered = self.offer(y).view(n, width, 2, self.heads, -1)  # (N, W, 2, H, D/H)
        key, value = offered.permute(2, 0, 3, 1, 4)  # 2 of (N, H, W, D/H)
        read = functional.scaled_dot_product_attention(query, key, value, seen[:, None, None, :])
        read = read.transpose(1, 2).reshape(n, n_asked, dim)  # (N, n_asked, D)
        x = x[:, :n_asked] + self.join(read)  # (N, n_asked, D)
        inner = functional.gelu(self.forward_in(self.before_forward(x)))  # (N, n_asked, 4 D)
        return cast(Tensor, x + self.forward_out(inner))  # (N, n_asked, D)


class Transformer(Encoder):
    """Self-attention over all places (SASRec: Kang and McAuley, ICDM 2018), the newest is read."""

    def __init__(self, settings: EmbedSettings) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(settings.length, settings.dim) / sqrt(settings.dim))
        self.blocks = nn.ModuleList([Block(settings) for _ in range(settings.layers)])
        self.after = nn.LayerNorm(settings.dim)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """See ``Encoder``."""
        width = x.shape[1]
        seen = torch.arange(width, device=x.device) < lengths.clamp(min=1)[:, None]  # (N, W)
        x = x + self.place[:width]  # (N, W, D) + (W, D) -> (N, W, D)
        for i, block in enumerate(self.blocks):
            x = block(x, seen, 1 if i == len(self.blocks) - 1 else width)  # (N, W or 1, D)
        return cast(Tensor, self.after(x[:, 0]))  # (N, D)


def encoder_of(settings: EmbedSettings) -> Encoder:
    """The encoder that the settings name."""
    return Gru(settings) if settings.encoder == "gru" else Transformer(settings)
