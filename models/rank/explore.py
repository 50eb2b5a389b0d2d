"""Exploration at the end of a slate: other candidates than the ranking's own, and how likely each was.

Comes after ``diversify``. It learns nothing and holds no state: scores and their uncertainty come from the
scorer, chance from a seed a slate, so that a replay explores alike.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.rank.explore_settings import ExploreSettings
from models.rank.merge import I64, Merged
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32, U8, U64
from models.retrieve.sessions import mixed
from models.retrieve.top_k import beats, sift_down, sift_up

LEAST_PROPENSITY = 1e-6
"""What a chance too small to be computed counts as: what was shown had one."""

_CHOOSERS = {"epsilon": 0, "thompson": 1, "linucb": 2}
_NEXT, _THOMPSON = 0, 1
_COIN, _DRAW, _RADIUS, _ANGLE = 0, 1, 2, 3
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_REACH, _NIL, _HALVINGS = 5.5, 1e-8, 8
_STEP, _FINER, _FINEST = 0.15, 0.3, 1e-4
"""Of the quadrature: normal noise beyond 5.5 deviations and products below 1e-8 count as none; the first step is
0.3 of the narrower width, at least 1e-4 of that of the candidate, and each is 15% longer than the one before.
"""


class Explored(NamedTuple):
    """Slates of N users with S places, padded as the greedy ones."""

    rows: I64
    """(N, S) rows of ``merged`` in the order of the slate, -1 padded, none twice."""
    propensity: F32
    """(N, S) probability of this item at this place given the places before it; their product is that of the
    slate. 1 where nothing was left to chance, 0 where padded.
    """
    explored: NDArray[np.bool_]
    """(N, S) where the item is not the next that the greedy slate would have shown."""


class _Choices(NamedTuple):
    """What may take a place in the tail of one slate: the greedy tail in its order, then the pool."""

    row: I64
    item: I32
    mean: F64
    width: F64
    """Standard deviation of the score; for linucb what is added to it."""
    weight: F64
    """In a draw, against the others'."""
    left: U8
    """0 once it has its place."""


def explore(
    merged: Merged, rows: I64, scores: F32, spread: F32, is_new: U8, seed: U64, settings: ExploreSettings
) -> Explored:
    """Fill the last ``settings.places`` of greedy slates ``rows`` (N, S) anew, one place after the other.

    ``scores``, ``spread`` (the standard deviations of the scores: finite, not negative) and ``is_new`` are
    (n,), one a candidate, ``seed`` is (N,), one a slate. The choices are the greedy tail and a pool of
    candidates that score above 0, new ones first, then by score, ties by the lower item. A place takes

    - with chance ``epsilon`` a draw of all choices left, new ones ``new_item_boost`` times as likely;
    - else the choice of the policy: ``epsilon`` the next of the greedy slate; ``thompson`` the largest
      ``score + spread * normal``, noise drawn anew for each place (Thompson, Biometrika 1933; Chapelle and Li,
      NIPS 2011); ``linucb`` the largest ``score + alpha * spread`` (Li, Chu, Langford and Schapire, WWW 2010).

    The spread of a new item counts ``new_item_boost`` times. Propensities are those of this very procedure:
    in closed form, or for thompson by quadrature to about 1e-4 of their value, and at least
    ``LEAST_PROPENSITY``. The order of a user's candidates does not matter.
    """
    chances = (rows >= 0).astype(np.float32)
    out = Explored(rows.copy(), chances, np.zeros(rows.shape, np.bool_))
    if settings.policy == "none":
        return out
    stretch = settings.alpha if settings.policy == "linucb" else 1.0
    _explore(
        merged.starts,
        merged.items,
        scores,
        spread,
        is_new,
        seed,
        _CHOOSERS[settings.policy],
        min(settings.places, rows.shape[1]),
        settings.pool,
        np.array([settings.epsilon, settings.new_item_boost, stretch]),
        *out,
    )
    return out


def new_items(merged: Merged, created_s: F64, now_s: F64, new_item_s: float) -> U8:
    """(n,) 1 where a candidate was first known less than ``new_item_s`` ago; an item never seen is not new.

    ``created_s`` is (capacity,), by item, infinite when unknown; ``now_s`` is (N,), by user.
    """
    created = created_s[merged.items]
    return ((now_s[merged.user] - created < new_item_s) & (created < np.inf)).astype(np.uint8)


