"""From a policy to the columns that estimators sum up, a stretch of rounds at a time."""

from collections.abc import Iterator

import numpy as np

from models.evaluate.trials import F64
from models.ope.estimators import Weighed
from models.ope.policies import Policy
from models.ope.reward_model import Scorer
from models.ope.rounds import Rounds

_CELLS = 2_000_000
"""Rounds times arms held at a time."""


def weighed(policy: Policy, scorer: Scorer | None, rounds: Rounds, n_arms: int) -> Weighed:
    """Of a policy over the arms; rounds of other items have weight 0. Without a model its columns are 0."""
    parts = [_weighed(policy, scorer, part) for part in _stretches(rounds, n_arms)]
    return Weighed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def as_logged(scorer: Scorer | None, rounds: Rounds, n_arms: int) -> Weighed:
    """Of the policy that ran: all weights are 1, and what it expects is known at what it chose."""
    parts = [_predicted(scorer, part) for part in _stretches(rounds, n_arms)]
    predicted = np.concatenate(parts)
    return Weighed(np.ones(rounds.n), rounds.reward, predicted, predicted)


def _weighed(policy: Policy, scorer: Scorer | None, rounds: Rounds) -> Weighed:
    chance = policy.probabilities(rounds)  # (n, A)
    weight = _at(chance, rounds) / rounds.propensity
    nothing = np.zeros(rounds.n)
    if scorer is None:
        return Weighed(weight, rounds.reward, nothing, nothing)
    expected = scorer.expected(rounds)  # (n, A)
    return Weighed(weight, rounds.reward, _at(expected, rounds), (chance * expected).sum(axis=1))


def _predicted(scorer: Scorer | None, rounds: Rounds) -> F64:
    return np.zeros(rounds.n) if scorer is None else _at(scorer.expected(rounds), rounds)


def _at(values: F64, rounds: Rounds) -> F64:
    """(n,) of the arm shown, 0 for an item that is none of the arms."""
    return np.where(rounds.arm >= 0, values[np.arange(rounds.n), rounds.arm], 0.0)


def _stretches(rounds: Rounds, n_arms: int) -> Iterator[Rounds]:
    step = max(1, _CELLS // max(1, n_arms))
    for start in range(0, rounds.n, step):
        yield rounds.where(slice(start, start + step))
