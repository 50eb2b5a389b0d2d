"""Policies are probabilities; those that learn find what there is to learn."""

import numpy as np
import pytest

from models.ope.policies import Learned, Popularity, Uniform
from models.ope.reward_model import RewardModel, RewardModelSettings, Scorer
from models.ope.rounds import split
from models.ope.weigh import weighed


def learned(train):
    model = RewardModel(train, RewardModelSettings())
    assert list(model.learn()) == list(range(1, train.rounds.n + 1))
    return model.scorer()


@pytest.fixture(scope="module")
def halves(bandit):
    return split(bandit.drawn(8_000, 3), 0.5, 10)


@pytest.fixture(scope="module")
def scorer(halves):
    return learned(halves.train)


class TestContract:
    @pytest.fixture(params=["uniform", "popularity", "best", "warm", "hot"])
    def policy(self, request, halves, scorer):
        made = {
            "uniform": lambda: Uniform(5),
            "popularity": lambda: Popularity(halves.train),
            "best": lambda: Learned(scorer, 0.0),
            "warm": lambda: Learned(scorer, 0.5),
            "hot": lambda: Learned(scorer, 50.0),
        }
        return made[request.param]()

    def test_chances_of_every_round_sum_to_one(self, policy, halves):
        chance = policy.probabilities(halves.test.rounds)
        assert chance.shape == (halves.test.rounds.n, 5)
        assert chance.min() >= 0.0
        assert chance.sum(axis=1) == pytest.approx(1.0)

    def test_neither_what_was_shown_nor_what_it_earned_is_looked_at(self, policy, halves):
        rounds = halves.test.rounds
        blind = rounds._replace(arm=0 * rounds.arm, gains=0 * rounds.gains, propensity=0 * rounds.propensity)
        assert np.array_equal(policy.probabilities(rounds), policy.probabilities(blind))

    def test_the_mean_weight_is_about_one(self, policy, halves):
        weight = weighed(policy, None, halves.test.rounds, 5).weight
        assert abs(weight.mean() - 1.0) < 4 * weight.std() / np.sqrt(len(weight))


class TestPopularity:
    def test_each_place_has_an_arm_of_its_own(self, a_log):
        arms, places = "aabb" * 20, np.array([0, 1, 0, 1] * 20)
        log = a_log(arms, [1.0, 0.0, 0.0, 1.0] * 20, position=places)
        assert Popularity(log).best.tolist() == [0, 1]

    def test_what_was_rarely_shown_is_not_outdone_by_what_was_shown_often(self, a_log):
        # b earns 1 of 2 each time it is shown, a 1 of 4; a is shown nine times as often
        arms, rewards = "a" * 720 + "b" * 80, [1.0, 0.0, 0.0, 0.0] * 180 + [1.0, 0.0] * 40
        propensity = np.array([0.9] * 720 + [0.1] * 80)
        assert Popularity(a_log(arms, rewards, propensity=propensity)).best.tolist() == [1]

    def test_one_lucky_round_is_no_proof(self, a_log):
        # a 20 of 50, b 1 of 1: (20 + 10 m) / 60 against (1 + 10 m) / 11 with m = 21 / 51
        log = a_log("a" * 50 + "b", [1.0] * 20 + [0.0] * 30 + [0.0])
        assert Popularity(log).best.tolist() == [0]

    def test_ties_go_to_the_lower_arm(self, a_log):
        assert Popularity(a_log("ba", [1.0, 1.0])).best.tolist() == [0]


class TestLearned:
    def test_temperature_one_chooses_by_odds(self, a_log):
        scorer = Scorer(np.log([2.0, 1.0, 1.0]), np.zeros((1, 3)), 0.0, 0.0, 1.0)
        rounds = a_log("ab", [0.0, 0.0]).rounds
        assert Learned(scorer, 1.0).probabilities(rounds)[0] == pytest.approx([0.5, 0.25, 0.25])
        # odds ** 2: 4, 1, 1
        assert Learned(scorer, 0.5).probabilities(rounds)[0] == pytest.approx([4 / 6, 1 / 6, 1 / 6])
        assert Learned(scorer, 0.0).probabilities(rounds)[0].tolist() == [1.0, 0.0, 0.0]

    def test_the_best_arm_of_each_context_is_worth_more_than_any_one_arm(self, bandit, halves, scorer):
        context = halves.test.rounds.context[:, 0]
        rate = bandit.rate[context]
        of = {
            policy: (policy.probabilities(halves.test.rounds) * rate).sum(axis=1).mean()
            for policy in (Learned(scorer, 0.0), Popularity(halves.train), Uniform(5))
        }
        best = bandit.rate.max(axis=1)[context].mean()
        of_learned, of_popularity, of_uniform = of.values()
        assert of_learned > of_popularity > of_uniform
        assert of_learned > best - 0.05


class TestRewardModel:
    def test_expected_rewards_come_near_the_truth(self, bandit, halves, scorer):
        context = halves.test.rounds.context[:, 0]
        error = scorer.expected(halves.test.rounds) - bandit.rate[context]
        assert np.abs(error).mean() < 0.06

    def test_tables_say_what_the_learner_says(self, bandit, halves):
        model = RewardModel(halves.train, RewardModelSettings())
        for _ in model.learn():
            pass
        x = {"item=c": 1.0, "context=2": 1.0, "context=2 and item=c": 1.0}
        rounds = halves.test.rounds
        row = int(np.flatnonzero(rounds.context[:, 0] == 2)[0])
        said = model.scorer().expected(rounds.where(slice(row, row + 1)))[0, 2]
        assert said == pytest.approx(model._learner.predict_proba_one(x)[True])

    def test_affinity_is_a_feature_of_its_own(self, a_log):
        rng = np.random.default_rng(5)
        affinity = rng.integers(0, 2, (2_000, 2)).astype(float)
        arm = rng.integers(0, 2, 2_000)
        liked = affinity[np.arange(2_000), arm]
        letters = "".join("ab"[each] for each in arm)
        scorer = learned(a_log(letters, (liked * (rng.random(2_000) < 0.5)).tolist(), affinity=affinity))
        assert scorer.affinity > 1.0

    def test_rewards_may_lie_outside_zero_to_one(self, a_log):
        log = a_log("ab" * 500, [5.0, -1.0] * 500)
        expected = learned(log).expected(log.rounds)[0]
        assert expected == pytest.approx([5.0, -1.0], abs=0.6)

    def test_without_any_reward_it_expects_next_to_nothing(self, a_log):
        log = a_log("ab" * 500, [0.0] * 1_000)
        assert learned(log).expected(log.rounds).max() < 0.001

    def test_items_that_are_no_arms_teach_nothing(self, a_log):
        halves = split(a_log("ab" * 50, [1.0, 0.0] * 50), 0.5, 1)
        assert halves.train.arms.ids == ("a",)
        assert not any("item=b" in name for name in _weights(halves.train))


def _weights(train):
    model = RewardModel(train, RewardModelSettings())
    for _ in model.learn():
        pass
    return model._learner.weights
