"""The feature vector of a candidate: what any scorer sees of (state, context, item). Version 4.

Per source what it said and how far up, then what is known of the item, of the item against the user, and of the
moment. Unknown is 0 everywhere. Columns are named, documented in ``docs/features.md``, and only ever change together
with ``VERSION``: learned parameters of one version mean nothing in another.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from models.interest.seen import DISMISSED, Seen
from models.knowledge.attributes import Attributes
from models.rank.merge import I64, Merged, slot_of
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32, Queries

VERSION: Final = 4

OF_SOURCE: Final = {
    "named": "1 where the source names the item",
    "score": "score over the best score of that source for this user",
    "log_score": "1 + log(0.01 + score) / log(100): tells small scores apart",
    "log_place": "1 - log(1 + place) / log(256), at least 0: tells far places apart",
    "again": "log_score where the session holds the item",
    "embedded": "log_score times the cosine of user and item in the embedding model",
}
"""Columns of each source, named ``source.column``; one with the name of a column of the pair is a product with it."""

OF_ITEM: Final = {
    "agreement": "share of the sources that name the item",
    "popularity": "log of the item's share of all interactions, week half-life, 0 to 1",
    "popularity_now": "the same, hour half-life",
    "trend": "log of the hour's share over the week's share, from -1 to 1",
    "age": "1 on the day the item appeared, halving each week",
    "rebought": "share of its purchases that repeat one",
    "discount": "share of the price that promotions now take off",
}
OF_PAIR: Final = {
    "category": "the user's affinity to the item's category",
    "brand": "the user's affinity to the item's brand",
    "price_gap": "distance of log(1 + price) from the user's mean, at most 2",
    "price_above": "the part of it above that mean",
    "same_category": "of the category of the session's last item",
    "same_brand": "of the brand of the session's last item",
    "price_step": "distance of log(1 + price) from the session's last item, at most 2",
    "in_session": "1 / (1 + place in the session), newest item first",
    "current": "1 for the session's last item itself",
    "again": "1 where the session holds the item",
    "again_late": "the same, times log(1 + items in the session), over log 16",
    "in_history": "1 / (1 + place in the history), newest item first",
    "history_age": "2 to the power of minus the days since the user's last interaction with it",
    "history_times": "log(1 + remembered interactions of the user with it), at most 3.9",
    "embedded": "cosine of user and item in the embedding model",
    "purchase": "chance that the user buys it when taking it up, by the embedding model",
    "dwell": "expected log(1 + seconds) with it over log 61, at most 3.9, by the embedding model",
    "near_dismissed": "greatest similarity to an item that the user dismissed",
}
OF_MOMENT: Final = {
    "always": "1",
    "session_length": "log(1 + items in the session), at most 3.9",
    "returning": "1 where the history holds more than the session",
    "searched": "1 where a query came just before",
    "hour_sin": "sine of the hour of the day, UTC",
    "hour_cos": "cosine of it",
    "platform_0": "platforms, spread over four columns",
    "platform_1": "",
    "platform_2": "",
    "platform_3": "",
}

N_OF_SOURCE: Final = len(OF_SOURCE)
EMBEDDED: Final = len(OF_ITEM) + list(OF_PAIR).index("embedded")
"""Its column, counted from the end of those of the sources; those of the tasks follow it."""
NEAR_DISMISSED: Final = list(OF_PAIR).index("near_dismissed") - len(OF_PAIR) - len(OF_MOMENT)
"""Its column, counted from the end."""

N_PLATFORMS: Final = 4
DAY_S: Final = 86_400.0
WEEK_S: Final = 604_800.0
MAX_GAP: Final = 2.0
MAX_LOG: Final = 3.9
"""All columns lie within -4 and 4: learners keep them as sixteen bits."""
ZERO: Final = np.float32(0.0)
ONE: Final = np.float32(1.0)
HUNDREDTH: Final = np.float32(0.01)
"""Logarithms and powers in single precision take half the time, and these are most of what a candidate costs."""
LN2: Final = 0.6931471805599453
LOG_16: Final = 2.772588722239781
LOG_61: Final = 4.110873864173311
LOG_100: Final = 4.605170185988092
LOG_256: Final = 5.545177444479562
OF_PLACE: Final = (1.0 - np.log(np.arange(1, 256)) / LOG_256).astype(np.float32)
LOG_SHARES: Final = 20.0
"""A share of ``exp(-20)`` and less has popularity 0."""


class Known(NamedTuple):
    """Columns by item index that features read, beside the attributes."""

    counts: F64
    """(I, 2) decayed interactions, hour and week."""
    totals: F64
    """(2,)"""
    rebought: F64
    """(I,) share of purchases that repeat one."""
    user_vectors: F32
    """(N, 3, D) of the users asked in the space of the embedding model: the unit vector, whose product with an item's
    is the cosine, then those whose product says more of a purchase, of a stay; zeros for the unknown.
    """
    usual: F32
    """(2,) log odds of a purchase and log(1 + seconds) of a stay, before the item is known."""
    item_vectors: F32
    """(I', D) of the first I' items; the later ones are unknown. There are none without a model."""


def feature_names(sources: Sequence[str]) -> list[str]:
    """Names of the F columns."""
    of_sources = [f"{source}.{column}" for source in sources for column in OF_SOURCE]
    return [*of_sources, *OF_ITEM, *OF_PAIR, *OF_MOMENT]


def features(merged: Merged, queries: Queries, seen: Seen, attributes: Attributes, known: Known) -> F32:
    """(n, F) of n candidates of N users."""
    n_sources = merged.evidence.shape[1]
    out = np.empty(
        (len(merged.items), n_sources * len(OF_SOURCE) + len(OF_ITEM) + len(OF_PAIR) + len(OF_MOMENT)),
        np.float32,
    )
    dismissed = np.where(seen.reasons == DISMISSED, seen.items, np.int32(-1))
    _features(
        merged.starts,
        merged.items,
        merged.evidence,
        merged.places,
        queries.now_s,
        queries.items,
        queries.history,
        queries.history_age_s,
        queries.history_times,
        queries.category,
        queries.category_weight,
        queries.brand,
        queries.brand_weight,
        queries.log_price,
        queries.segment,
        queries.query,
        dismissed,
        np.empty(_slots(queries.items.shape[1] + queries.history.shape[1]), np.int32),
        attributes.category,
        attributes.brand,
        attributes.log_price,
        attributes.created_s,
        attributes.discount,
        known.counts,
        known.totals,
        known.rebought,
        known.user_vectors,
        known.usual,
        known.item_vectors,
        out,
    )
    return out


def _slots(n: int) -> int:
    """Of a hash table of ``n`` items that is at most half full."""
    return 1 << max(4, 2 * n).bit_length()


@compiled
def _features(
    starts: I64,
    items: I32,
    evidence: F32,
    places: I32,
    now_s: F64,
    session: I32,
    history: I32,
    history_age_s: F32,
    history_times: I32,
    liked_category: I32,
    category_weight: F32,
    liked_brand: I32,
    brand_weight: F32,
    liked_price: F32,
    segment: I32,
    query: I32,
    dismissed: I32,
    touched: I32,
    category: I32,
    brand: I32,
    log_price: F32,
    created_s: F64,
    discount: F32,
    counts: F64,
    totals: F64,
    rebought: F64,
    user_vectors: F32,
    usual: F32,
    item_vectors: F32,
    out: F32,
) -> None:
    n_sources = evidence.shape[1]
    moment = np.empty(10, np.float32)
    at_session, at_history = np.empty_like(touched), np.empty_like(touched)
    widest = np.max(starts[1:] - starts[:-1]) if len(starts) > 1 else 0
    its_category, its_brand = np.empty(widest, np.int32), np.empty(widest, np.int32)
    its_price, its_discount = np.empty(widest, np.float32), np.empty(widest, np.float32)
    its_created_s, its_rebought = np.empty(widest, np.float64), np.empty(widest, np.float64)
    its_counts = np.empty((widest, 2), np.float64)
    for u in range(len(starts) - 1):
        # All at once, so that many reads of memory are under way together.
        for i in range(starts[u + 1] - starts[u]):
            item = items[starts[u] + i]
            its_category[i], its_brand[i], its_price[i] = category[item], brand[item], log_price[item]
            its_discount[i], its_created_s[i] = discount[item], created_s[item]
            its_rebought[i] = rebought[item]
            its_counts[i, 0], its_counts[i, 1] = counts[item, 0], counts[item, 1]
        n_session = _length(session[u])
        n_history = _length(history[u])
        n_dismissed = _length_any(dismissed[u])
        _moment(now_s[u], n_session, n_history, query[u], segment[u], moment)
        touched[:] = -1
        _place(session[u, :n_session], touched, at_session, at_history)
        _place(history[u, :n_history], touched, at_history, at_session)
        embedded = n_sources * N_OF_SOURCE + EMBEDDED
        again_late = min(np.log(1.0 + n_session) / LOG_16, MAX_LOG)
        last = session[u, 0] if n_session else -1
        for row in range(starts[u], starts[u + 1]):
            i, item, at, n_named = row - starts[u], items[row], 0, 0
            out[row] = 0.0
            own = slot_of(touched, item)
            again = touched[own] == item and at_session[own] >= 0
            if item < len(item_vectors):
                _embedded(user_vectors[u], item_vectors[item], usual, out[row, embedded : embedded + 3])
            for s in range(n_sources):
                if places[row, s] >= 0:
                    score = evidence[row, s]
                    place = places[row, s]
                    log_score = ONE + np.log(HUNDREDTH + score) / np.float32(LOG_100)
                    out[row, at] = 1.0
                    out[row, at + 1] = score
                    out[row, at + 2] = log_score
                    if place < len(OF_PLACE):
                        out[row, at + 3] = OF_PLACE[place]
                    if again:
                        out[row, at + 4] = log_score
                    out[row, at + 5] = log_score * out[row, embedded]
                    n_named += 1
                at += N_OF_SOURCE
            out[row, at] = n_named / n_sources
            now = _popularity(its_counts[i, 0], totals[0])
            weekly = _popularity(its_counts[i, 1], totals[1])
            out[row, at + 1] = weekly
            out[row, at + 2] = now
            out[row, at + 3] = max(-1.0, min(1.0, (now - weekly) * 2.0))
            if its_created_s[i] < np.inf:
                out[row, at + 4] = np.exp(
                    np.float32(-LN2 / WEEK_S * max(now_s[u] - its_created_s[i] - DAY_S, 0.0))
                )
            out[row, at + 5] = its_rebought[i]
            out[row, at + 6] = its_discount[i]
            at += 7
            if its_category[i] >= 0:
                for c in range(liked_category.shape[1]):
                    if liked_category[u, c] == its_category[i]:
                        out[row, at] = category_weight[u, c]
            if its_brand[i] >= 0:
                for b in range(liked_brand.shape[1]):
                    if liked_brand[u, b] == its_brand[i]:
                        out[row, at + 1] = brand_weight[u, b]
            gap = its_price[i] - liked_price[u]
            if not np.isnan(gap):
                out[row, at + 2] = min(abs(gap), MAX_GAP)
                out[row, at + 3] = min(max(gap, 0.0), MAX_GAP)
            if last >= 0:
                out[row, at + 4] = its_category[i] >= 0 and its_category[i] == category[last]
                out[row, at + 5] = its_brand[i] >= 0 and its_brand[i] == brand[last]
                step = abs(its_price[i] - log_price[last])
                if not np.isnan(step):
                    out[row, at + 6] = min(step, MAX_GAP)
            if again:
                out[row, at + 7] = ONE / np.float32(1 + at_session[own])
                out[row, at + 8] = at_session[own] == 0
                out[row, at + 9] = 1.0
                out[row, at + 10] = again_late
            if touched[own] == item and at_history[own] >= 0:
                p = at_history[own]
                out[row, at + 11] = ONE / np.float32(1 + p)
                out[row, at + 12] = np.exp(np.float32(-LN2 / DAY_S * max(history_age_s[u, p], 0.0)))
                out[row, at + 13] = min(np.log(1.0 + history_times[u, p]), MAX_LOG)
            if n_dismissed:
                out[row, at + 17] = nearness(item, dismissed[u], category, brand, log_price)
            at += 18
            for m in range(len(moment)):
                out[row, at + m] = moment[m]


@compiled
def _embedded(user: F32, item: F32, usual: F32, out: F32) -> None:
    """Three columns of a user (3, D) and an item (D,); they stay 0 where one of them is unknown."""
    cosine, bought, stayed = np.float32(0.0), usual[0], usual[1]
    for d in range(len(item)):
        cosine += user[0, d] * item[d]
        bought += user[1, d] * item[d]
        stayed += user[2, d] * item[d]
    if cosine != 0.0:
        out[0] = cosine
        out[1] = ONE / (ONE + np.exp(-bought))
        out[2] = min(max(stayed / np.float32(LOG_61), ZERO), np.float32(MAX_LOG))


@compiled
def _place(items: I32, touched: I32, place: I32, elsewhere: I32) -> None:
    """Note the ``place`` of each item in the hash table ``touched``; the first holds."""
    for p in range(len(items)):
        at = slot_of(touched, items[p])
        if touched[at] < 0:
            touched[at], place[at], elsewhere[at] = items[p], -1, -1
        if place[at] < 0:
            place[at] = p


@compiled
def _length(values: I32) -> int:
    n = 0
    while n < len(values) and values[n] >= 0:
        n += 1
    return n


@compiled
def _length_any(values: I32) -> int:
    n = 0
    for value in values:
        n += value >= 0
    return n


@compiled
def _popularity(count: float, total: float) -> float:
    # The total is a sum of its own: rounding may leave it below a count.
    if count <= 0.0:
        return 0.0
    share: float = np.log(np.float32(count / total))
    return min(max(0.0, 1.0 + share / LOG_SHARES), 1.0)


@compiled
def _moment(now_s: float, n_session: int, n_history: int, query: int, segment: int, out: F32) -> None:
    hour = 2.0 * np.pi * (now_s % DAY_S) / DAY_S
    out[0] = 1.0
    out[1] = min(np.log(1.0 + n_session), MAX_LOG)
    out[2] = n_history > n_session
    out[3] = query >= 0
    out[4] = np.sin(hour)
    out[5] = np.cos(hour)
    out[6:] = 0.0
    if segment >= 0:
        out[6 + segment % N_PLATFORMS] = 1.0


@compiled
def nearness(item: int, dismissed: I32, category: I32, brand: I32, log_price: F32) -> float:
    """Greatest similarity: half for one category, 0.3 for one brand, 0.2 for a close price; 1 for itself."""
    nearest = 0.0
    for other in dismissed:
        if other < 0:
            continue
        if other == item:
            return 1.0
        near = 0.0
        if category[item] >= 0 and category[item] == category[other]:
            near += 0.5
        if brand[item] >= 0 and brand[item] == brand[other]:
            near += 0.3
        gap = abs(log_price[item] - log_price[other])
        if gap < 0.5:
            near += 0.2 * (1.0 - gap / 0.5)
        nearest = max(nearest, near)
    return nearest
