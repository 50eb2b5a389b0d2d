from math import log2

import numpy as np
import pytest

from models.evaluate.intervals import intervals
from models.evaluate.measures import MEASURES, measured
from models.evaluate.result import gini


def at(k, ranks, n_items):
    values = measured([tuple(ranks)], np.array([n_items]), k)[0]
    return dict(zip(MEASURES, values.tolist(), strict=True))


def test_one_item_found_at_the_third_place():
    values = at(5, [3], 1)
    assert (values["hr"], values["mrr"], values["recall"]) == (1.0, pytest.approx(1 / 3), 1.0)
    assert values["ndcg"] == pytest.approx(1 / log2(4))
    assert (values["precision"], values["f1"]) == (pytest.approx(0.2), pytest.approx(2 * 0.2 / 1.2))


def test_what_stands_behind_the_cut_off_is_not_found():
    assert set(at(5, [6], 1).values()) == {0.0}


def test_an_order_of_three_of_which_two_are_found():
    values = at(10, [1, 4, 11], 3)
    assert (values["hr"], values["mrr"]) == (1.0, 1.0)
    assert (values["recall"], values["precision"]) == (pytest.approx(2 / 3), pytest.approx(0.2))
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert values["ndcg"] == pytest.approx((1 + 1 / log2(5)) / ideal)


def test_more_items_than_places_may_still_be_perfect():
    assert at(2, [1, 2], 5)["ndcg"] == pytest.approx(1.0)


def test_no_trial_gives_no_row():
    assert measured([], np.array([], np.int64), 5).shape == (0, 6)


class TestIntervals:
    def test_the_bounds_hold_the_mean_about_as_often_as_they_say(self):
        rng = np.random.default_rng(5)
        held = 0
        for _ in range(200):
            user = np.arange(300)
            (interval,) = intervals((rng.random((300, 1)) < 0.3).astype(float), user, 7)
            held += interval.low <= 0.3 <= interval.high
        assert 180 <= held <= 199  # 95%, four standard deviations wide

    def test_trials_of_one_user_count_as_one_draw(self):
        values = np.repeat(np.array([0.0, 1.0] * 10), 50)[:, None]
        together = intervals(values, np.repeat(np.arange(20), 50), 7)[0]
        apart = intervals(values, np.arange(1_000), 7)[0]
        assert together.mean == apart.mean == 0.5
        assert together.high - together.low > 5 * (apart.high - apart.low)

    def test_a_constant_difference_is_certain(self):
        assert intervals(np.full((50, 1), 0.25), np.arange(50), 7)[0] == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("counts", "expected"), [([1, 1, 1, 1], 0.0), ([0, 0, 0, 4], 0.75), ([1, 3], 0.25), ([0, 0], 0.0)]
)
def test_gini(counts, expected):
    assert gini(np.array(counts, float)) == pytest.approx(expected)
