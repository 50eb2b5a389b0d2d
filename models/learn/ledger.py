"""Who learned what: for each scorer a base that all workers share, and what each partition has added to it since.

Parameters are ``base + sum over partitions of its part``. Parts only grow by addition and each has one owner at a time,
so the newest part of every partition, in whatever order they arrive, gives every worker the same parameters: a
state-based counter (Shapiro et al., "Conflict-free replicated data types", SSS 2011) of steps in parameter space, as a
parameter server would sum them (Li et al., OSDI 2014). A new base has a higher epoch and voids the parts before it.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

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
    ended: bool = False
    """Of a base: the scorer is no more, until another base follows."""


class _Part(NamedTuple):
    epoch: int
    n_learned: int
    arrays: Parameters


class Ledger:
    """Of scorers over features ``names`` (F,), each with its first parameters as base."""

    def __init__(self, names: list[str], bases: Mapping[str, Parameters]) -> None:
        self._names = names
        self._base = {name: dict(base) for name, base in bases.items()}
        self._epoch = dict.fromkeys(bases, 0)
        self._ended: set[str] = set()
        self._parts: dict[tuple[str, int], _Part] = {}
        """By scorer and partition; one of a later epoch waits for its base."""
        self._changed: set[tuple[str, int]] = set()
        self.n_foreign = 0
        """Records left out because they are of other features, or none at all."""

    def admit(self, estimator: str, base: Parameters) -> None:
        """Keep a scorer that may come and go; it is there once a base of it was written."""
        if estimator not in self._base:
            self._base[estimator], self._epoch[estimator] = dict(base), 0

    def runs(self, estimator: str) -> bool:
        """Whether a scorer that was admitted is there."""
        return self._epoch.get(estimator, 0) > 0 and estimator not in self._ended

    def end(self, estimator: str) -> tuple[bytes, bytes]:
        """Let a scorer be no more; the record that tells all others."""
        base = self._base[estimator]
        self._start(estimator, self._epoch[estimator] + 1, base, ended=True)
        return f"{BASE}/{estimator}".encode(), self._encoded(self._epoch[estimator], 0, base, ended=True)

    def total(self, estimator: str) -> Parameters:
        """Base and all parts."""
        total: Parameters = self._base[estimator]
        for part in self._current(estimator):
            total = added(total, part.arrays)
        return total

    def n_learned(self, estimator: str) -> int:
        """Lists learned since the base, by all."""
        return sum(part.n_learned for part in self._current(estimator))

    def epoch(self, estimator: str) -> int:
        """How often the base was replaced."""
        return self._epoch[estimator]

    def add(self, estimator: str, partition: int, step: Parameters, n: int) -> None:
        """``n`` lists of a partition taught this ``step``."""
        place, epoch = (estimator, partition), self._epoch[estimator]
        before = self._parts.get(place, _Part(epoch, 0, {}))
        if before.epoch == epoch:
            self._parts[place] = _Part(epoch, before.n_learned + n, added(before.arrays, step))
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
            yield key, self._encoded(*self._parts[place])
        self._changed.clear()

    def apply(self, key: bytes, value: bytes) -> str | None:
        """Take in a record of any worker, this one's included; the scorer whose parameters changed."""
        read = self._read(key, value)
        if read is None:
            self.n_foreign += 1
            return None
        estimator, partition, (epoch, n_learned, arrays), ended = read
        if partition is None:
            if epoch <= self._epoch[estimator]:
                return None
            self._start(estimator, epoch, arrays, ended=ended)
            return estimator
        place, now = (estimator, partition), self._epoch[estimator]
        if (epoch, n_learned) <= self._parts.get(place, _Part(now, 0, {}))[:2]:
            return None
        self._parts[place] = _Part(epoch, n_learned, arrays)
        self._changed.discard(place)
        return estimator if epoch == now else None

    def _current(self, estimator: str) -> list[_Part]:
        """Parts of a scorer by partition."""
        epoch = self._epoch[estimator]
        parts = sorted((place, part) for place, part in self._parts.items() if place[0] == estimator)
        return [part for _, part in parts if part.epoch == epoch]

    def _read(self, key: bytes, value: bytes) -> tuple[str, int | None, _Part, bool] | None:
        """Scorer, partition, none for a base, content, and whether it ends; none where it is not of these scorers."""
        try:
            estimator, partition = _place(key.decode())
            entry = msgspec.msgpack.decode(value, type=Entry)
            arrays = {name: np.frombuffer(data, "<f8") for name, data in entry.arrays.items()}
        except (ValueError, msgspec.DecodeError, RecursionError):
            return None
        if entry.version != VERSION or entry.features != self._names or estimator not in self._base:
            return None
        shapes = {name: array.shape for name, array in arrays.items() if np.isfinite(array).all()}
        if shapes != {name: values.shape for name, values in self._base[estimator].items()}:
            return None
        return estimator, partition, _Part(entry.epoch, entry.n_learned, arrays), entry.ended

    def _start(self, estimator: str, epoch: int, base: Parameters, *, ended: bool = False) -> None:
        self._epoch[estimator], self._base[estimator] = epoch, dict(base)
        (self._ended.add if ended else self._ended.discard)(estimator)
        self._parts = {
            place: part for place, part in self._parts.items() if place[0] != estimator or part.epoch >= epoch
        }
        self._changed = {place for place in self._changed if place[0] != estimator}

    def _encoded(self, epoch: int, n_learned: int, parameters: Parameters, *, ended: bool = False) -> bytes:
        arrays = {name: np.asarray(values, "<f8").tobytes() for name, values in parameters.items()}
        return msgspec.msgpack.encode(Entry(self._names, VERSION, epoch, n_learned, arrays, ended))


def scorer_of(key: bytes) -> str | None:
    """Whose record it is, none where it is of no scorer."""
    try:
        return _place(key.decode())[0]
    except ValueError:
        return None


def _place(key: str) -> tuple[str, int | None]:
    match key.split("/"):
        case [what, estimator] if what == BASE:
            return estimator, None
        case [what, estimator, partition] if what == PART:
            return estimator, int(partition)
    raise ValueError(f"{key!r} names neither a base nor a part")
