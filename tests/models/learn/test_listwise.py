from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.estimator import added
from models.learn.groups import Groups
from models.learn.judge import judge
from models.learn.listwise import Listwise

Lists = Callable[..., Groups]
Toy = Callable[..., Groups]

RATE = 0.1
FIRST = np.array([0.5, -0.25, 0.0], np.float32)
CHANCES = [1.0, 0.5, 0.25, 0.5, 0.125, 1.0]


def probabilities(rows: np.ndarray, w: np.ndarray) -> np.ndarray:
    odds = np.exp(rows @ w)
    return odds / odds.sum()


class Case(NamedTuple):
    """What a list may be, and the marks that tell it; losses as the docstring of ``Listwise`` states them."""

    loss: Callable[[np.ndarray, np.ndarray, int, float, float], float]
    """Of rows (n, F), weights (F,), target, weight of the outcome, and the log worth of choosing nothing."""
    learned: int = 0
    seen: int = 0
    sign: float = 1.0
    has_target: bool = True


def chose(rows: np.ndarray, w: np.ndarray, target: int, weight: float, log_nothing: float) -> float:
    odds = np.array(CHANCES[: len(rows)]) * np.exp(rows @ w)
    return float(weight * -np.log(odds[target] / (np.exp(log_nothing) + odds.sum())))


def chose_nothing(rows: np.ndarray, w: np.ndarray, target: int, weight: float, log_nothing: float) -> float:
    odds = np.array(CHANCES[: len(rows)]) * np.exp(rows @ w)
    return float(-np.log(np.exp(log_nothing) / (np.exp(log_nothing) + odds.sum())))


def dismissed(rows: np.ndarray, w: np.ndarray, target: int, weight: float, log_nothing: float) -> float:
    return float(weight * -np.log(probabilities(rows, -w)[target]))


CASES = {
    "chosen, no more known": Case(lambda x, w, t, a, _: chose(x, w, t, a, -np.inf)),
    "shown": Case(lambda x, w, t, _, o: chose_nothing(x, w, t, 1.0, o), seen=1, has_target=False),
    "chosen after it was shown": Case(
        lambda x, w, t, a, o: chose(x, w, t, a, o) - chose_nothing(x, w, t, 1.0, o), learned=1, seen=1
    ),
    "more of what was chosen": Case(chose, seen=1),
    "dismissed": Case(dismissed, sign=-1.0),
    "dismissed after it was shown": Case(dismissed, learned=1, seen=1, sign=-1.0),
}

eighth = st.integers(-16, 16).map(lambda n: n / 8.0)
rows = st.lists(st.lists(eighth, min_size=3, max_size=3), min_size=2, max_size=6)


@pytest.mark.parametrize("name", CASES)
@given(rows, st.lists(eighth, min_size=3, max_size=3), st.sampled_from([1.0, 0.25, 5.0]), eighth, st.data())
@settings(max_examples=60, deadline=None)
def test_a_step_follows_the_slope_of_the_stated_loss(
    lists: Lists,
    name: str,
    rows: list[list[float]],
    w: list[float],
    weight: float,
    log_nothing: float,
    data: st.DataObject,
) -> None:
    case = CASES[name]
    target = data.draw(st.integers(0, len(rows) - 1))
    outcome = (rows, target if case.has_target else -1, case.sign * weight if case.has_target else 1.0)
    before = np.array(w)
    learner = Listwise(before.astype(np.float32), RATE)
    learner.load({"weights": before, "squares": np.ones(3), "nothing": np.array([log_nothing, 1.0, 1_000.0])})
    learner.learn(lists(outcome, learned=[case.learned], seen=[case.seen], chances=CHANCES[: len(rows)]))

    def loss(moved: np.ndarray, more: float = 0.0) -> float:
        return case.loss(np.array(rows), moved, target, weight, log_nothing + more)

    steps = 1e-5 * np.eye(3)
    slope = np.array([(loss(before + step) - loss(before - step)) / 2e-5 for step in steps])
    # AdaGrad: squares 1 + slope², weights less rate * slope / root of that.
    after = learner.parameters()
    assert after["squares"] == pytest.approx(1.0 + slope**2, rel=1e-3, abs=1e-3)
    assert after["weights"] == pytest.approx(before - RATE * slope / np.sqrt(1.0 + slope**2), abs=1e-4)
    if weight == 1.0 and (case.learned or not case.has_target) and case.sign > 0.0:
        # So does the worth of choosing nothing, at a rate of 1.
        slope_of_nothing = (loss(before, 1e-5) - loss(before, -1e-5)) / 2e-5
        expected = log_nothing - slope_of_nothing / np.sqrt(1.0 + slope_of_nothing**2)
        assert after["nothing"][0] == pytest.approx(expected, abs=1e-4)


def test_one_step_by_hand(lists: Lists) -> None:
    learner = Listwise(np.zeros(1, np.float32), rate=0.5)
    learner.learn(lists(([[1.0], [0.0]], 0, 1.0)))
    # P = 1/2 each: slope = 0.5 - 1 = -0.5, squares = 1.25, step = 0.5 * 0.5 / sqrt(1.25)
    assert learner.weights.tolist() == pytest.approx([0.25 / sqrt(1.25)])
    assert learner.spread().tolist() == pytest.approx([1.0 / sqrt(1.25)])


