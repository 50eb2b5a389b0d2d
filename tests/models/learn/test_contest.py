from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.contest import MIN_LISTS, Sums, lower_bound, wins
from models.learn.judge import ndcg
from models.learn.settings import ContestSettings

DEFAULTS = ContestSettings()
N_STREAMS, N_LISTS, EVERY = 200, 20_000, 100


def differences(gain: float, rng: np.random.Generator, n: int = N_LISTS) -> np.ndarray:
    """NDCG of a challenger less that of a champion: ranks of a list of 20 that agree four times in five.

    Challenger and champion are alike, but for lists that the challenger gets right out of the last place.
    """
    ours = ndcg(rng.integers(1, 21, n).astype(np.float32), 20)
    theirs = np.where(rng.random(n) < 0.8, ours, ndcg(rng.integers(1, 21, n).astype(np.float32), 20))
    mean_gain = 1.0 - float(theirs.mean())
    return np.where(rng.random(n) < gain / mean_gain, 1.0, theirs).astype(np.float64) - ours


def first_win(found: np.ndarray, settings: ContestSettings = DEFAULTS) -> int | None:
    """Lists after which the challenger was promoted."""
    sums = Sums()
    for start in range(0, len(found), EVERY):
        sums = sums.plus(found[start : start + EVERY])
        if wins(sums, settings):
            return int(sums.n)
    return None


def test_sums_add_up() -> None:
    sums = Sums().plus(np.array([0.5, -0.25])).plus(np.array([1.0]))
    assert sums == (3.0, 1.25, 0.25 + 0.0625 + 1.0)


def test_the_bound_by_hand() -> None:
    # n rho² + 1 = 10,000 * 0.0004 + 1 = 5; mean 0.02, deviation 0.2:
    # 0.02 - 0.2 * sqrt(2 * 5 / (10,000 * 0.02)² * log(1 + sqrt(5) / 0.1))
    sums = Sums(10_000.0, 200.0, 10_000.0 * (0.2**2 + 0.02**2))
    assert lower_bound(sums, 0.05) == pytest.approx(
        0.02 - 0.2 * sqrt(10.0 / 40_000.0 * log(1 + sqrt(5.0) / 0.1))
    )


def test_a_few_lists_prove_nothing() -> None:
    assert not wins(Sums().plus(np.full(MIN_LISTS - 1, 0.5)), DEFAULTS)
    assert wins(Sums().plus(np.full(MIN_LISTS, 0.5)), DEFAULTS)


def test_the_margin_has_to_be_exceeded() -> None:
    sums = Sums().plus(np.full(1_000, 0.25))
    assert wins(sums, DEFAULTS.model_copy(update={"margin": 0.24}))
    assert not wins(sums, DEFAULTS.model_copy(update={"margin": 0.25}))


@given(st.integers(MIN_LISTS, 100_000), st.floats(1.01, 10.0), st.floats(-0.1, 0.1), st.floats(0.01, 0.5))
@settings(max_examples=200, deadline=None)
def test_more_lists_of_the_same_mean_raise_the_bound_towards_it(
    n: int, times: float, mean: float, deviation: float
) -> None:
    def bound(n: float, alpha: float = 0.05, deviation: float = deviation) -> float:
        return lower_bound(Sums(n, n * mean, n * (mean**2 + deviation**2)), alpha)

    assert bound(n) < bound(n * times) < mean
    assert bound(n, alpha=0.01) < bound(n, alpha=0.1)  # surer is lower
    assert bound(n, deviation=deviation * 1.1) < bound(n)


def test_where_nothing_differs_hardly_a_challenger_is_ever_promoted() -> None:
    """Alpha allows 10 of the 200 streams, each looked at 200 times; with these seeds there are none."""
    promoted = [first_win(differences(0.0, np.random.default_rng(seed))) for seed in range(N_STREAMS)]
    assert sum(n is not None for n in promoted) < DEFAULTS.alpha * N_STREAMS


def test_without_a_margin_it_still_is_less_than_alpha() -> None:
    """Three of the 200."""
    unforgiving = DEFAULTS.model_copy(update={"margin": 0.0})
    promoted = [
        first_win(differences(0.0, np.random.default_rng(1_000 + seed)), unforgiving)
        for seed in range(N_STREAMS)
    ]
    assert sum(n is not None for n in promoted) < DEFAULTS.alpha * N_STREAMS


def test_a_challenger_that_is_better_by_two_hundredths_is_promoted() -> None:
    promoted = [first_win(differences(0.02, np.random.default_rng(seed))) for seed in range(40)]
    assert all(n is not None for n in promoted)
    assert np.median(np.array(promoted, float)) <= 2_000


def test_a_challenger_that_is_worse_is_not_promoted() -> None:
    assert all(first_win(-differences(0.02, np.random.default_rng(seed))) is None for seed in range(20))