@compiled
def _explore(
    starts: I64,
    items: I32,
    scores: F32,
    spread: F32,
    is_new: U8,
    seed: U64,
    chooser: int,
    n_tail: int,
    n_pool: int,
    knobs: F64,
    rows: I64,
    propensity: F32,
    explored: NDArray[np.bool_],
) -> None:
    epsilon, boost, stretch = knobs
    choices = _room(n_tail + n_pool)
    in_slate = np.zeros(len(items), np.uint8)
    heap_items, heap_scores = np.empty(n_pool, np.int32), np.empty(n_pool, np.float32)
    first = rows.shape[1] - n_tail
    for u in range(rows.shape[0]):
        n_open = _greedy_tail(rows[u], first, in_slate, choices.row)
        if n_open == 0:
            continue
        n, found = n_open, choices.row[: n_open + n_pool]
        for new in (1, 0):
            n = _best_rows(
                starts[u],
                starts[u + 1],
                new,
                items,
                scores,
                is_new,
                in_slate,
                found,
                n,
                heap_items,
                heap_scores,
            )
        for i in range(n):
            row = choices.row[i]
            choices.item[i], choices.left[i] = items[row], 1
            choices.weight[i] = boost if is_new[row] else 1.0
            choices.mean[i], choices.width[i] = scores[row], stretch * choices.weight[i] * spread[row]
        end = first + n_open
        _fill(choices, n, chooser, epsilon, seed[u], first, rows[u, :end], propensity[u], explored[u])


@compiled
def _room(n: int) -> _Choices:
    """Room for ``n`` choices, in which nothing is written yet."""
    return _Choices(
        np.empty(n, np.int64),
        np.empty(n, np.int32),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
        np.empty(n, np.uint8),
    )


@compiled
def _greedy_tail(slate: I64, first: int, in_slate: U8, tail: I64) -> int:
    """Mark the rows of a slate in ``in_slate``, write those from place ``first`` on into ``tail``; how many."""
    n = 0
    for place in range(len(slate)):
        if slate[place] >= 0:
            in_slate[slate[place]] = 1
            if place >= first:
                tail[n] = slate[place]
                n += 1
    return n


@compiled
def _best_rows(
    start: int,
    end: int,
    new: int,
    items: I32,
    scores: F32,
    is_new: U8,
    in_slate: U8,
    found: I64,
    n: int,
    heap_items: I32,
    heap_scores: F32,
) -> int:
    """Append to ``found[:n]`` the best rows outside the slate that are ``new`` (or are not: 0), while there is
    room; how many there are then.
    """
    room, size = len(found) - n, 0
    for row in range(start, end if room > 0 else start):
        if is_new[row] == new and not in_slate[row] and scores[row] > 0.0:
            if size < room:
                heap_items[size], heap_scores[size] = items[row], scores[row]
                sift_up(heap_items, heap_scores, size)
                size += 1
            elif beats(scores[row], items[row], heap_scores[0], heap_items[0]):
                heap_items[0], heap_scores[0] = items[row], scores[row]
                sift_down(heap_items, heap_scores, size)
    for row in range(start, end if size > 0 else start):
        fits = is_new[row] == new and not in_slate[row] and scores[row] > 0.0
        if fits and not beats(heap_scores[0], heap_items[0], scores[row], items[row]):
            found[n] = row
            n += 1
    return n


@compiled
def _fill(
    choices: _Choices,
    n: int,
    chooser: int,
    epsilon: float,
    seed: np.uint64,
    first: int,
    slate: I64,
    propensity: F32,
    explored: NDArray[np.bool_],
) -> None:
    """Give the places of a slate from ``first`` on to ``choices``, of which there are ``n``."""
    all_left = choices.weight[:n].sum()
    for place in range(first, len(slate)):
        best = _best(choices, n, chooser, seed, place)
        chosen = best
        if _uniform(seed, place, _COIN, 0) < epsilon:
            chosen = _drawn(choices, n, seed, place)
        chance = 1.0 if chosen == best else 0.0
        if chooser == _THOMPSON:
            chance = _chance_of_best(choices, n, chosen)
        chance = epsilon * choices.weight[chosen] / all_left + (1.0 - epsilon) * chance
        slate[place] = choices.row[chosen]
        propensity[place] = min(max(chance, LEAST_PROPENSITY), 1.0)
        explored[place] = chosen != _next(choices)
        choices.left[chosen] = 0
        all_left -= choices.weight[chosen]


@compiled
def _next(choices: _Choices) -> int:
    """The next of the greedy slate: there is one as long as there is a place to fill."""
    at = 0
    while choices.left[at] == 0:
        at += 1
    return at


