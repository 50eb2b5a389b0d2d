"""How a simulated shopper chooses: a nested logit, first the category, then an item within it.

An act is one of four: return to an item of the session (``revisit_share``); turn to another category
(``switch_share``), through a search or not; or stay with what the session is about. The first act of a
session always turns.

    P(category c | turn)  = (related[now, c] + softmax_c(A taste · C_c + trend_c)) / 2
    P(item i | turn, c)   = softmax_i in c(taste utility_i)
    P(item i | stay)      = softmax_i in the category now(taste utility_i + B focus · v_i)
    taste utility_i       = T taste · v_i - sensitivity (level_i - wanted level)² / 2 + loyalty + lift_i

The item on the screen is never chosen again. Bots take any item that is for sale. ``ItemChoice`` draws;
``models.simulate.oracle`` adds the same terms up.
"""

from typing import Final

import numpy as np
from numpy.random import Generator

from models.simulate.catalogue import F32, I32, Catalogue
from models.simulate.market import Market
from models.simulate.shoppers import I64, Shoppers

CATEGORY_WEIGHT: Final = 3.0
TASTE_WEIGHT: Final = 3.0
FOCUS_WEIGHT: Final = 2.0
LOYALTY: Final = 1.5
REVISIT_DECAY: Final = 0.6
"""Each older item of the session is this much less likely to be returned to."""
N_PAIRS: Final = 4_096


