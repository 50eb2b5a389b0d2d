"""Whether a new version of the model may take the place of one: by users whom none of them learns from."""

from typing import Final

import numpy as np

from models.embed.histories import Histories
from models.embed.inference import Inference
from models.embed.ranks import ranks_of
from models.embed.replay import Replay
from models.embed.sequences import Examples
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.learn.contest import Sums
from models.retrieve.contract import F64, I32, Interactions

K: Final = 20
SHARES: Final = 1 << 16


class Jury:
    """Remembers what a share of the users did of late; ``apart`` splits them off what is learned."""

    def __init__(self, settings: EmbedSettings, n_items: int, interest: InterestSettings) -> None:
        self._below = int(settings.jury_share * SHARES)
        self._histories = Histories(settings.max_users, settings.length, interest)
        self._recent = Replay(settings.jury_examples, settings.length, n_items)

    def __len__(self) -> int:
        return len(self._recent)

    def apart(self, batch: Interactions) -> Interactions:
        """What is left of n interactions when those of the jury's users are kept here."""
        ours = batch.user % np.uint64(SHARES) < self._below
        if ours.any():
            self._recent.push(self._histories.examples(_of(batch, ours)))
        return _of(batch, ~ours)

    def recent(self) -> Examples:
        """A copy of what is remembered."""
        return self._recent.of(np.arange(len(self._recent)))

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        self._histories.forget(items)
        self._recent.forget(items)


def gain(examples: Examples, candidate: Inference, serving: Inference) -> Sums:
    """Of the reciprocal rank of what was wanted, 0 beyond place 20, of a candidate over what serves.

    All items are ranked: of a large catalogue this takes a while.
    """
    gained = [_reciprocal(ranks_of(inference, examples)) for inference in (candidate, serving)]
    return Sums().plus(gained[0] - gained[1])


def _reciprocal(ranks: F64) -> F64:
    return np.where(ranks <= K, 1.0 / ranks, 0.0)


def _of(batch: Interactions, which: np.ndarray) -> Interactions:
    return Interactions._make(column[which] for column in batch)
