"""The reward model: what an arm earns in a context, learned in one pass over the training rounds.

Logistic regression over the context, the arm's features and their products, by FTRL-Proximal (McMahan et al., "Ad click
prediction: a view from the trenches", KDD 2013) as River has it. With ``c`` the values of the context and ``v`` the
features of an arm, ``logit = b + sum_c w_c + sum_v x_v (w_v + sum_c w_cv) + w_affinity affinity``.

It never sees the rounds it is asked about. Its memory grows with the values of contexts times the features of arms.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np
from river.linear_model import LogisticRegression
from river.optim import FTRLProximal

from models.evaluate.trials import F64
from models.ope.rounds import BanditLog, Rounds

AFFINITY = "affinity"


@dataclass(frozen=True)
class RewardModelSettings:
    """Of FTRL-Proximal."""

    alpha: float = 0.1
    """Learning rate of a weight before its first gradient."""
    beta: float = 1.0
    """Gradients to see before the rate of a weight falls."""
    l1: float = 0.0
    l2: float = 1.0
    """Pull towards the mean reward."""


class RewardModel:
    """Rewards between the least and the largest of training are learned as fractions of that span."""

    def __init__(self, train: BanditLog, settings: RewardModelSettings) -> None:
        self._log = train
        reward = train.rounds.reward
        self._low = min(0.0, float(reward.min(initial=0.0)))
        self._span = max(0.0, float(reward.max(initial=0.0))) - self._low or 1.0
        share = (float(((reward - self._low) / self._span).sum()) + 0.5) / (train.rounds.n + 1.0)
        self._learner = LogisticRegression(
            optimizer=FTRLProximal(settings.alpha, settings.beta, settings.l1, settings.l2),
            intercept_init=log(share / (1.0 - share)),
            intercept_lr=0.0,
        )

    def learn(self) -> Iterator[int]:
        """Learn the training rounds one after the other; yields how many are done."""
        train, rounds = self._log, self._log.rounds
        own = [dict(features) for features in train.arms.features]
        products = cache(lambda code, arm: self._products(code, arm))
        fractions = ((rounds.reward - self._low) / self._span).tolist()
        rows = zip(rounds.arm.tolist(), rounds.context.tolist(), fractions, strict=True)
        for n, (arm, codes, fraction) in enumerate(rows):
            if arm >= 0:
                x = dict(own[arm])
                for code in codes:
                    x |= products(code, arm)
                if rounds.affinity.shape[1]:
                    x[AFFINITY] = float(rounds.affinity[n, arm])
                self._learn_fraction(x, fraction)
            yield n + 1

    def _learn_fraction(self, x: dict[str, float], fraction: float) -> None:
        """A reward between the bounds is so much of the one and the rest of the other."""
        if fraction > 0.0:
            self._learner.learn_one(x, True, w=fraction)
        if fraction < 1.0:
            self._learner.learn_one(x, False, w=1.0 - fraction)

    def _products(self, code: int, arm: int) -> dict[str, float]:
        value = self._log.values[code]
        of_arm = self._log.arms.features[arm]
        return {value: 1.0} | {_product(value, name): x for name, x in of_arm.items()}

    def scorer(self) -> "Scorer":
        """What was learned so far, as tables to be read for many rounds at once."""
        weight = self._learner.weights
        features = self._log.arms.features
        base = [self._learner.intercept + _dot(weight, each) for each in features]
        table = [
            [weight.get(value, 0.0) + _dot(weight, each, value) for each in features]
            for value in self._log.values
        ]
        shape = (len(self._log.values), len(features))
        return Scorer(
            np.array(base, np.float64),
            np.array(table, np.float64).reshape(shape),
            float(weight.get(AFFINITY, 0.0)),
            self._low,
            self._span,
        )


@dataclass(frozen=True)
class Scorer:
    """A learned reward model that learns no more."""

    base: F64
    """(A,) of the arm alone."""
    table: F64
    """(V, A) what each value of the context adds."""
    affinity: float
    low: float
    span: float

    def logits(self, rounds: Rounds) -> F64:
        """(n, A) monotone in the expected reward."""
        out: F64 = np.tile(self.base, (rounds.n, 1))
        for codes in rounds.context.T:
            out += self.table[codes]  # (n, A)
        if rounds.affinity.shape[1]:
            out += self.affinity * rounds.affinity
        return out

    def expected(self, rounds: Rounds) -> F64:
        """(n, A) expected reward of every arm."""
        out: F64 = self.low + self.span * 0.5 * (1.0 + np.tanh(0.5 * self.logits(rounds)))
        return out


def _product(value: str, feature: str) -> str:
    return f"{value} and {feature}"


def _dot(weight: Mapping[str, float], features: Mapping[str, float], value: str | None = None) -> float:
    """Of an arm's features, or of their products with a value of the context."""
    return sum(
        x * weight.get(name if value is None else _product(value, name), 0.0) for name, x in features.items()
    )
