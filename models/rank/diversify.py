"""The slate out of the scored candidates: greedy maximal marginal relevance over a bounded pool."""

import numpy as np

from models.knowledge.attributes import Attributes
from models.rank.merge import I64, Merged
from models.rank.settings import RankSettings
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32
from models.retrieve.top_k import beats, sift_down, sift_up


def diversify(
    merged: Merged, scores: F32, attributes: Attributes, n_places: int, settings: RankSettings
) -> I64:
    """(N, n_places) rows of ``merged`` in the order of the slate, -1 where there are too few.

    Each place goes to the candidate with the largest ``lambda * relevance - (1 - lambda) * max similarity``
    to what is already in the slate, ties by the lower item, out of the ``pool_factor * n_places`` best by
    score. Relevance is the score over the user's best; similarity adds up the same category, the same brand
    and a close price (``1 - difference of log(1 + price) / price_width``), the unknown counting as
    different.

    Carbonell and Goldstein, "The use of MMR" (SIGIR 1998).
    """
    rows = np.full((len(merged.starts) - 1, n_places), -1, np.int64)
    similarity = np.array(
        [settings.same_category, settings.same_brand, settings.close_price, settings.price_width]
    )
    _diversify(
        merged.starts,
        merged.items,
        scores,
        attributes.category,
        attributes.brand,
        attributes.log_price,
        similarity,
        settings.mmr_lambda,
        settings.pool_factor * n_places,
        rows,
    )
    return rows


@compiled
def _diversify(
    starts: I64,
    items: I32,
    scores: F32,
    category: I32,
    brand: I32,
    log_price: F32,
    similarity: F64,
    mmr_lambda: float,
    pool_size: int,
    out: I64,
) -> None:
    pool = np.empty(pool_size, np.int64)
    relevance, nearest = np.empty(pool_size, np.float64), np.empty(pool_size, np.float64)
    of_category, of_brand = np.empty(pool_size, np.int32), np.empty(pool_size, np.int32)
    at_price = np.empty(pool_size, np.float64)
    same_category, same_brand, close_price, price_width = similarity
    for u in range(out.shape[0]):
        n = best_rows(starts[u], starts[u + 1], items, scores, pool)
        best = 0.0
        for i in range(n):
            row, item = pool[i], items[pool[i]]
            best = max(best, scores[row])
            relevance[i], nearest[i] = scores[row], 0.0
            of_category[i], of_brand[i], at_price[i] = category[item], brand[item], log_price[item]
        relevance[:n] *= mmr_lambda / best
        for place in range(min(n, out.shape[1])):
            chosen, value = 0, -np.inf
            for i in range(n - place):
                marginal = relevance[i] - (1.0 - mmr_lambda) * nearest[i]
                if marginal >= value and beats(marginal, items[pool[i]], value, items[pool[chosen]]):
                    chosen, value = i, marginal
            out[u, place] = pool[chosen]
            its_category, its_brand, its_price = of_category[chosen], of_brand[chosen], at_price[chosen]
            last = n - place - 1
            pool[chosen], relevance[chosen], nearest[chosen] = pool[last], relevance[last], nearest[last]
            of_category[chosen], of_brand[chosen] = of_category[last], of_brand[last]
            at_price[chosen] = at_price[last]
            for i in range(last):
                close = 0.0
                if abs(its_price - at_price[i]) < price_width:
                    close += close_price * (1.0 - abs(its_price - at_price[i]) / price_width)
                if its_category >= 0 and its_category == of_category[i]:
                    close += same_category
                if its_brand >= 0 and its_brand == of_brand[i]:
                    close += same_brand
                nearest[i] = max(nearest[i], close)


@compiled
def best_rows(start: int, end: int, items: I32, scores: F32, pool: I64) -> int:
    """Write the rows of the best candidates by (score, lower item) into ``pool``, in any order; how many."""
    heap_items = np.empty(len(pool), np.int32)
    heap_scores = np.empty(len(pool), np.float32)
    n = 0
    for row in range(start, end):
        if not scores[row] > 0.0:
            continue
        if n < len(pool):
            heap_items[n], heap_scores[n] = items[row], scores[row]
            sift_up(heap_items, heap_scores, n)
            n += 1
        elif beats(scores[row], items[row], heap_scores[0], heap_items[0]):
            heap_items[0], heap_scores[0] = items[row], scores[row]
            sift_down(heap_items, heap_scores, n)
    found = 0
    for row in range(start, end):
        if scores[row] > 0.0 and not beats(heap_scores[0], heap_items[0], scores[row], items[row]):
            pool[found] = row
            found += 1
    return found
