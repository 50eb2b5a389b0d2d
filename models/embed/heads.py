"""Tasks beside the next item, from the same vectors: will it be bought, and for how long will it be looked at."""

from math import sqrt
from typing import Final

import torch
from torch import Tensor, nn

TASKS: Final = ("purchase", "dwell")


class Heads(nn.Module):
    """One vector a task, linear in the user's; its product with an item's is the answer (ESMM: Ma et al., SIGIR 2018).

    Of ``purchase`` the log odds that an interaction with the item buys it, of ``dwell`` the expected log(1 + seconds)
    until the next interaction of the session.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.of = nn.Linear(dim, len(TASKS) * dim)
        self.usual = nn.Parameter(torch.zeros(len(TASKS)))

    def vectors(self, users: Tensor) -> Tensor:
        """Unit vectors (N, D) -> (N, T, D)."""
        n, dim = users.shape
        return self.of(users).view(n, len(TASKS), dim) * sqrt(dim)  # type: ignore[no-any-return]

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(N, D) users, each with one item (N, D) -> (N, T)."""
        return (
            torch.einsum("ntd,nd->nt", self.vectors(users), items) + self.usual
        )  # (N, T, D), (N, D) -> (N, T)