@compiled
def _best(choices: _Choices, n: int, chooser: int, seed: np.uint64, place: int) -> int:
    """What the policy puts at a place that takes no draw."""
    if chooser == _NEXT:
        return _next(choices)
    best, best_value = -1, -np.inf
    for i in range(n):
        if choices.left[i]:
            noise = _normal(seed, place, choices.item[i]) if chooser == _THOMPSON else 1.0
            value = choices.mean[i] + choices.width[i] * noise
            if best < 0 or beats(value, choices.item[i], best_value, choices.item[best]):
                best, best_value = i, value
    return best


@compiled
def _drawn(choices: _Choices, n: int, seed: np.uint64, place: int) -> int:
    """A draw in proportion to the weights: the shortest of exponential waits, one a choice."""
    drawn, shortest = -1, np.inf
    for i in range(n):
        if choices.left[i]:
            wait = -math.log(_uniform(seed, place, _DRAW, choices.item[i])) / choices.weight[i]
            if drawn < 0 or wait < shortest:
                drawn, shortest = i, wait
    return drawn


@compiled
def _chance_of_best(choices: _Choices, n: int, i: int) -> float:
    """Chance that choice ``i`` has the largest ``mean + width * normal`` of those left.

    The integral of ``normal density of i at x * product over rivals j of normal cdf((x - mean_j) / width_j)``.
    Below ``low`` the integrand is nil, and nothing that matters is much finer than the distance to it: so with
    ``x = low + exp(t)`` equal steps in t resolve all widths alike, and the trapezoidal rule converges
    exponentially (Trefethen and Weideman, SIAM Review 2014).
    """
    mean, width = choices.mean[i], choices.width[i]
    if width == 0.0:
        return _chance_below(choices, n, i, mean)
    low, scale = mean - _REACH * width, width
    for j in range(n):
        its_low = choices.mean[j] - _REACH * choices.width[j]
        if choices.left[j] and j != i and its_low > low:
            low, scale = its_low, min(choices.width[j], width)
    finest = max(_FINER * scale, _FINEST * width)
    low = _nil_below(choices, n, i, low, finest, mean + _REACH * width)
    total, offset, growth = 0.0, finest, math.exp(_STEP)
    while low + offset < mean + _REACH * width:
        z = (low + offset - mean) / width
        total += offset * math.exp(-0.5 * z * z) * _chance_below(choices, n, i, low + offset)
        offset *= growth
    chance: float = total * _STEP / (width * math.sqrt(2.0 * math.pi))
    return chance


@compiled
def _nil_below(choices: _Choices, n: int, i: int, low: float, finest: float, high: float) -> float:
    """About the largest x up to which rivals all but surely exceed: many alike do so far above ``low``."""
    near, far = finest, high - low
    if not near < far or _chance_below(choices, n, i, low + near) > _NIL:
        return low
    for _ in range(_HALVINGS):
        middle = math.sqrt(near * far)
        if _chance_below(choices, n, i, low + middle) > _NIL:
            far = middle
        else:
            near = middle
    return low + near


@compiled
def _chance_below(choices: _Choices, n: int, i: int, x: float) -> float:
    """Chance that every rival of choice ``i`` stays below ``x``; a rival without width ties by the lower item."""
    chance = 1.0
    for j in range(n):
        if j == i or not choices.left[j]:
            continue
        if choices.width[j] == 0.0:
            if not beats(x, choices.item[i], choices.mean[j], choices.item[j]):
                return 0.0
        elif x - choices.mean[j] < _REACH * choices.width[j]:
            chance *= 0.5 * math.erfc((choices.mean[j] - x) / (choices.width[j] * math.sqrt(2.0)))
            if chance < _NIL:
                return 0.0
    return chance


@compiled
def _normal(seed: np.uint64, place: int, item: int) -> float:
    """A standard normal number (Box and Muller, Annals of Mathematical Statistics 1958)."""
    radius = math.sqrt(-2.0 * math.log(_uniform(seed, place, _RADIUS, item)))
    return radius * math.cos(2.0 * math.pi * _uniform(seed, place, _ANGLE, item))


@compiled
def _uniform(seed: np.uint64, place: int, purpose: int, item: int) -> float:
    """A number inside (0, 1), for each argument another: a counter mixed (Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011) by SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
    """
    key = mixed(seed + _GOLDEN * np.uint64(4 * place + purpose + 1))
    bits = mixed(key + _GOLDEN * np.uint64(item + 1))
    uniform: float = (float(bits >> np.uint64(12)) + 0.5) * 2.0**-52
    return uniform