def test_a_dismissal_moves_the_other_way(lists: Lists) -> None:
    learner = Listwise(np.zeros(1, np.float32), rate=0.5)
    learner.learn(lists(([[1.0], [0.0]], 0, -1.0)))
    # -log P by -w at P = 1/2: slope +0.5
    assert learner.weights.tolist() == pytest.approx([-0.25 / sqrt(1.25)])


@pytest.mark.parametrize("held", [5.0, 15.0, 40.0])
def test_the_dismissal_of_what_was_held_for_sure_teaches_all_the_more(lists: Lists, held: float) -> None:
    learner = Listwise(np.full(1, held, np.float32), rate=0.5)
    learner.learn(lists(([[1.0], [0.0], [0.0]], 0, -1.0)))
    # By -w it is chosen with less than one percent, and the others lie 1 away: slope 1, step 0.5 / sqrt(2)
    assert held - float(learner.weights[0]) == pytest.approx(0.5 / sqrt(2.0), rel=0.02)


def test_the_pull_is_towards_the_first_weights(lists: Lists) -> None:
    equal = lists(([[0.5, 0.5, 0.5]] * 2, 0, 1.0))  # has no slope of its own
    learner = Listwise(FIRST, rate=0.5, l2=0.1)
    learner.load(
        {"weights": FIRST + np.array([1.0, -1.0, 0.0]), "squares": np.ones(3), "nothing": np.zeros(3)}
    )
    learner.learn(equal)
    # slope = 0.1 * (±1): squares 1.01, step 0.05 / sqrt(1.01)
    step = 0.05 / sqrt(1.01)
    assert (learner.weights - FIRST).tolist() == pytest.approx([1.0 - step, step - 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "target", "weight"),
    [([[1.0, 0.0, 0.0], [0.0] * 3], -1, 1.0), ([[1.0, 0.0, 0.0]], 0, 1.0), ([[1.0] * 3, [0.0] * 3], 0, 0.0)],
)
def test_lists_of_which_nothing_is_known_teach_nothing(
    lists: Lists, rows: list[list[float]], target: int, weight: float
) -> None:
    learner = Listwise(FIRST, RATE, l2=0.5)
    before = {"weights": FIRST + 1.0, "squares": np.full(3, 2.0), "nothing": np.array([1.0, 2.0, 100.0])}
    learner.load(before)
    learner.learn(lists((rows, target, weight)))
    assert all((learner.parameters()[name] == before[name]).all() for name in before)


SHOWN = ([[1.0], [0.0]], -1, 1.0)
CLICKED = ([[1.0], [0.0]], 0, 1.0)


class TestChoosingNothing:
    @pytest.mark.parametrize("weight", [0.0, 1.0])
    def test_is_worth_the_same_at_first_whatever_list_comes_first(self, lists: Lists, weight: float) -> None:
        learner = Listwise(np.full(1, weight, np.float32), RATE)
        learner.learn(lists(SHOWN, seen=[1]))
        # Candidates of worth e^w and 1 against e^6: taken = (e^w + 1) / (e^w + 1 + e^6) is the slope.
        taken = (np.exp(weight) + 1.0) / (np.exp(weight) + 1.0 + np.exp(6.0))
        assert learner.parameters()["nothing"].tolist() == pytest.approx(
            [6.0 + taken / sqrt(1.0 + taken**2), 1.0 + taken**2, 1.0], abs=1e-6
        )

    def test_seen_lists_teach_no_weights_before_enough_were_seen_to_tell_its_worth(
        self, lists: Lists
    ) -> None:
        learner = Listwise(np.zeros(1, np.float32), RATE)
        learner.learn(lists(*([SHOWN] * 49), CLICKED, seen=[1] * 50, learned=[0] * 49 + [1]))
        assert learner.weights.tolist() == [0.0]
        learner.learn(lists(SHOWN, seen=[1]))
        assert learner.weights[0] < 0.0

    def test_comes_to_its_share_of_the_lists(self, lists: Lists) -> None:
        learner = Listwise(np.zeros(1, np.float32), rate=1e-9)
        rng = np.random.default_rng(1)
        for _ in range(4_000):
            learner.learn(lists(SHOWN, seen=[1]))
            if rng.random() < 0.1:
                learner.learn(lists(CLICKED, seen=[1], learned=[1]))
        worth = np.exp(learner.parameters()["nothing"][0])
        # One list in ten is clicked: o / (o + 2) = 0.9
        assert worth / (worth + 2.0) == pytest.approx(0.9, abs=0.03)

    def test_slates_that_nobody_takes_from_teach_what_people_do_not_want(self, lists: Lists) -> None:
        learner = Listwise(np.zeros(2, np.float32), rate=0.1)
        dull, good = [[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3
        for _ in range(300):
            learner.learn(
                lists((dull, -1, 1.0), (good, -1, 1.0), (good, 1, 1.0), seen=[1] * 3, learned=[0, 0, 1])
            )
        assert learner.weights[1] - learner.weights[0] > 1.0

    def test_a_shop_that_never_tells_what_was_shown_teaches_by_its_choices(self, lists: Lists) -> None:
        learner = Listwise(np.zeros(1, np.float32), RATE)
        learner.learn(lists(CLICKED, chances=[1.0, 0.5]))
        # P = 1 / (1 + 1/2): slope 2/3 - 1 = -1/3
        assert learner.weights.tolist() == pytest.approx([RATE / 3.0 / sqrt(1.0 + 1.0 / 9.0)])
        assert learner.parameters()["nothing"].tolist() == [6.0, 1.0, 0.0]  # as at the start


def test_the_loss_falls_to_that_of_the_truth(toy: Toy) -> None:
    fresh, held_out = toy(4_000), toy(2_000, seed=2)
    learner = Listwise(np.zeros(5, np.float32), rate=0.5)
    before = float(judge(held_out, learner.weights).loss.mean())
    learner.learn(fresh)
    after = float(judge(held_out, learner.weights).loss.mean())
    truth = float(judge(held_out, np.array([3, -2, 1, 0, 0], np.float32)).loss.mean())
    assert before == pytest.approx(np.log(8.0), abs=1e-4)  # eight alike
    assert after < truth + 0.01
    assert learner.weights == pytest.approx([3.0, -2.0, 1.0, 0.0, 0.0], abs=0.25)


def test_dismissals_alone_lower_what_was_dismissed(lists: Lists) -> None:
    learner = Listwise(np.zeros(2, np.float32), rate=0.5)
    for _ in range(200):
        learner.learn(lists(([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 0, -1.0)))
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]) @ learner.weights
    assert scores[0] < scores[2] < scores[1]
    assert probabilities(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), learner.weights)[0] < 0.05


