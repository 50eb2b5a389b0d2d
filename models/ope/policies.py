"""Policies to be evaluated: what probability each gives to every arm, round by round.

None of them sees more of a round than its context and place; those that learn have learned from training rounds.
"""

from typing import Final, Protocol

import numpy as np

from models.evaluate.trials import F64, I64
from models.ope.reward_model import Scorer
from models.ope.rounds import BanditLog, Rounds

PRIOR_ROUNDS: Final = 10.0
"""Rounds of mean reward that an arm of ``Popularity`` is given at each place before the first is seen."""


class Policy(Protocol):
    """Anything that can choose an arm."""

    def probabilities(self, rounds: Rounds) -> F64:
        """(n, A), each row summing to 1."""


class Uniform:
    """Every arm alike."""

    def __init__(self, n_arms: int) -> None:
        self._n_arms = n_arms

    def probabilities(self, rounds: Rounds) -> F64:
        """(n, A), 1 / A everywhere."""
        return np.full((rounds.n, self._n_arms), 1.0 / self._n_arms)


class Popularity:
    """At each place one arm for everyone: the one that earned most there in training.

    Means are weighed by 1 / propensity, as snips does, and drawn to the mean of all: one lucky round is no proof.
    Ties go to the lower arm.
    """

    def __init__(self, train: BanditLog) -> None:
        rounds = train.rounds.where(train.rounds.arm >= 0)
        n_arms = len(train.arms.ids)
        shape = (len(train.positions), n_arms)
        cell = rounds.position * n_arms + rounds.arm
        weight = 1.0 / (rounds.propensity * n_arms)
        mean = float(np.average(rounds.reward, weights=weight)) if rounds.n else 0.0
        above = np.bincount(cell, weight * rounds.reward, shape[0] * n_arms) + PRIOR_ROUNDS * mean
        below = np.bincount(cell, weight, shape[0] * n_arms) + PRIOR_ROUNDS
        self.best: I64 = np.argmax((above / below).reshape(shape), axis=1)
        """(P,) the arm of each place."""
        self._n_arms = n_arms

    def probabilities(self, rounds: Rounds) -> F64:
        """(n, A), 1 for the arm of the place."""
        return _certain(self.best[rounds.position], self._n_arms)


class Learned:
    """Chooses by the reward model: the best arm, or arms in proportion to ``odds ** (1 / temperature)``.

    At temperature 1 an arm of twice the odds is chosen twice as often; 0 is the best arm alone, ties to the lower.
    """

    def __init__(self, scorer: Scorer, temperature: float) -> None:
        self._scorer = scorer
        self._temperature = temperature

    def probabilities(self, rounds: Rounds) -> F64:
        """(n, A)."""
        logits = self._scorer.logits(rounds)
        if self._temperature == 0.0:
            return _certain(np.argmax(logits, axis=1), logits.shape[1])
        scaled = (logits - logits.max(axis=1, keepdims=True)) / self._temperature
        odds = np.exp(scaled)
        out: F64 = odds / odds.sum(axis=1, keepdims=True)
        return out


def _certain(arm: I64, n_arms: int) -> F64:
    """(n, A) with 1 at the arm."""
    out = np.zeros((len(arm), n_arms))
    out[np.arange(len(arm)), arm] = 1.0
    return out
