from collections.abc import Callable
from itertools import pairwise
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.estimator import score
from models.learn.groups import Groups
from models.learn.of_river import OPTIMIZERS, OfRiver

Lists = Callable[..., Groups]
Toy = Callable[..., Groups]

NAMES = ["a", "b", "c", "d", "e"]
each = pytest.mark.parametrize("name", sorted(OPTIMIZERS))


def made(name: str, first: list[float] | None = None, negatives: int = 3) -> OfRiver:
    return OfRiver(name, np.array(first or [0.0] * 5, np.float32), NAMES, negatives)


def same(one: OfRiver, other: OfRiver) -> bool:
    theirs = other.parameters()
    return all(values.tobytes() == theirs[name].tobytes() for name, values in one.parameters().items())


feature = st.just(0.0) | st.integers(-16, 16).map(lambda n: n / 8.0)
row = st.lists(feature, min_size=5, max_size=5)
one_list = st.lists(row, min_size=1, max_size=5).flatmap(
    lambda rows: st.tuples(
        st.just(rows), st.integers(-1, len(rows) - 1), st.sampled_from([1.0, 5.0, 0.5, -1.0])
    )
)


@each
@given(st.lists(st.tuples(one_list, st.booleans()), min_size=1, max_size=6), row)
@settings(max_examples=60, deadline=None)
def test_weights_score_as_the_model_of_river_does(
    lists: Lists, name: str, given_lists: list[tuple], first: list[float]
) -> None:
    learner = made(name, first)
    learner.learn(
        lists(*(each for each, _ in given_lists), learned=[int(learned) for _, learned in given_lists])
    )
    for rows, _, _ in (each for each, _ in given_lists):
        for values in rows:
            raw = float(score(np.array([values], np.float32), learner.weights)[0])
            theirs = learner._model.predict_proba_one(dict(zip(NAMES, values, strict=True)))[True]
            assert 1.0 / (1.0 + exp(-raw)) == pytest.approx(theirs, abs=1e-6)


@each
def test_it_starts_from_the_first_weights(name: str) -> None:
    first = [1.0, 0.1, -0.5, 0.0, 2.0]
    assert made(name, first).weights.tolist() == pytest.approx(first)


@each
def test_it_tells_the_wanted_from_the_others(toy: Toy, name: str) -> None:
    learner = made(name)
    learner.learn(toy(1_500))
    a, b, c, d, e = learner.weights.tolist()  # the truth is 3, -2, 1, 0, 0
    assert a > c > max(abs(d), abs(e))
    assert b < -c


@each
def test_loaded_elsewhere_it_goes_on_alike(toy: Toy, name: str) -> None:
    one, other = made(name), made(name)
    one.learn(toy(40))
    other.load(one.parameters())
    assert one.weights.tolist() == other.weights.tolist()
    one.learn(toy(40, seed=2))
    other.learn(toy(40, seed=2))
    assert same(one, other)


@each
@given(st.sets(st.integers(1, 11)))
@settings(max_examples=10, deadline=None)
def test_any_split_of_the_lists_teaches_the_same(toy: Toy, name: str, cuts: set[int]) -> None:
    stream = toy(12, seed=3)
    whole, parts = made(name), made(name)
    whole.learn(stream)
    for start, end in pairwise([0, *sorted(cuts), 12]):
        parts.learn(stream.of(slice(start, end)))
    assert same(whole, parts)


def test_a_step_of_gradient_descent_by_hand(lists: Lists) -> None:
    learner = made("sgd")
    learner.learn(lists(([[0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]], 1, 2.0)))
    # Both start at P = 1/2: the other one steps by -0.01 / 2, the wanted one by 0.01 * 2 / 2.
    assert learner.weights.tolist() == pytest.approx([0.01, 0.0, -0.005, 0.0, 0.0])


