"""Intervals by unit, what is told of the support, and the policy that ran."""

import numpy as np
import pytest

from models.ope.estimators import Weighed
from models.ope.policies import Uniform
from models.ope.result import LOGGED, judge
from models.ope.rounds import OTHER
from models.ope.support import FEW_REWARDED, FEW_ROUNDS
from models.ope.weigh import as_logged, weighed


def rows(weight, reward):
    nothing = np.zeros(len(weight))
    return Weighed(np.array(weight, float), np.array(reward, float), nothing, nothing)


def judged(log, weight, clip=None, estimators=("ips", "snips")):
    return judge(log.rounds, {"p": rows(weight, log.rounds.reward)}, estimators, clip, 7).policies[0]


class TestIntervals:
    def test_the_policy_that_ran_is_worth_what_it_earned_by_every_estimator(self, a_log):
        log = a_log("ab" * 100, [1.0, 0.0, 0.0, 0.0] * 50)
        found = judge(log.rounds, {LOGGED: as_logged(None, log.rounds, 2)}, ["ips", "snips", "dr"], None, 7)
        assert found.on_policy.mean == 0.25
        assert {estimate.value for estimate in found.policies[0].estimates} == {found.on_policy}
        assert all(estimate.gain == (0.0, 0.0, 0.0) for estimate in found.policies[0].estimates)
        assert found.policies[0].warnings == []

    def test_rounds_of_one_user_count_as_one_draw(self, a_log):
        rewards = [float(n // 50 % 2) for n in range(1_000)]
        apart = judged(a_log("a" * 1_000, rewards), [1.0] * 1_000).estimates[0].value
        users = a_log("a" * 1_000, rewards, unit=np.arange(1_000) // 50)
        together = judged(users, [1.0] * 1_000).estimates[0].value
        assert apart.mean == together.mean == 0.5
        assert together.high - together.low > 5 * (apart.high - apart.low)

    def test_the_same_seed_gives_the_same_bounds(self, a_log):
        log = a_log("ab" * 50, [1.0, 0.0] * 50)
        assert judged(log, [2.0, 0.5] * 50) == judged(log, [2.0, 0.5] * 50)

    def test_a_gain_is_paired_with_the_policy_that_ran(self, a_log):
        log = a_log("a" * 200, [1.0, 0.0] * 100)
        (ips, _) = judged(log, [1.1] * 200).estimates
        # 0.55 less 0.5, and a tenth of the spread of either
        assert ips.gain.mean == pytest.approx(0.05)
        assert ips.gain.high - ips.gain.low == pytest.approx((ips.value.high - ips.value.low) / 11, rel=1e-6)


class TestSupport:
    def test_effective_rounds_and_the_heaviest(self, a_log):
        found = judged(a_log("abab", [1.0, 1.0, 0.0, 0.0]), [3.0, 1.0, 0.0, 0.0]).support
        assert found.effective_rounds == pytest.approx((3 + 1) ** 2 / (9 + 1))
        assert (found.max_weight, found.max_share, found.n_matched, found.n_rewarded) == (3.0, 0.75, 2, 2)

    def test_mean_weight_and_largest_are_those_before_clipping(self, a_log):
        found = judged(a_log("abab", [1.0] * 4), [3.0, 1.0, 0.0, 0.0], clip=2.0).support
        assert (found.mean_weight.mean, found.max_weight, found.n_clipped) == (1.0, 3.0, 1)

    def test_plenty_of_support_warns_of_nothing(self, a_log):
        n = 400
        found = judged(a_log("ab" * (n // 2), [1.0] * n), [1.1, 0.9] * (n // 2))
        assert found.support.effective_rounds > FEW_ROUNDS
        assert (found.thin, found.warnings) == (False, [])

    def test_what_the_log_could_not_show_is_told_by_the_mean_weight(self, a_log):
        found = judged(a_log("ab" * 500, [1.0] * 1_000), [0.4, 0.0] * 500)
        assert "the mean weight is 0.20 instead of 1, about 80%" in found.warnings[0]

    def test_propensities_that_are_too_small_are_told_by_it_too(self, a_log):
        found = judged(a_log("ab" * 500, [1.0] * 1_000), [2.0, 2.0] * 500)
        assert "propensities of the log are too small" in found.warnings[0]

    def test_a_policy_that_never_agrees_has_no_value(self, a_log):
        found = judged(a_log("ab" * 5, [1.0] * 10), [0.0] * 10)
        assert [estimate.value is None for estimate in found.estimates] == [False, True]
        assert found.thin
        assert "no evidence" in found.warnings[0]

    def test_few_rewards_are_thin(self, a_log):
        n = 1_000
        rewards = [1.0] * (FEW_REWARDED - 1) + [0.0] * (n - FEW_REWARDED + 1)
        found = judged(a_log("a" * n, rewards), [1.0] * n)
        assert found.thin
        assert "only 9 of its rounds" in found.warnings[0]

    def test_where_nothing_was_earned_the_bound_is_that_of_the_rule_of_three(self, a_log):
        log = a_log("ab" * 150, [0.0, 2.0] * 150)
        found = judged(log, [2.0, 0.0] * 150)
        # 150 rounds without a reward: at most 3 / 150, times the largest reward of 2
        assert found.estimates[0].value == pytest.approx((0.0, 0.0, 0.04))
        assert "rule of three" in found.warnings[0]

    def test_one_round_with_much_of_the_weight_is_told(self, a_log):
        found = judged(a_log("a" * 1_000, [1.0] * 1_000), [200.0] + [0.8] * 999)
        assert any("one round has 20% of all weight" in each for each in found.warnings)

    def test_clipping_is_told(self, a_log):
        found = judged(a_log("ab" * 500, [1.0] * 1_000), [1.5, 0.5] * 500, clip=1.2)
        assert any("500 weights were clipped" in each for each in found.warnings)


def test_an_item_that_is_no_arm_has_no_weight(a_log):
    log = a_log("ab", [1.0, 1.0])
    rounds = log.rounds._replace(arm=np.array([0, OTHER]))
    assert weighed(Uniform(2), None, rounds, 2).weight.tolist() == [1.0, 0.0]
