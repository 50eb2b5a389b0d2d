"""The result of an off-policy evaluation: what the table, the JSON and the plot are made from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from models.evaluate.intervals import Interval
from models.evaluate.trials import F64
from models.ope.bootstrap import drawn, interval
from models.ope.estimators import ESTIMATORS, Ratio, Weighed
from models.ope.rounds import Rounds
from models.ope.support import Support, is_thin, support, unseen_reward, warnings

LOGGED: Final = "logged"
"""Name of the policy that ran."""


class Estimate(Struct, frozen=True):
    """By one estimator."""

    estimator: str
    value: Interval | None
    """Reward a round; None where the policy never agrees with the log."""
    gain: Interval | None
    """Over the policy that ran, on the same draws."""


class PolicyValue(Struct, frozen=True):
    """One policy."""

    policy: str
    estimates: list[Estimate]
    support: Support
    thin: bool
    """Whether the log says too little of it for the intervals to decide anything."""
    warnings: list[str]


class OffPolicyEvaluation(Struct, frozen=True):
    """All of it."""

    log: str
    rewards: dict[str, float]
    """By kind of what the shopper did."""
    train_share: float
    clip: float | None
    n_train: int
    n_rounds: int
    """Evaluated."""
    n_units: int
    """Users, or rounds where users are not known: what the bootstrap drew."""
    n_arms: int
    n_other: int
    """Evaluated rounds of items that are none of the arms."""
    n_rewarded: int
    """Evaluated rounds that earned something."""
    on_policy: Interval
    """What the policy that ran has earned a round."""
    policies: list[PolicyValue]
    notes: list[str]


class Judged(NamedTuple):
    """What was reckoned from the rounds."""

    on_policy: Interval
    policies: list[PolicyValue]


def judge(
    rounds: Rounds, policies: Mapping[str, Weighed], estimators: Sequence[str], clip: float | None, seed: int
) -> Judged:
    """Estimates of each policy with intervals; ``policies`` are weighed over ``rounds``, none clipped."""
    truth = Ratio(rounds.reward, np.ones(rounds.n))
    ratios = [truth]
    for raw in policies.values():
        ratios.append(Ratio(raw.weight, np.ones(rounds.n)))
        ratios += [ESTIMATORS[name](raw.clipped(clip)) for name in estimators]
    draws = drawn(ratios, rounds.unit, seed)
    columns = iter(zip(ratios, draws.T, strict=True))
    on_policy, of_truth = next(columns)
    return Judged(
        _sure(on_policy, of_truth),
        [
            _value(name, raw, estimators, clip, columns, (on_policy, of_truth))
            for name, raw in policies.items()
        ],
    )


_Column = tuple[Ratio, F64]
"""A ratio, and its (DRAWS,) values."""


def _value(
    name: str,
    raw: Weighed,
    estimators: Sequence[str],
    clip: float | None,
    columns: Iterator[_Column],
    truth: _Column,
) -> PolicyValue:
    """Takes its own columns off ``columns``."""
    found = support(raw, clip, _sure(*next(columns)))
    unseen = unseen_reward(found, raw.reward)
    estimates = [
        _estimate(estimator, next(columns), truth, (0.0, 0.0) if estimator == "dm" else unseen)
        for estimator in estimators
    ]
    told = [] if name == LOGGED else list(warnings(found))
    return PolicyValue(name, estimates, found, is_thin(found), told)


def _estimate(estimator: str, column: _Column, truth: _Column, unseen: tuple[float, float]) -> Estimate:
    (ratio, draws), (of_log, of_log_draws) = column, truth
    gain = interval(ratio.value - of_log.value, draws - of_log_draws)
    return Estimate(estimator, _wider(interval(ratio.value, draws), unseen), _wider(gain, unseen))


def _wider(found: Interval | None, unseen: tuple[float, float]) -> Interval | None:
    return found and Interval(found.mean, found.low - unseen[0], found.high + unseen[1])


def _sure(ratio: Ratio, draws: F64) -> Interval:
    found = interval(ratio.value, draws)
    assert found is not None, "a mean over at least one round has a value"
    return found
