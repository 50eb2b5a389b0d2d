"""The split: in time, without a word of what comes later."""

import numpy as np

from models.ope.rounds import OTHER, split


def test_training_is_earlier_than_all_that_is_judged(a_log):
    log = a_log("abababab", [0.0] * 8, time_ms=np.array([70, 10, 60, 20, 50, 30, 40, 80]))
    halves = split(log, 0.5, 10)
    assert halves.train.rounds.time_ms.tolist() == [10, 20, 30, 40]
    assert halves.test.rounds.time_ms.tolist() == [50, 60, 70, 80]


def test_rounds_of_one_moment_stay_together_and_are_judged(a_log):
    log = a_log("abab", [0.0] * 4, time_ms=np.array([1, 2, 2, 3]))
    halves = split(log, 0.5, 10)
    assert (halves.train.rounds.n, halves.test.rounds.n) == (1, 3)


def test_what_is_gained_after_the_boundary_is_unknown_in_training(a_log):
    late = np.array([[0.0], [2_500.0], [2_000.0], [9_000.0]])
    halves = split(a_log("abab", [1.0] * 4, gained_ms=late), 0.5, 10)
    assert halves.train.rounds.reward.tolist() == [1.0, 0.0]
    assert halves.test.rounds.reward.tolist() == [1.0, 1.0]


def test_arms_are_those_shown_most_in_training(a_log):
    halves = split(a_log("abbcaaac", [0.0] * 8), 0.5, 1)
    assert halves.test.arms.ids == ("b",)
    assert halves.test.arms.features == ({"item=b": 1.0},)
    assert halves.train.rounds.arm.tolist() == [OTHER, 0, 0, OTHER]
    assert halves.test.rounds.arm.tolist() == [OTHER] * 4


def test_an_item_of_the_second_part_alone_is_no_arm(a_log):
    assert split(a_log("abac", [0.0] * 4), 0.5, 10).test.arms.ids == ("a", "b")


def test_affinities_follow_their_arms(a_log):
    affinity = np.arange(12.0).reshape(4, 3)
    halves = split(a_log("bcab", [0.0] * 4, affinity=affinity), 0.5, 10)
    assert halves.test.arms.ids == ("b", "c")
    assert halves.test.rounds.affinity.tolist() == [[7.0, 8.0], [10.0, 11.0]]


def test_without_training_all_is_judged(a_log):
    halves = split(a_log("abab", [1.0] * 4), 0.0, 10)
    assert (halves.train.rounds.n, halves.test.rounds.n, halves.test.arms.ids) == (0, 4, ("a", "b"))


def test_a_shuffled_future_changes_nothing_that_is_learned_from(bandit):
    log = bandit.drawn(400, 1)
    order = np.r_[np.arange(200), 200 + np.random.default_rng(2).permutation(200)]
    shuffled = log.rounds.where(order)._replace(time_ms=log.rounds.time_ms)
    first, other = (
        split(log, 0.5, 10).train.rounds,
        split(log._replace(rounds=shuffled), 0.5, 10).train.rounds,
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
