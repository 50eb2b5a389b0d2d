"""A candidate that is worse does not serve, and what serves goes when it is surely worse."""

import numpy as np
import pytest

from models.embed.gate import Decision, GateSettings, Window, should_promote, should_roll_back
from models.learn.contest import MIN_LISTS, Sums, lower_bound

DEFAULTS = GateSettings()


def window(gain: float, n: int = 20_000, seed: int = 0, deviation: float = 0.5) -> Window:
    """Losses around 6 nats, of which examples explain most; one's own are lower by ``gain`` in the mean."""
    rng = np.random.default_rng(seed)
    other = rng.exponential(6.0, n)
    return Window().plus(other - rng.normal(gain, deviation, n), other)


def test_windows_add_up() -> None:
    made = Window().plus(np.array([1.0, 2.0]), np.array([1.5, 1.75])).plus(np.array([4.0]), np.array([5.0]))
    # gains 0.5, -0.25, 1.0
    assert made == Window(Sums(3.0, 1.25, 0.25 + 0.0625 + 1.0), 7.0)
    # 7 / 3 and (7 + 1.25) / 3
    assert made.told == "loss 2.3333 against 2.7500 on 3 examples"


def test_the_first_one_serves() -> None:
    assert should_promote(None, DEFAULTS) == Decision(True, "nothing serves yet")


def test_a_better_one_serves() -> None:
    decision = should_promote(window(0.1), DEFAULTS)
    assert decision.promote
    assert "on 20,000 examples, better by +0.0" in decision.reason


def test_an_equal_one_serves_for_it_knows_newer_items() -> None:
    assert should_promote(window(0.0), DEFAULTS).promote
    assert not should_promote(window(0.0), DEFAULTS.model_copy(update={"tolerance": 0.0})).promote


def test_a_worse_one_does_not_serve() -> None:
    decision = should_promote(window(-0.05), DEFAULTS)
    assert not decision.promote
    assert "perhaps worse by 0.0" in decision.reason


def test_a_few_examples_let_none_serve_and_roll_none_back() -> None:
    few = window(3.0, n=MIN_LISTS - 1)
    assert not should_promote(few, DEFAULTS).promote
    assert "too few examples" in should_promote(few, DEFAULTS).reason
    assert not should_roll_back(few, DEFAULTS).promote
    assert should_promote(window(3.0, n=MIN_LISTS), DEFAULTS).promote


def test_the_bound_decides() -> None:
    made = window(0.0)
    surely = lower_bound(made.gains, DEFAULTS.alpha)
    assert should_promote(made, DEFAULTS.model_copy(update={"tolerance": -surely + 1e-9})).promote
    assert not should_promote(made, DEFAULTS.model_copy(update={"tolerance": -surely - 1e-9})).promote


def test_what_serves_goes_when_the_former_one_is_surely_better() -> None:
    assert should_roll_back(window(0.2), DEFAULTS).promote
    for gain in (0.0, 0.05, -0.2):
        assert not should_roll_back(window(gain), DEFAULTS).promote


def test_a_loss_that_is_no_number_never_serves() -> None:
    broken, sound = np.full(1_000, np.nan), np.full(1_000, 6.0)
    for value in (np.nan, np.inf):
        broken = np.full(1_000, value)
        assert not should_promote(Window().plus(broken, sound), DEFAULTS).promote
        assert not should_roll_back(Window().plus(broken, sound), DEFAULTS).promote
        assert should_roll_back(Window().plus(sound, broken), DEFAULTS).promote


@pytest.mark.parametrize("gain", [-DEFAULTS.tolerance, -0.04])
def test_hardly_ever_a_worse_one_serves_however_often_it_is_asked(gain: float) -> None:
    """Alpha allows 5 of 100 candidates, each asked about 100 times."""
    wrong = 0
    for seed in range(100):
        rng, made = np.random.default_rng(seed), Window()
        for _ in range(100):
            other = rng.exponential(6.0, 200)
            made = made.plus(other - rng.normal(gain, 0.5, 200), other)
            if should_promote(made, DEFAULTS).promote:
                wrong += 1
                break
    assert wrong <= 5


def test_the_other_way_round_hardly_ever_a_good_one_is_rolled_back() -> None:
    """No one of 100 that are no worse than the one before, each asked about 100 times."""
    for seed in range(100):
        rng, made = np.random.default_rng(seed), Window()
        for _ in range(100):
            other = rng.exponential(6.0, 200)
            made = made.plus(other - rng.normal(0.0, 0.5, 200), other)
            assert not should_roll_back(made, DEFAULTS).promote
