from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.value.shapley import left_out_matrix, shapley_matrix

games = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.floats(-1.0, 1.0), min_size=1 << n, max_size=1 << n).map(np.array)
)


@given(games)
def test_values_are_what_each_adds_averaged_over_all_orders(worth: np.ndarray) -> None:
    n = len(worth).bit_length() - 1
    expected, orders = np.zeros(n), list(permutations(range(n)))
    for order in orders:
        coalition = 0
        for player in order:
            expected[player] += (worth[coalition | 1 << player] - worth[coalition]) / len(orders)
            coalition |= 1 << player
    np.testing.assert_allclose(shapley_matrix(n) @ worth, expected, atol=1e-12)


@given(games)
def test_values_add_up_to_what_all_are_worth_more_than_nobody(worth: np.ndarray) -> None:
    n = len(worth).bit_length() - 1
    assert (shapley_matrix(n) @ worth).sum() == pytest.approx(worth[-1] - worth[0], abs=1e-12)


def test_alike_players_share_and_idle_ones_get_nothing() -> None:
    # Any of the first two gives 1, the third nothing.
    worth = np.array([1.0 if coalition & 3 else 0.0 for coalition in range(8)])
    assert shapley_matrix(3) @ worth == pytest.approx([0.5, 0.5, 0.0])
    assert left_out_matrix(3) @ worth == pytest.approx([0.0, 0.0, 0.0])


def test_left_out_is_what_the_others_lack() -> None:
    worth = np.array([0.0, 0.2, 0.3, 1.0])
    assert left_out_matrix(2) @ worth == pytest.approx([0.7, 0.8])
