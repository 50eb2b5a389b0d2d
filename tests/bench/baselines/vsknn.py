"""V-SKNN in plain Python, written from its description, to measure the compiled one against.

Jannach and Ludewig, "When Recurrent Neural Networks meet the Neighborhood", RecSys 2017; parameters of
Ludewig, Mauro, Latifi and Jannach, UMUAI 2021: quadratic weights by position, idf, and the public code's
default decay of a vote by the newest shared item, 1 / step.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log


class Vsknn:
    """k of the m most recent sessions that share an item; similarity = mean of (i / n)^2 over the shared
    items.
    """

    def __init__(self, k: int = 500, m: int = 5_000, idf_weight: float = 1.0) -> None:
        self.k, self.m, self.idf_weight = k, m, idf_weight
        self.items: list[frozenset[int]] = []
        self.sessions_with: dict[int, set[int]] = defaultdict(set)
        self.idf: dict[int, float] = {}

    def fit(self, sessions: Iterable[Sequence[int]]) -> None:
        """Keep whole sessions, in the order of their time; a session's number is its recency."""
        clicks: dict[int, int] = defaultdict(int)
        for number, session in enumerate(sessions):
            self.items.append(frozenset(session))
            for item in session:
                self.sessions_with[item].add(number)
                clicks[item] += 1
        self.idf = {item: log(len(self.items) / n) for item, n in clicks.items()}

    def predict(self, prefix: Sequence[int], n_best: int = 20) -> list[int]:
        """Items that go with the session so far, repeated views kept, best first, ties by the lower item."""
        n = len(prefix)
        weight = {item: (i / n) ** 2 for i, item in enumerate(prefix, start=1)}
        asked = weight.keys()
        possible = set().union(*(self.sessions_with.get(item, ()) for item in asked))
        recent = sorted(possible, reverse=True)[: self.m] if len(possible) > self.m else possible
        similar = [(sum(weight[item] for item in asked & self.items[s]) / len(weight), s) for s in recent]
        similar.sort(reverse=True)
        scores: dict[int, float] = defaultdict(float)
        for similarity, s in similar[: self.k]:
            items = self.items[s]
            step = next(p for p, item in enumerate(reversed(prefix), start=1) if item in items)
            for item in items:
                scores[item] += similarity * (1.0 + self.idf_weight * self.idf[item]) / step
        return sorted(scores, key=lambda item: (-scores[item], item))[:n_best]
