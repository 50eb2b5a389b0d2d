"""What the simulation itself knows: the chance of each item to be looked at next, and the best k.

The oracle sees the hidden state before the dice are thrown, never the dice. No recommender can be right more
often than its list is, on average, so its hit rate is the ceiling that a measured hit rate stands under.
"""

import numpy as np

from models.simulate.catalogue import F32, F64, I32, Bools
from models.simulate.choice import Choice, revisit_weights, softmax
from models.simulate.settings import SimulateSettings
from models.simulate.shoppers import I64


class Oracle:
    """Choice probabilities of the simulated shoppers, exact for the next look at an item."""

    def __init__(self, choice: Choice, settings: SimulateSettings) -> None:
        self._choice = choice
        self.settings = settings

    def probabilities(self, rows: I64) -> F32:
        """(S, N) chance of each item to be looked at next, given that the next act is no search."""
        shoppers = self._choice.shoppers
        revisit = revisit_weights(shoppers.recent[rows])
        can_return = (revisit.sum(axis=1) > 0.0) & ~shoppers.searched[rows]
        starts = shoppers.category[rows] < 0
        switch_share = self.settings.switch_share
        switch = np.where(shoppers.searched[rows], 0.0, switch_share * (1.0 - self.settings.search_share))
        stay = np.where(shoppers.searched[rows], 1.0, 1.0 - switch_share)
        turns = np.where(starts, 1.0, switch / (switch + stay))
        out = turns[:, None] * self._turn(rows) + (1.0 - turns)[:, None] * self._stay(rows)
        returns = np.where(can_return, self._revisit_of_looks(switch, stay), 0.0)
        out *= (1.0 - returns)[:, None]
        self._add_revisits(out, rows, revisit, returns)
        bots = shoppers.bot[rows]
        out[bots] = self._choice.market.available / max(1, self._choice.market.available.sum())
        return np.asarray(out, np.float32)

    def best(self, rows: I64, k: int) -> I32:
        """(S, k) items most likely to be looked at next, best first, ties by the lower index."""
        return np.argsort(-self.probabilities(rows), axis=1, kind="stable")[:, :k].astype(np.int32)

    def hits(self, rows: I64, items: I32, k: int) -> Bools:
        """(S,) whether each item is among the k most likely ones."""
        chances = self.probabilities(rows)
        own = chances[np.arange(len(rows)), items][:, None]
        lower = np.arange(chances.shape[1])[None, :] < items[:, None]
        return np.asarray(((chances > own) | ((chances == own) & lower)).sum(axis=1) < k)

    def _revisit_of_looks(self, switch: F64, stay: F64) -> F64:
        """Share of revisits among the acts that are looks; a search is none."""
        revisit = self.settings.revisit_share
        return np.asarray(revisit / (revisit + (1.0 - revisit) * (switch + stay)))

    def _turn(self, rows: I64) -> F32:
        """(S, N) chances after a turn: those of the categories, shared out within each."""
        catalogue = self._choice.catalogue
        utilities = self._choice.utilities(rows, 0, catalogue.n_items, focused=False)
        utilities -= utilities.max(axis=1, keepdims=True)
        weights = np.exp(utilities)
        totals = np.add.reduceat(weights, catalogue.block[:-1], axis=1)
        shares = self._choice.category_probabilities(rows) / np.where(totals > 0.0, totals, 1.0)
        return np.asarray(weights * shares[:, catalogue.category])

    def _stay(self, rows: I64) -> F32:
        """(S, N) chances of the items of the category that the session is about."""
        catalogue, now = self._choice.catalogue, self._choice.shoppers.category[rows]
        out = np.zeros((len(rows), catalogue.n_items), np.float32)
        for category in np.unique(now[now >= 0]).tolist():
            first, last = catalogue.block[category : category + 2].tolist()
            members = np.flatnonzero(now == category)
            out[members, first:last] = softmax(
                self._choice.utilities(rows[members], first, last, focused=True)
            )
        return out

    def _add_revisits(self, out: F64, rows: I64, weights: F32, returns: F64) -> None:
        """Share out the chance of a return (S,) over the items of the session."""
        recent = self._choice.shoppers.recent[rows]
        chances = weights * (returns / np.maximum(weights.sum(axis=1), 1e-9))[:, None]
        for column in range(1, recent.shape[1]):
            there = np.flatnonzero(recent[:, column] >= 0)
            out[there, recent[there, column]] += chances[there, column]
