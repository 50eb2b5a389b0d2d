"""Where a model puts what was wanted among all items."""

from typing import Final

import numpy as np
import torch

from models.embed.inference import Inference
from models.embed.sequences import Examples
from models.retrieve.contract import F64

AT_ONCE: Final = 256


def ranks_of(inference: Inference, examples: Examples) -> F64:
    """(n,) place of each target among all items with a vector, ties in the middle; infinite for one without."""
    table = torch.from_numpy(inference.table)
    ranks = np.full(len(examples.item), np.inf)
    rows = inference.rows(examples.item)
    for start in range(0, len(rows), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        users = torch.from_numpy(inference.users(examples.sequences.of(some)))  # (n, D)
        scores = users @ table.T  # (n, D) @ (D, I) -> (n, I)
        at = torch.from_numpy(np.maximum(rows[some], 0))[:, None]  # (n, 1)
        own = scores.gather(1, at)  # (n, 1)
        above, alike = (scores > own).sum(dim=1), (scores == own).sum(dim=1)  # (n,)
        rank = (above + (alike + 1) / 2.0).numpy()
        ranks[some] = np.where(rows[some] >= 0, rank, np.inf)
    return ranks
