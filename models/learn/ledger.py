"""Who learned what: for each scorer a base that all workers share, and what each partition has added to it since.

Parameters are ``base + sum over partitions of its part``. Parts only grow by addition and each has one owner at a time,
so the newest part of every partition, in whatever order they arrive, gives every worker the same parameters: a
state-based counter (Shapiro et al., "Conflict-free replicated data types", SSS 2011) of steps in parameter space, as a
parameter server would sum them (Li et al., OSDI 2014). A new base has a higher epoch and voids the parts before it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from models.learn.estimator import Parameters, added
from models.rank.features import VERSION

BASE: Final = "base"
PART: Final = "part"


class Entry(msgspec.Struct, array_like=True):
    """One record: a base, or one partition's part. Arrays are little-endian float64."""

    features: list[str]
    version: int
    epoch: int
    n_learned: int
    arrays: dict[str, bytes]


class Ledger:
    """Of scorers over features ``names`` (F,), each with its first parameters as base."""

    def __init__(self, names: list[str], bases: Mapping[str, Parameters]) -> None:
        self._names = names
        self._base = {name: dict(base) for name, base in bases.items()}
        self._epoch = dict.fromkeys(bases, 0)
        self._parts: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        self._learned: dict[tuple[str, int], int] = {}
        self._changed: set[tuple[str, int]] = set()
        self.n_foreign = 0
        """Records left out because they are of other features."""

    def total(self, estimator: str) -> Parameters:
        """Base and all parts."""
        total: Parameters = self._base[estimator]
        for (name, _), part in sorted(self._parts.items(), key=lambda item: item[0]):
            if name == estimator:
                total = added(total, part)
        return total

    def n_learned(self, estimator: str) -> int:
        """Lists learned since the base, by all."""
        return sum(n for (name, _), n in self._learned.items() if name == estimator)

    def epoch(self, estimator: str) -> int:
        """How often the base was replaced."""
        return self._epoch[estimator]

    def add(self, estimator: str, partition: int, step: Parameters, n: int) -> None:
        """``n`` lists of a partition taught this ``step``."""
        place = estimator, partition
        self._parts[place] = added(self._parts.get(place, {}), step)
        self._learned[place] = self._learned.get(place, 0) + n
        self._changed.add(place)

    def rebase(self, estimator: str, base: Parameters) -> tuple[bytes, bytes]:
        """Start over from ``base``; the record that makes all others do so."""
        self._start(estimator, self._epoch[estimator] + 1, base)
        return f"{BASE}/{estimator}".encode(), self._encoded(self._epoch[estimator], 0, base)

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """What changed since the last call, as keys and values for a compacted topic."""
        for estimator, partition in sorted(self._changed):
            place = estimator, partition
            key = f"{PART}/{estimator}/{partition}".encode()
            yield key, self._encoded(self._epoch[estimator], self._learned[place], self._parts[place])
        self._changed.clear()

    def apply(self, key: bytes, value: bytes) -> str | None:
        """Take in a record of any worker, this one's included; the scorer whose parameters changed."""
        what, _, rest = key.decode().partition("/")
        estimator, _, partition = rest.partition("/")
        entry = msgspec.msgpack.decode(value, type=Entry)
        if entry.version != VERSION or entry.features != self._names or estimator not in self._base:
            self.n_foreign += 1
            return None
        arrays = {name: np.frombuffer(data, "<f8") for name, data in entry.arrays.items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            self.n_foreign += 1
            return None
        if what == BASE:
            if entry.epoch <= self._epoch[estimator]:
                return None
            self._start(estimator, entry.epoch, arrays)
            return estimator
        place = estimator, int(partition)
        if entry.epoch != self._epoch[estimator] or entry.n_learned <= self._learned.get(place, 0):
            return None
        self._parts[place], self._learned[place] = arrays, entry.n_learned
        self._changed.discard(place)
        return estimator

    def _start(self, estimator: str, epoch: int, base: Parameters) -> None:
        self._epoch[estimator], self._base[estimator] = epoch, dict(base)
        for place in [place for place in self._parts if place[0] == estimator]:
            del self._parts[place], self._learned[place]
            self._changed.discard(place)

    def _encoded(self, epoch: int, n_learned: int, parameters: Parameters) -> bytes:
        arrays = {name: np.asarray(values, "<f8").tobytes() for name, values in parameters.items()}
        return msgspec.msgpack.encode(Entry(self._names, VERSION, epoch, n_learned, arrays))