@given(st.sets(st.integers(1, 29)))
@settings(max_examples=30, deadline=None)
def test_any_split_of_the_lists_teaches_the_same(toy: Toy, cuts: set[int]) -> None:
    stream = toy(30, seed=3)
    whole, parts = (
        Listwise(np.zeros(5, np.float32), RATE, 0.01),
        Listwise(np.zeros(5, np.float32), RATE, 0.01),
    )
    whole.learn(stream)
    for start, end in pairwise([0, *sorted(cuts), 30]):
        parts.learn(stream.of(slice(start, end)))
    for name, values in whole.parameters().items():
        assert values.tobytes() == parts.parameters()[name].tobytes()


def test_parameters_are_a_copy_and_go_on_elsewhere(toy: Toy) -> None:
    one, other = Listwise(np.zeros(5, np.float32), RATE), Listwise(np.zeros(5, np.float32), RATE)
    one.learn(toy(50))
    kept = one.parameters()
    other.load(kept)
    one.learn(toy(50, seed=2))
    assert (kept["weights"] != one.parameters()["weights"]).any()
    other.learn(toy(50, seed=2))
    for name, values in one.parameters().items():
        assert values.tobytes() == other.parameters()[name].tobytes()


def test_what_two_learned_adds_up_in_either_order(toy: Toy) -> None:
    base = Listwise(np.zeros(5, np.float32), RATE)
    base.learn(toy(100))
    steps = []
    for seed in (5, 6):
        learner = Listwise(np.zeros(5, np.float32), RATE)
        learner.load(base.parameters())
        learner.learn(toy(50, seed=seed))
        steps.append(added(learner.parameters(), base.parameters(), -1.0))
    there = added(added(base.parameters(), steps[0]), steps[1])
    back = added(added(base.parameters(), steps[1]), steps[0])
    assert all(there[name] == pytest.approx(back[name], rel=1e-12) for name in there)
    # Squares are sums over all lists, so that together they are larger than with either.
    assert (there["squares"] > added(base.parameters(), steps[0])["squares"]).all()
    held_out = toy(1_000, seed=7)
    both = Listwise(np.zeros(5, np.float32), RATE)
    both.load(there)
    assert judge(held_out, both.weights).loss.mean() < judge(held_out, base.weights).loss.mean()


def test_squares_never_fall_below_those_of_the_start() -> None:
    learner = Listwise(FIRST, RATE)
    squares, nothing = np.array([-3.0, 0.0, 4.0]), np.array([-5.0, -2.0, 9.0])
    learner.load({"weights": np.zeros(3), "squares": squares, "nothing": nothing})
    assert learner.parameters()["squares"].tolist() == [1.0, 1.0, 4.0]
    assert learner.parameters()["nothing"].tolist() == [-5.0, 1.0, 9.0]


def test_added_takes_what_only_one_names_for_0() -> None:
    a, b = {"x": np.array([1.0, 2.0])}, {"x": np.array([3.0, 5.0]), "y": np.array([7.0])}
    assert {name: v.tolist() for name, v in added(a, b, -1.0).items()} == {"x": [-2.0, -3.0], "y": [-7.0]}
    assert a["x"].tolist() == [1.0, 2.0]
