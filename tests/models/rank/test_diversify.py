import numpy as np
import pytest

from models.rank.diversify import diversify
from models.rank.merge import merge
from models.rank.settings import RankSettings

ALL = np.ones(100, np.uint8)
NONE = np.full((1, 0), -1, np.int32)


@pytest.fixture
def slate(candidates):
    """Items of the slate that one user's ``{item: score}`` becomes."""

    def make(scores, attributes, n_places, settings):
        merged = merge([candidates(scores)], NONE, ALL)
        given = np.array([scores[int(item)] for item in merged.items], np.float32)
        rows = diversify(merged, given, attributes, n_places, settings)[0]
        return [int(merged.items[row]) if row >= 0 else -1 for row in rows]

    return make


def test_a_less_relevant_item_of_another_category_comes_before_more_of_the_same(slate, attributes):
    same = attributes(category={1: 0, 2: 0, 3: 1})
    settings = RankSettings(mmr_lambda=0.5, same_category=0.6)
    # 1 first: 0.5 * 1. Then 2: 0.5 * 0.9 - 0.5 * 0.6 = 0.15 against 3: 0.5 * 0.5 = 0.25.
    assert slate({1: 1.0, 2: 0.9, 3: 0.5}, same, 3, settings) == [1, 3, 2]


def test_relevance_is_measured_against_the_best(slate, attributes):
    same = attributes(category={1: 0, 2: 0, 3: 1})
    settings = RankSettings(mmr_lambda=0.5, same_category=0.6)
    assert slate({1: 10.0, 2: 9.0, 3: 5.0}, same, 3, settings) == [1, 3, 2]


def test_what_counts_is_the_nearest_item_of_the_slate(slate, attributes):
    known = attributes(category={1: 0, 2: 1, 3: 0}, brand={2: 7, 4: 7})
    settings = RankSettings(mmr_lambda=0.5, same_category=0.8, same_brand=0.4)
    # 1, then 2 (0.45). Then 3: 0.5 * 0.8 - 0.5 * max(0.8, 0) = 0, 4: 0.5 * 0.5 - 0.5 * max(0, 0.4) = 0.05.
    assert slate({1: 1.0, 2: 0.9, 3: 0.8, 4: 0.5}, known, 4, settings) == [1, 2, 4, 3]


def test_a_close_price_counts_in_proportion(slate, attributes):
    known = attributes(log_price={1: 2.0, 2: 2.25, 3: 2.6})
    settings = RankSettings(mmr_lambda=0.5, close_price=0.4, price_width=0.5)
    # 2 lies half the width from 1: 0.5 * 0.9 - 0.5 * 0.2 = 0.35. 3 lies beyond it: 0.5 * 0.8 = 0.4.
    assert slate({1: 1.0, 2: 0.9, 3: 0.8}, known, 3, settings) == [1, 3, 2]


def test_the_unknown_is_like_nothing(slate, attributes):
    settings = RankSettings(mmr_lambda=0.1)
    assert slate({1: 1.0, 2: 0.9, 3: 0.8}, attributes(log_price={1: 1.0}), 3, settings) == [1, 2, 3]


def test_with_lambda_one_the_order_is_that_of_the_scores(slate, attributes):
    same = attributes(category=dict.fromkeys(range(100), 0))
    scores = {i: 1.0 + (i * 37 % 50) / 50 for i in range(50)}
    expected = sorted(scores, key=lambda i: (-scores[i], i))[:10]
    assert slate(scores, same, 10, RankSettings(mmr_lambda=1.0)) == expected


def test_scores_a_hair_apart_keep_their_order(slate, attributes):
    above = np.nextafter(np.float32(0.7), np.float32(1.0))
    scores = {1: np.float32(0.7), 2: above, 3: np.float32(0.9)}
    assert slate(scores, attributes(), 3, RankSettings(mmr_lambda=1.0)) == [3, 2, 1]


def test_ties_go_to_the_lower_item(slate, attributes):
    assert slate({9: 1.0, 4: 1.0, 6: 1.0}, attributes(), 2, RankSettings()) == [4, 6]


def test_only_the_pool_competes(slate, attributes):
    known = attributes(category={1: 0, 2: 0, 3: 1})
    settings = RankSettings(mmr_lambda=0.1, pool_factor=1)
    # Two places, a pool of two: 3 would be the more diverse, and is not in it.
    assert slate({1: 1.0, 2: 0.9, 3: 0.8}, known, 2, settings) == [1, 2]


def test_too_few_candidates_leave_places_empty(slate, attributes):
    assert slate({5: 1.0}, attributes(), 3, RankSettings()) == [5, -1, -1]
    assert slate({}, attributes(), 2, RankSettings()) == [-1, -1]


def test_what_does_not_score_above_zero_is_left_out(candidates, attributes):
    merged = merge([candidates({1: 1.0, 2: 1.0, 3: 1.0})], NONE, ALL)
    scores = np.array([0.0, np.nan, 0.5], np.float32)
    rows = diversify(merged, scores, attributes(), 3, RankSettings())
    assert rows.tolist() == [[2, -1, -1]]