class Choice:
    """Draws categories and items for rows of shoppers. S is the number of rows, D the latent dimension."""

    def __init__(self, catalogue: Catalogue, shoppers: Shoppers, market: Market, rng: Generator) -> None:
        self.catalogue, self.shoppers, self.market = catalogue, shoppers, market
        self.features: F32 = catalogue.features()  # (N, D + 2)
        self._like_mean, self._like_std = self._standard(rng)

    def weights(self, rows: I64, *, focused: bool) -> F32:
        """(S, D + 2) so that ``weights @ features.T`` is the utility without lift and loyalty."""
        shoppers = self.shoppers
        vector = TASTE_WEIGHT * shoppers.taste[rows]
        if focused:
            vector = vector + FOCUS_WEIGHT * shoppers.focus[rows]
        sensitivity = shoppers.price_sensitivity[rows]
        level = sensitivity * shoppers.price_level[rows]
        columns = [vector, level[:, None], -0.5 * sensitivity[:, None]]
        return np.concatenate(columns, axis=1).astype(np.float32)

    def utilities(self, rows: I64, first: int, last: int, *, focused: bool) -> F32:
        """(S, last - first) utilities of items from ``first`` on, -inf when not for sale or on the screen."""
        out = self.weights(rows, focused=focused) @ self.features[first:last].T
        out += self.market.lift[first:last]
        out += LOYALTY * (self.catalogue.brand[first:last] == self.shoppers.favourite_brand[rows, None])
        on_screen = self.shoppers.recent[rows, 0] - first
        hit = np.flatnonzero((on_screen >= 0) & (on_screen < last - first))
        out[hit, on_screen[hit]] = -np.inf
        return np.asarray(out)

    def category_probabilities(self, rows: I64) -> F32:
        """(S, C) where a shopper turns."""
        taste = self.shoppers.taste[rows]
        logits = np.asarray(CATEGORY_WEIGHT * taste @ self.catalogue.category_latent.T, np.float32)
        logits += self.market.category_lift
        preferred = softmax(logits)
        now = self.shoppers.category[rows]
        related = np.where((now >= 0)[:, None], self.catalogue.related[now], preferred)
        return np.asarray(0.5 * (preferred + related))

    def turn(self, rows: I64, rng: Generator) -> tuple[I32, I32]:
        """Draw a category and an item for shoppers that turn; the item is -1 where nothing is for sale."""
        category = draw(self.category_probabilities(rows), rng)
        return category, self._items(rows, category, rng, focused=False)

    def stay(self, rows: I64, rng: Generator) -> I32:
        """Draw an item (S,) in the category and focus of the session; -1 where nothing is for sale."""
        return self._items(rows, self.shoppers.category[rows], rng, focused=True)

    def revisit(self, rows: I64, rng: Generator) -> I32:
        """Draw an item (S,) of the session that is not on the screen; -1 where there is none."""
        return draw(revisit_weights(self.shoppers.recent[rows]), rng, self.shoppers.recent[rows])

    def crawl(self, rows: I64, rng: Generator) -> I32:
        """Draw any item (S,) that is for sale."""
        return rng.choice(np.flatnonzero(self.market.available), len(rows)).astype(np.int32)

    def liking(self, rows: I64, items: I32) -> F32:
        """(S,) how much a shopper likes an item, in standard deviations over all shoppers and items."""
        return np.asarray((self._raw_liking(rows, items) - self._like_mean) / self._like_std)

    def likings(self, rows: I64) -> F32:
        """(S, N) how much shoppers like each item; ``liking`` of all pairs."""
        utility = self.weights(rows, focused=False) @ self.features.T  # (S, D + 2) @ (D + 2, N) -> (S, N)
        utility += LOYALTY * (self.catalogue.brand == self.shoppers.favourite_brand[rows, None])
        return np.asarray((utility - self._like_mean) / self._like_std, np.float32)

    def _items(self, rows: I64, category: I32, rng: Generator, *, focused: bool) -> I32:
        """Category by category, so that one matrix product serves all shoppers in it."""
        items = np.full(len(rows), -1, np.int32)
        order = np.argsort(category, kind="stable")
        edges = np.flatnonzero(np.diff(category[order])) + 1
        for members in np.split(order, edges):
            if len(members):
                c = int(category[members[0]])
                first, last = self.catalogue.block[c : c + 2].tolist()
                utilities = self.utilities(rows[members], first, last, focused=focused)
                drawn = draw(softmax(utilities), rng)
                items[members] = np.where(drawn >= 0, drawn + first, -1)
        return items

    def _raw_liking(self, rows: I64, items: I32) -> F32:
        utility = np.einsum("sd,sd->s", self.weights(rows, focused=False), self.features[items])
        loyal = self.catalogue.brand[items] == self.shoppers.favourite_brand[rows]
        return np.asarray(utility + LOYALTY * loyal)

    def _standard(self, rng: Generator) -> tuple[float, float]:
        rows = rng.integers(0, self.shoppers.n, N_PAIRS)
        items = rng.integers(0, self.catalogue.n_items, N_PAIRS).astype(np.int32)
        likes = self._raw_liking(rows, items)
        return float(likes.mean()), float(likes.std())


def sigmoid(log_odds: F32) -> F32:
    """1 / (1 + exp(-x))."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


def softmax(utilities: F32) -> F32:
    """Rows of probabilities; a row of -inf gives a row of 0."""
    highest = utilities.max(axis=1, keepdims=True)
    weights = np.exp(utilities - np.where(np.isfinite(highest), highest, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights / np.where(total > 0.0, total, 1.0), np.float32)


def revisit_weights(recent: I32) -> F32:
    """(S, MAX_RECENT) weights of the items of the session; the one on the screen and padding weigh 0."""
    weights = REVISIT_DECAY ** np.arange(recent.shape[1])[None, :] * (recent >= 0)
    weights[:, 0] = 0.0
    return np.asarray(weights, np.float32)


def draw(weights: F32, rng: Generator, values: I32 | None = None) -> I32:
    """One column (S,), or its value, a row, with a chance in proportion to its weight; -1 for rows of 0."""
    upto = np.cumsum(weights, axis=1, dtype=np.float64)
    total = upto[:, -1]
    column = (upto <= rng.random(len(weights))[:, None] * total[:, None]).sum(axis=1)
    column = np.minimum(column, weights.shape[1] - 1).astype(np.int32)
    drawn = column if values is None else values[np.arange(len(values)), column]
    return np.where(total > 0.0, drawn, -1).astype(np.int32)
