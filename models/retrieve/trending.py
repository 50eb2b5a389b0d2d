"""What is popular now: decayed counts at several half-lives, the same answer for every user.

Not personal, and no fallback for one segment: that is ``cold_start``.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.kinds import WEIGHT_OF_CODE
from models.knowledge.attributes import Attributes
from models.retrieve.compiled import compiled, held_bytes, packed
from models.retrieve.contract import F32, F64, I32, U8, Candidates, Interactions, Queries
from models.retrieve.leaderboards import LN2
from models.retrieve.settings import TrendingSettings
from models.retrieve.top_k import beats, empty_lists, marked, ranked, top_k

_MAX_EXPONENT = 40.0


class Counters(NamedTuple):
    """Counts of I items at H half-lives, as of a landmark, and the pool of the P best at each.

    Between interactions all counts of one half-life shrink alike, so their order changes only when one grows;
    the pool is therefore exactly the best P at any time.
    """

    counts: F64
    """(I, H)"""
    totals: F64
    """(H,)"""
    landmark_s: F64
    """(H,)"""
    pool: I32
    """(H, P) in no order, -1 where free."""
    pooled: U8
    """(I, H) 1 where the item is in the pool."""
    floor: F64
    """(H,) no member counts less, 0 until the pool is full."""


@compiled
def challenge(c: Counters, h: int, item: int) -> None:
    """Put ``item`` into the pool of half-life ``h`` if it beats the worst one there."""
    worst = 0
    for j in range(c.pool.shape[1]):
        member = c.pool[h, j]
        if member < 0:
            worst = j
            break
        if beats(c.counts[c.pool[h, worst], h], c.pool[h, worst], c.counts[member, h], member):
            worst = j
    loser = c.pool[h, worst]
    if loser >= 0:
        c.floor[h] = c.counts[loser, h]
        if not beats(c.counts[item, h], item, c.counts[loser, h], loser):
            return
        c.pooled[loser, h] = 0
    c.pool[h, worst] = item
    c.pooled[item, h] = 1


@compiled
def learn(c: Counters, item: I32, weight: F32, time_s: F64, rates: F64) -> None:
    """Count n interactions, in order."""
    for r in range(item.shape[0]):
        i = item[r]
        if i < 0 or i >= c.counts.shape[0]:
            continue
        for h in range(rates.shape[0]):
            exponent = (time_s[r] - c.landmark_s[h]) * rates[h]
            if c.totals[h] == 0.0 or exponent > _MAX_EXPONENT:
                scale = np.exp(-exponent) if c.totals[h] > 0.0 else 0.0
                c.counts[:, h] *= scale
                c.totals[h] *= scale
                c.floor[h] *= scale
                c.landmark_s[h] = time_s[r]
                exponent = 0.0
            gain = weight[r] * np.exp(exponent)
            c.counts[i, h] += gain
            c.totals[h] += gain
            if c.pooled[i, h] == 0 and gain > 0.0 and c.counts[i, h] >= c.floor[h]:
                challenge(c, h, i)


@compiled
def blend(c: Counters, weights: F64, scratch: F32, items: I32, scores: F32) -> int:
    """Write the pooled items and their scores, best first; how many there are.

    ``scratch`` (I,) keeps no sense between calls.
    """
    pooled, n = np.empty(c.pool.size, np.int32), 0
    for h in range(c.pool.shape[0]):
        for j in range(c.pool.shape[1]):
            item = c.pool[h, j]
            if item < 0 or np.any(c.pooled[item, :h] == 1):
                continue
            score = 0.0
            for g in range(c.pool.shape[0]):
                if c.totals[g] > 0.0:
                    score += weights[g] * c.counts[item, g] / c.totals[g]
            scratch[item] = score
            pooled[n] = item
            n += 1
    return top_k(scratch, pooled, n, items, scores)


class Trending:
    """score(i) = sum over half-lives h of blend(h) * (share of item i in all interactions, decayed with h).

    A short half-life alone follows chance, a long one alone is yesterday's. Shares do not change while
    nothing happens, so the blended list, made from the pools of all half-lives, is worked out once an update.
    """

    name = "trending"

    def __init__(self, settings: TrendingSettings, attributes: Attributes, n_items: int) -> None:
        self._settings = settings
        self._category = attributes.category
        self._rates = LN2 / np.array(settings.half_lives_s)
        self._blend = np.array(settings.blend)
        self._counters = _empty_counters(n_items, len(settings.half_lives_s), settings.pool)
        self._scores = np.zeros(n_items, np.float32)
        self._list: tuple[I32, F32] | None = None

    @property
    def half_lives_s(self) -> tuple[float, ...]:
        """Half-lives of the counts, seconds, shortest first."""
        return self._settings.half_lives_s

    def update(self, batch: Interactions) -> None:
        """Count the interactions by the weights of their kinds."""
        learn(
            self._counters,
            cast(I32, packed(batch.item, np.int32)),
            WEIGHT_OF_CODE[batch.kind & 15],
            cast(F64, packed(batch.time_s, np.float64)),
            self._rates,
        )
        self._list = None

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """The same blended list for every user."""
        items, scores = self._blended()
        n, kept = len(queries.items), min(k, items.size)
        out = empty_lists(n, k)
        out[0][:, :kept] = items[:kept]
        out[1][:, :kept] = scores[:kept]
        return Candidates(*out)

    def top(
        self, k: int, now_s: float, category: int | None = None, half_life_s: float | None = None
    ) -> tuple[I32, F32]:
        """At most ``k`` items, best first: of one category or all, with their decayed counts at ``now_s``.

        Without a half-life the blend's order and scores (shares, which do not depend on ``now_s``). A half-
        life must be one of the settings'.
        """
        if category is None and half_life_s is None:
            items, scores = self._blended()
            return items[:k], scores[:k]
        if category is not None:
            within = np.flatnonzero(self._category[: len(self._counters.counts)] == category)
        else:
            within = np.arange(len(self._counters.counts))
        if half_life_s is None:
            return ranked(within, self._shares(within), k)
        return ranked(within, self._decayed(within, now_s, half_life_s), k)

    def forget(self, items: I32) -> None:
        """Drop the items' counts, and find the next best for their places in the pools."""
        c = self._counters
        gone = marked(items, len(c.counts))[:-1]
        c.totals[:] = np.maximum(c.totals - c.counts[gone].sum(axis=0), 0.0)
        c.counts[gone] = 0.0
        _fill_pools(c)
        self._list = None

    @property
    def size_bytes(self) -> int:
        """Memory held: all of it from the start, but for the blended list."""
        return held_bytes(self._counters, (self._rates, self._blend, self._scores), self._list or ())

    def _blended(self) -> tuple[I32, F32]:
        if self._list is None:
            size = self._counters.pool.size
            items, scores = np.empty(size, np.int32), np.empty(size, np.float32)
            n = blend(self._counters, self._blend, self._scores, items, scores)
            self._list = items[:n], scores[:n]
        return self._list

    def _shares(self, items: NDArray[np.integer]) -> F64:
        shares = self._counters.counts[items] / np.where(
            self._counters.totals > 0, self._counters.totals, 1.0
        )
        return cast(F64, shares @ self._blend)

    def _decayed(self, items: NDArray[np.integer], now_s: float, half_life_s: float) -> F64:
        if half_life_s not in self._settings.half_lives_s:
            known = ", ".join(f"{h:g}" for h in self._settings.half_lives_s)
            raise ValueError(f"no counts with half-life {half_life_s:g} s are kept, only with {known} s")
        h = self._settings.half_lives_s.index(half_life_s)
        age = (now_s - self._counters.landmark_s[h]) * self._rates[h]
        return cast(F64, self._counters.counts[items, h] * np.exp(-age))


def _empty_counters(n_items: int, n_half_lives: int, n_pooled: int) -> Counters:
    return Counters(
        counts=np.zeros((n_items, n_half_lives)),
        totals=np.zeros(n_half_lives),
        landmark_s=np.zeros(n_half_lives),
        pool=np.full((n_half_lives, n_pooled), -1, np.int32),
        pooled=np.zeros((n_items, n_half_lives), np.uint8),
        floor=np.zeros(n_half_lives),
    )


def _fill_pools(c: Counters) -> None:
    """Find the pools afresh from all counts."""
    c.pool[:] = -1
    c.pooled[:] = 0
    c.floor[:] = 0.0
    for h, pool in enumerate(c.pool):
        best, _ = ranked(np.arange(len(c.counts)), c.counts[:, h], pool.size)
        pool[: best.size] = best
        c.pooled[best, h] = 1
