"""A version that surely is worse does not serve, and what serves goes when the one before surely is better."""

from collections.abc import Callable

import numpy as np
import pytest

from models.embed.gate import Decision, GateSettings, should_promote, should_roll_back
from models.learn.contest import MIN_LISTS, Sums, lower_bound

DEFAULTS = GateSettings()
N_STREAMS, N_LOOKS, EVERY = 100, 100, 200


def gains(mean: float, n: int = 20_000, seed: int = 0) -> Sums:
    """Differences of reciprocal ranks, most of them 0."""
    rng = np.random.default_rng(seed)
    return Sums().plus(np.where(rng.random(n) < 0.8, 0.0, rng.normal(5.0 * mean, 0.3, n)))


def ever(decides: Callable[[Sums], Decision], mean: float, answer: bool) -> int:
    """Of 100 streams, those in which ``answer`` is given at any of 100 looks."""
    found = 0
    for seed in range(N_STREAMS):
        sums = Sums()
        for look in range(N_LOOKS):
            more = gains(mean, EVERY, seed * N_LOOKS + look)
            sums = Sums(*(a + b for a, b in zip(sums, more, strict=True)))
            if decides(sums).yes == answer:
                found += 1
                break
    return found


def test_the_first_one_serves() -> None:
    assert should_promote(None, DEFAULTS) == Decision(True, "nothing serves yet")


@pytest.mark.parametrize("mean", [0.02, 0.0, -0.0005])
def test_one_that_is_better_or_alike_serves(mean: float) -> None:
    decision = should_promote(gains(mean), DEFAULTS)
    assert decision.yes
    assert decision.reason.startswith("not surely worse than what serves: ")


def test_one_that_is_surely_worse_does_not_serve() -> None:
    decision = should_promote(gains(-0.02), DEFAULTS)
    assert not decision.yes
    assert decision.reason.startswith("worse than what serves: -0.0")
    assert decision.reason.endswith(" on 20,000 examples")


def test_a_few_examples_hold_none_back_and_roll_none_back() -> None:
    few = Sums().plus(np.full(MIN_LISTS - 1, 0.5))
    assert not should_roll_back(few, DEFAULTS).yes
    assert should_promote(few._replace(total=-few.total), DEFAULTS).yes
    enough = few.plus(np.array([0.5]))
    assert should_roll_back(enough, DEFAULTS).yes
    assert not should_promote(enough._replace(total=-enough.total), DEFAULTS).yes


def test_the_bound_and_the_margin_decide() -> None:
    better = gains(0.02)
    surely = lower_bound(better, DEFAULTS.alpha)
    for margin, goes in ((surely - 1e-9, True), (surely + 1e-9, False)):
        settings = DEFAULTS.model_copy(update={"margin": margin})
        assert should_roll_back(better, settings).yes is goes
        assert should_promote(better._replace(total=-better.total), settings).yes is not goes


def test_what_serves_goes_when_the_one_before_is_surely_better() -> None:
    assert should_roll_back(gains(0.02), DEFAULTS).yes
    assert not should_roll_back(gains(0.0), DEFAULTS).yes
    assert not should_roll_back(gains(-0.02), DEFAULTS).yes


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_figures_that_are_no_numbers_hold_back_and_prove_nothing(value: float) -> None:
    sums = Sums().plus(np.full(1_000, value))
    assert not should_promote(sums, DEFAULTS).yes
    assert not should_roll_back(sums, DEFAULTS).yes


def test_hardly_ever_one_that_is_alike_is_held_back_or_rolled_back_however_often_it_is_asked() -> None:
    """Alpha allows 5 of the 100."""
    assert ever(lambda sums: should_promote(sums, DEFAULTS), 0.0, answer=False) <= 5
    assert ever(lambda sums: should_roll_back(sums, DEFAULTS), 0.0, answer=True) <= 5


def test_one_that_is_worse_by_a_fiftieth_always_goes() -> None:
    assert ever(lambda sums: should_promote(sums, DEFAULTS), -0.02, answer=False) == N_STREAMS
    assert ever(lambda sums: should_roll_back(sums, DEFAULTS), 0.02, answer=True) == N_STREAMS
