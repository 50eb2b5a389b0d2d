"""Examples to the tensors of one step: which items they read, and what contends with their targets."""

from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.embed.loss import contenders
from models.embed.model import reading_of
from models.embed.sequences import Examples, before_newest
from models.embed.settings import EmbedSettings
from models.embed.step import Batch, Stays
from models.embed.table import I64, DynamicTable, distinct_of
from models.embed.tower import Tower
from models.kinds import WEIGHT_OF_CODE, Kind
from models.retrieve.contract import I32

STAYS_EVERY: Final = 8
"""Of the examples that tell how long was stayed, one in so many is learned: each takes another pass of the encoder."""

STALE: Final = 0.01
"""Share by which what the tower is made of may change until the items it knows are looked up again."""


class Batcher:
    """Reads tables that others change; ``counts`` (I,) say how often each item is a target."""

    def __init__(
        self,
        settings: EmbedSettings,
        tower: Tower,
        queries: DynamicTable,
        segments: DynamicTable,
        counts: I64,
        rng: np.random.Generator,
        device: str,
    ) -> None:
        self._settings, self._tower, self._queries, self._segments = settings, tower, queries, segments
        self._counts, self._rng, self._device = counts, rng, device
        self._known_at, self._seen, self._unseen = self._looked_up()

    def batch(self, examples: Examples) -> Batch:
        """Of n examples."""
        sequences, settings = examples.sequences, self._settings
        among = contenders(examples.item, self._counts, self._drawn_from(), settings.n_negatives, self._rng)
        past = np.where(sequences.items >= 0, sequences.items, among.items[0])  # (n, L)
        items, at = distinct_of(
            np.concatenate([past.ravel(), among.items]), len(self._counts)
        )  # (U,), (n * L + C,)
        places = at[: past.size].reshape(past.shape)  # (n, L)
        stays = self._stays(examples, places)
        return Batch(
            parts=self._tower.gather(cast(I32, items.astype(np.int32))),
            query=self._queries.gather(sequences.query),
            segment=self._segments.gather(sequences.segment),
            reading=reading_of(sequences, places, self._device),
            told=self._tensor(at[past.size :]),
            target=self._tensor(among.target),
            log_chance=self._tensor(among.log_chance),
            worth=self._tensor(self._worth(examples)),
            bought=self._tensor((examples.kind == Kind.PURCHASE).astype(np.float32)),
            stays=stays,
            n_examples=len(examples.item),
            n_stays=len(stays.user),
        )

    def _drawn_from(self) -> I32:
        """All items with a row of their own, and some of those that have a vector without one, others each time.

        Nothing else would push those away; all of them would be pushed as far as items that nobody ever wants.
        To look them up takes longer than a step, so that a hundredth may be missing.
        """
        if abs(self._tower.n_changes - self._known_at) > STALE * self._known_at:
            self._known_at, self._seen, self._unseen = self._looked_up()
        n = round(self._settings.unseen_share * len(self._unseen))
        self._unseen = np.roll(self._unseen, n)
        return np.concatenate([self._seen, self._unseen[:n]])

    def _looked_up(self) -> tuple[int, I32, I32]:
        """When, the items with a row of their own, and those with a vector alone in a random order."""
        seen, known = self._tower.items.indexes, self._tower.known()
        return self._tower.n_changes, seen, self._rng.permutation(np.setdiff1d(known, seen))

    def _worth(self, examples: Examples) -> NDArray[np.float32]:
        """(n,) what each example counts; nothing where the target is not known yet."""
        weight = WEIGHT_OF_CODE[examples.kind & 15] ** np.float32(self._settings.kind_power)
        return np.where(self._tower.knows(examples.item), weight, np.float32(0.0))

    def _stays(self, examples: Examples, places: I64) -> Stays:
        """Of some whose newest item was not their first, and was left for another in the same session."""
        told = np.flatnonzero(~np.isnan(examples.stay_s) & (examples.sequences.items[:, 1] >= 0))
        rows = told[::STAYS_EVERY]
        before = before_newest(examples.sequences.of(rows))
        return Stays(
            reading=reading_of(before, places[rows, 1:], self._device),
            user=self._tensor(rows),
            item=self._tensor(places[rows, 0]),
            log_s=self._tensor(np.log1p(examples.stay_s[rows])),
        )

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self._device)