def test_a_step_of_ftrl_by_hand(lists: Lists) -> None:
    learner = made("ftrl")
    learner.learn(lists(([[1.0, 0.0, 0.0, 0.0, 0.0]], 0, 1.0)))
    # Gradient -1/2 at w = 0: z = -0.5, n = 0.25, w = 0.5 * 0.1 / (1 + 0.5)
    assert learner.weights.tolist() == pytest.approx([0.05 / 1.5, 0.0, 0.0, 0.0, 0.0])
    assert learner.spread().tolist() == pytest.approx([1.0 / sqrt(1.25), 1.0, 1.0, 1.0, 1.0])


def test_spread_is_0_where_the_optimizer_keeps_no_squares(toy: Toy) -> None:
    learner = made("sgd")
    learner.learn(toy(5))
    assert learner.spread().tolist() == [0.0] * 5


def one_hot(n: int) -> list[list[float]]:
    return np.eye(5)[:n].tolist()


def test_what_counts_less_than_a_view_counts_as_little_against_the_others(lists: Lists) -> None:
    learner = made("sgd")
    learner.learn(lists((one_hot(2), 0, 0.25)))
    # 0.01 * 0.25 / 2 either way
    assert learner.weights.tolist() == pytest.approx([0.00125, -0.00125, 0.0, 0.0, 0.0])


def test_negatives_are_spread_over_the_list(lists: Lists) -> None:
    learner = made("sgd", negatives=2)
    learner.learn(lists((one_hot(5), 0, 1.0)))
    # Of the four others every second: places 1 and 3.
    assert np.sign(learner.weights).tolist() == [1.0, -1.0, 0.0, -1.0, 0.0]


def test_a_list_that_was_shown_is_not_wanted(lists: Lists) -> None:
    learner = made("sgd", negatives=3)
    learner.learn(lists((one_hot(4), -1, 1.0)))
    assert learner.weights.tolist() == pytest.approx([-0.005, -0.005, -0.005, 0.0, 0.0])


def test_what_was_wrongly_taken_as_not_wanted_is_taken_back(lists: Lists) -> None:
    shown, chosen = lists((one_hot(3), -1, 1.0)), lists((one_hot(3), 1, 1.0), learned=[1])
    learner = made("sgd", negatives=3)
    learner.learn(shown)
    learner.learn(chosen)
    a, b, c, *_ = learner.weights.tolist()
    # The others stay as they were. The -0.005 is taken back but for the slope's change, then 0.005 is learned.
    assert (a, c) == pytest.approx((-0.005, -0.005))
    assert b == pytest.approx(0.005, abs=1e-4)


def test_nothing_is_taken_back_of_what_was_never_learned(lists: Lists) -> None:
    shown, chosen = lists((one_hot(4), -1, 1.0)), lists((one_hot(4), 3, 1.0), learned=[1])
    learner = made("sgd", negatives=2)  # places 0 and 2 of four
    learner.learn(shown)
    learner.learn(chosen)
    assert learner.weights.tolist() == pytest.approx([-0.005, 0.0, -0.005, 0.005, 0.0])


def test_a_dismissal_is_not_wanted(lists: Lists) -> None:
    learner = made("sgd")
    learner.learn(lists((one_hot(1), 0, -1.0)))
    assert learner.weights[0] == pytest.approx(-0.005)


@each
def test_lists_of_nothing_teach_nothing(lists: Lists, name: str) -> None:
    learner, untouched = made(name, [0.5] * 5), made(name, [0.5] * 5)
    learner.learn(lists(k=3, f=5))
    learner.learn(lists(([], -1, 1.0), k=3, f=5))
    assert same(learner, untouched)


def test_a_choice_from_a_place_seldom_looked_at_counts_by_the_inverse(lists: Lists) -> None:
    learner = made("sgd")
    learner.learn(lists((one_hot(2), 1, 1.0), chances=[1.0, 0.25]))
    # 0.01 * 4 / 2 for the choice; the other counts no more than a view.
    assert learner.weights.tolist() == pytest.approx([-0.005, 0.02, 0.0, 0.0, 0.0])
