"""Strings to dense indexes and back, bounded: when full, the entries untouched for longest make room.

It does not tell the holders of an index that it was given away: the caller passes ``evicted`` to them.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from models.retrieve.contract import I32


class Vocabulary:
    """At most ``capacity`` strings, each with an index below ``capacity`` that is stable until evicted.

    Eviction frees an eighth of the entries at once, least recently encoded first, ties by the lower index, so
    that the same sequence of calls always gives the same indexes.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 8:
            raise ValueError(f"capacity is {capacity}, a vocabulary needs at least 8")
        self.capacity = capacity
        self._index: dict[str, int] = {}
        self._words: list[str | None] = []
        self._touched = np.zeros(capacity, np.int64)
        self._clock = 0
        self._free: list[int] = []
        self._evicted: set[int] = set()
        self._crowded = 0

    def __len__(self) -> int:
        return len(self._index)

    def encode(self, words: Sequence[str]) -> I32:
        """Indexes of ``words`` (n,), adding the unknown ones; -1 where the batch itself fills every place.

        Call ``evicted`` before the indexes are used: one of them may have belonged to another word until now.
        """
        self._clock += 1
        found = np.fromiter(map(self._index.get, words, repeat(-1)), np.int32, len(words))
        self._touched[found[found >= 0]] = self._clock
        for i in np.flatnonzero(found < 0).tolist():
            found[i] = self._add(words[i])
        return found

    def lookup(self, words: Iterable[str]) -> I32:
        """Indexes of ``words`` (n,), -1 for the unknown; adds and touches nothing."""
        return np.fromiter(map(self._index.get, words, repeat(-1)), np.int32)

    def index(self, word: str) -> int:
        """Index of one word, -1 when unknown; adds and touches nothing."""
        return self._index.get(word, -1)

    def word(self, index: int) -> str | None:
        """The string at ``index``, None when it was evicted or never given."""
        return self._words[index] if 0 <= index < len(self._words) else None

    def words(self, indexes: Iterable[int]) -> list[str | None]:
        """The strings at ``indexes`` (n,), None where negative or evicted."""
        known = self._words
        return [known[i] if i >= 0 else None for i in indexes]

    def evicted(self) -> I32:
        """Indexes given away since the last call, ascending; what was kept under them must be forgotten."""
        out = np.array(sorted(self._evicted), np.int32)
        self._evicted.clear()
        return out

    def _add(self, word: str) -> int:
        again = self._index.get(word)
        if again is not None:
            return again
        if self._free:
            index = self._free.pop()
            self._words[index] = word
        elif len(self._words) < self.capacity:
            index = len(self._words)
            self._words.append(word)
        else:
            return self._add(word) if self._evict() else -1
        self._index[word] = index
        self._touched[index] = self._clock
        return index

    def _evict(self) -> bool:
        if self._crowded == self._clock:
            return False
        n = self.capacity // 8
        order = np.argsort(self._touched[: len(self._words)], kind="stable")
        going = [int(i) for i in order[:n] if self._touched[i] < self._clock]
        if not going:
            self._crowded = self._clock
            return False
        for index in going:
            word = self._words[index]
            assert word is not None, f"index {index} is free though the vocabulary is full"
            del self._index[word]
            self._words[index] = None
        self._free.extend(reversed(going))
        self._evicted.update(going)
        return True


class Vocabularies(NamedTuple):
    """Dense indexes of everything that sources and queries name by number."""

    items: Vocabulary
    categories: Vocabulary
    brands: Vocabulary
    terms: Vocabulary
    queries: Vocabulary
    segments: Vocabulary
