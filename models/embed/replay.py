"""The latest examples, kept to be learned again: against forgetting, and to fit from. Histories make them."""

from typing import cast

import numpy as np

from models.embed.sequences import Examples, Sequences, leave_out
from models.embed.table import I64
from models.retrieve.contract import I32, U8


class Replay:
    """A ring of at most ``capacity`` examples, the oldest make room; memory is taken as it fills."""

    def __init__(self, capacity: int, length: int, n_items: int) -> None:
        self._held = Examples(
            Sequences(
                np.empty((capacity, length), np.int32),
                np.empty((capacity, length), np.float32),
                np.empty((capacity, length), np.uint8),
                np.empty(capacity, np.int32),
                np.empty(capacity, np.int32),
            ),
            np.empty(capacity, np.int32),
            np.empty(capacity, np.uint8),
            np.empty(capacity, np.float32),
        )
        self.counts = np.zeros(n_items, np.int64)
        """(I,) how often each item is a target."""
        self._n_pushed = 0

    def __len__(self) -> int:
        return min(self._n_pushed, len(self._held.item))

    def push(self, examples: Examples) -> None:
        """Keep n examples as the newest."""
        capacity = len(self._held.item)
        n = len(examples.item)
        at = (self._n_pushed + np.arange(n)[-capacity:]) % capacity
        newest = examples.of(slice(n - len(at), n))
        taken = self._held.item[at[at < len(self)]] if self._n_pushed < capacity else self._held.item[at]
        np.subtract.at(self.counts, taken[taken >= 0], 1)
        np.add.at(self.counts, newest.item, 1)
        for column, values in zip(_columns(self._held), _columns(newest), strict=True):
            column[at] = values
        self._n_pushed += n

    def of(self, ages: I64) -> Examples:
        """The examples that were pushed ``ages`` (n,) before the newest, less those that were forgotten."""
        at = (self._n_pushed - 1 - ages) % len(self._held.item)
        return self._held.of(at[self._held.item[at] >= 0])

    def lengths(self, ages: I64) -> U8:
        """(n,) how many items came before each of these examples."""
        at = (self._n_pushed - 1 - ages) % len(self._held.item)
        return cast(U8, (self._held.sequences.items[at] >= 0).sum(axis=1))

    def followed(self) -> tuple[I32, I32]:
        """(m,) items, and (m,) another that came right after each in the same session."""
        sequences, target = self._held.of(slice(0, len(self)))[:2]
        newest, under_way = sequences.items[:, 0], sequences.evidence[:, 0] > 0
        at = np.flatnonzero((newest >= 0) & (target >= 0) & (newest != target) & under_way)
        return newest[at], target[at]

    def forget(self, items: I32) -> None:
        """These items' indexes are about to be given to others."""
        gone = np.zeros(len(self.counts) + 1, np.bool_)
        gone[items] = True
        n = len(self)
        held = self._held.of(slice(0, n))
        sequences, targets = held.sequences, held.item
        leave_out(held, gone[sequences.items])
        targets[gone[targets] | (sequences.items[:, 0] < 0)] = -1
        self.counts[:] = np.bincount(targets[targets >= 0], minlength=len(self.counts))

    @property
    def size_bytes(self) -> int:
        """Memory held at most."""
        return self.counts.nbytes + sum(column.nbytes for column in _columns(self._held))


def _columns(examples: Examples) -> tuple[np.ndarray, ...]:
    return (*examples.sequences, *examples[1:])
