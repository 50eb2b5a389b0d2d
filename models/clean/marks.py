"""Which step changed which event of a batch, one bit a step, so that it is counted where the event is counted."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


class Marks(NamedTuple):
    """Of n events."""

    recipe: str
    """Label of the recipe."""
    steps: tuple[str, ...]
    bits: I64
    """(n,) bit s is set where step s changed the event, or kept it from teaching others."""

    def at(self, rows: slice | I64) -> Self:
        """Those of some events."""
        return self._replace(bits=self.bits[rows])

    def counts(self) -> dict[str, int]:
        """Events by step, zeros left out."""
        return {
            name: n for s, name in enumerate(self.steps) if (n := int(np.count_nonzero(self.bits >> s & 1)))
        }


class Marking:
    """Collects the marks of one batch of ``n`` events."""

    def __init__(self, recipe: str, steps: tuple[str, ...], n: int) -> None:
        self._recipe, self._steps = recipe, steps
        self._bits = [0] * n
        self.withheld: set[int] = set()
        """Events that teach nobody but their user's state."""
        self._merging: list[tuple[int, set[int]]] = []

    def mark(self, step: int, events: Iterable[int]) -> None:
        """Step number ``step`` changed these."""
        for i in events:
            self._bits[i] |= 1 << step

    def withhold(self, step: int, event: int) -> None:
        """The event goes on to its user's state and teaches nobody else."""
        self._bits[event] |= 1 << step
        self.withheld.add(event)

    def may_merge(self, step: int, events: Iterable[int]) -> None:
        """The step merges those of these that turn out to be copies."""
        self._merging.append((step, set(events)))

    def merged(self, copies: Iterable[int]) -> None:
        """These are copies of others."""
        copied = set(copies) if self._merging else set()
        for step, events in self._merging:
            self.mark(step, events & copied)

    def marks(self) -> Marks:
        """As they stand."""
        return Marks(self._recipe, self._steps, np.array(self._bits, np.int64))
