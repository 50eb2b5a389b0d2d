"""Every estimator against arithmetic by hand, and against a bandit whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ope.estimators import ESTIMATORS, Weighed, dm, dr, ips, snips
from models.ope.result import judge


def weighed(weight, reward, predicted, expected):
    return Weighed(*(np.array(column, float) for column in (weight, reward, predicted, expected)))


@pytest.fixture
def three_rounds():
    """The policy never shows what the third round showed."""
    return weighed([2.0, 0.5, 0.0], [1.0, 1.0, 1.0], [0.5, 0.25, 0.5], [0.4, 0.2, 0.6])


class TestByHand:
    def test_ips(self, three_rounds):
        assert ips(three_rounds).value == pytest.approx((2.0 + 0.5 + 0.0) / 3)

    def test_snips(self, three_rounds):
        assert snips(three_rounds).value == pytest.approx(2.5 / 2.5)

    def test_direct_method(self, three_rounds):
        assert dm(three_rounds).value == pytest.approx((0.4 + 0.2 + 0.6) / 3)

    def test_doubly_robust(self, three_rounds):
        # 0.4 + 2 (1 - 0.5) = 1.4;  0.2 + 0.5 (1 - 0.25) = 0.575;  0.6 + 0
        assert dr(three_rounds).value == pytest.approx((1.4 + 0.575 + 0.6) / 3)

    def test_clipping_bounds_the_weights_of_all_that_use_them(self, three_rounds):
        clipped = three_rounds.clipped(1.0)
        assert ips(clipped).value == pytest.approx(1.5 / 3)
        assert snips(clipped).value == pytest.approx(1.0)
        assert dr(clipped).value == pytest.approx((0.9 + 0.575 + 0.6) / 3)
        assert dm(clipped).value == dm(three_rounds).value

    def test_snips_has_no_value_without_any_weight(self):
        assert np.isnan(snips(weighed([0.0], [1.0], [0.0], [0.0])).value)


columns = st.lists(st.tuples(*(st.floats(0.0, 5.0) for _ in range(4))), min_size=1, max_size=20).map(
    lambda rows: weighed(*zip(*rows, strict=True))
)


class TestLaws:
    @given(columns)
    def test_without_a_model_doubly_robust_is_ips(self, rows):
        nothing = np.zeros(len(rows.weight))
        bare = rows._replace(predicted=nothing, expected=nothing)
        assert dr(bare).value == pytest.approx(ips(bare).value)

    @given(columns)
    def test_snips_stays_within_the_rewards(self, rows):
        if rows.weight.sum() > 1e-6:
            value = snips(rows).value
            assert rows.reward.min() - 1e-9 <= value <= rows.reward.max() + 1e-9

    @given(columns, st.floats(0.1, 10.0))
    def test_snips_does_not_mind_propensities_wrong_by_a_factor(self, rows, factor):
        if rows.weight.sum() > 1e-6:
            assert snips(rows._replace(weight=rows.weight * factor)).value == pytest.approx(snips(rows).value)

    @given(columns)
    def test_doubly_robust_with_a_perfect_model_has_no_use_for_weights(self, rows):
        assert dr(rows._replace(predicted=rows.reward)).value == pytest.approx(dm(rows).value)


def with_model(bandit, seed, rate):
    """500 logged rounds, weighed for the target policy, with ``rate`` (C, A) as the reward model."""
    rounds = bandit.drawn(500, seed).rounds
    context, arm = rounds.context[:, 0], rounds.arm
    return rounds, Weighed(
        bandit.target[context, arm] / rounds.propensity,
        rounds.reward,
        rate[context, arm],
        (bandit.target * rate).sum(axis=1)[context],
    )


N_LOGS = 300


@pytest.fixture(scope="module")
def estimates(bandit):
    """(logs, estimator) with a good model."""
    logs = (with_model(bandit, seed, bandit.rate)[1] for seed in range(N_LOGS))
    return np.array([[ESTIMATORS[name](rows).value for name in ("ips", "snips", "dr")] for rows in logs])


class TestOnABanditOfKnownTruth:
    def test_the_logging_policy_is_worth_something_else(self, bandit):
        assert abs((bandit.logging * bandit.rate).sum(axis=1).mean() - bandit.truth) > 0.1

    def test_none_is_biased(self, bandit, estimates):
        error = estimates.std(axis=0, ddof=1) / np.sqrt(N_LOGS)
        assert np.all(np.abs(estimates.mean(axis=0) - bandit.truth) < 4 * error)

    def test_doubly_robust_varies_less_than_ips_with_a_good_model(self, estimates):
        of_ips, of_snips, of_dr = estimates.std(axis=0)
        assert of_dr < of_ips
        assert of_snips < of_ips

    def test_doubly_robust_is_unbiased_with_a_model_that_is_wrong_where_the_direct_method_is_not(
        self, bandit
    ):
        wrong = np.full_like(bandit.rate, 0.9)
        logs = [with_model(bandit, seed, wrong)[1] for seed in range(N_LOGS)]
        found = np.array([dr(rows).value for rows in logs])
        assert abs(found.mean() - bandit.truth) < 4 * found.std(ddof=1) / np.sqrt(N_LOGS)
        assert dm(logs[0]).value == pytest.approx(0.9)

    def test_intervals_hold_the_truth_about_as_often_as_they_say(self, bandit):
        held = np.zeros(3)
        n_logs = 150
        for seed in range(n_logs):
            rounds, rows = with_model(bandit, 1_000 + seed, bandit.rate)
            judged = judge(rounds, {"target": rows}, ["ips", "snips", "dr"], None, seed)
            values = [estimate.value for estimate in judged.policies[0].estimates]
            held += [value.low <= bandit.truth <= value.high for value in values]
        # 95% of 150 is 142.5, with a standard deviation of 2.7
        assert np.all(held >= 131)
        assert np.all(held <= 150)
        assert held.sum() < 450
