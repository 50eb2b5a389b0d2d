from collections.abc import Callable

import numpy as np
import pytest

from models.kinds import Kind
from models.learn.examination import Examination
from models.learn.groups import SCALE, Groups

Lists = Callable[..., Groups]

N_PLACES = 6
TRUTH = 1.0 / (1.0 + np.arange(N_PLACES))
"""How likely each place is looked at."""
WEIGHTS = np.array([1.0, -0.5], np.float32)


def choices(n: int, weights: np.ndarray, seed: int = 1) -> Groups:
    """One item of each list is chosen by its worth times the chance that its place is looked at.

    The order varies: scores that are seen through noise.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, N_PLACES, 2))
    order = np.argsort(rng.gumbel(size=(n, N_PLACES)) - x @ weights, axis=1)
    x = np.take_along_axis(x, order[:, :, None], axis=1)
    odds = np.exp(x @ weights) * TRUTH
    chosen = (odds.cumsum(axis=1) < rng.random(n)[:, None] * odds.sum(axis=1, keepdims=True)).sum(axis=1)
    return Groups(
        np.round(x / SCALE).astype(np.int16),
        np.full(n, N_PLACES, np.int32),
        chosen.astype(np.int32),
        np.ones(n, np.float32),
        np.zeros(n, np.uint8),
        np.ones(n, np.uint8),
        np.ones(n, np.uint8),
        np.ones((n, N_PLACES), np.float32),
        np.full(n, Kind.CLICK, np.uint8),
    )


def test_before_any_choice_all_places_are_alike() -> None:
    assert Examination(4, (), 10.0).chances.tolist() == [1.0] * 4


def test_given_chances_are_kept_against_the_first_and_the_last_one_goes_on() -> None:
    known = Examination(5, (0.8, 0.4, 0.2), 10.0)
    assert known.chances.tolist() == pytest.approx([1.0, 0.5, 0.25, 0.25, 0.25])
    known.learn(choices(200, WEIGHTS)._replace(n=np.full(200, 5, np.int32)), WEIGHTS)
    assert known.chances.tolist() == pytest.approx([1.0, 0.5, 0.25, 0.25, 0.25])


def test_more_chances_than_places_are_cut() -> None:
    assert Examination(2, (1.0, 0.5, 0.25), 10.0).chances.tolist() == pytest.approx([1.0, 0.5])


def test_chances_are_at_least_one_over_the_greatest_weight() -> None:
    chances = Examination(4, (1.0, 0.5, 0.25, 0.0), 3.0).chances
    assert chances.dtype == np.float32
    assert chances.tolist() == pytest.approx([1.0, 0.5, 1.0 / 3.0, 1.0 / 3.0])


@pytest.mark.parametrize("weights", [np.zeros(2, np.float32), WEIGHTS])
def test_learned_chances_come_close_to_the_truth(weights: np.ndarray) -> None:
    learned = Examination(N_PLACES, (), 10.0)
    learned.learn(choices(20_000, weights), weights)
    # 1, 1/2, 1/3, 1/4, 1/5, 1/6
    assert learned.chances == pytest.approx(TRUTH, rel=0.15)


def test_a_scorer_that_knows_nothing_takes_worth_for_place() -> None:
    """The order follows the worth, so that without it the first places look better than they are."""
    blind, seeing = Examination(N_PLACES, (), 10.0), Examination(N_PLACES, (), 10.0)
    strong = np.array([2.0, -2.0], np.float32)
    log = choices(10_000, strong)
    blind.learn(log, np.zeros(2, np.float32))
    seeing.learn(log, strong)
    assert np.abs(seeing.chances - TRUTH).sum() < np.abs(blind.chances - TRUTH).sum()


@pytest.mark.parametrize(("target", "weight"), [(-1, 1.0), (1, -1.0), (1, 0.0)])
def test_only_choices_teach(lists: Lists, target: int, weight: float) -> None:
    learned = Examination(3, (), 10.0)
    learned.learn(lists(([[1.0], [0.0], [0.0]], target, weight)), np.ones(1, np.float32))
    assert learned.chances.tolist() == [1.0] * 3


def test_one_step_by_hand(lists: Lists) -> None:
    learned = Examination(3, (), 10.0)
    learned.learn(lists(([[0.0], [0.0]], 1, 1.0)), np.ones(1, np.float32))
    # Of two places alike: slopes 1/2 and -1/2, squares 5/4, steps 0.1 * 0.5 / sqrt(1.25); the third is not touched.
    step = 0.05 / np.sqrt(1.25)
    assert learned.chances.tolist() == pytest.approx([1.0, np.exp(2.0 * step), np.exp(step)])


def test_the_choice_of_what_seemed_worthless_counts_ten_times_at_most(lists: Lists) -> None:
    learned = Examination(2, (), 10.0)
    learned.learn(lists(([[3.0], [-3.0]], 1, 1.0)), np.full(1, 50.0, np.float32))
    # Slopes 10/2: squares 26, steps 0.1 * 5 / sqrt(26)
    assert learned.chances[1] == pytest.approx(np.exp(2.0 * 0.5 / np.sqrt(26.0)))
