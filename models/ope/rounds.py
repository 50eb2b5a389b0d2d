"""Rounds of a logged bandit as columns, and their split in time. Nothing here knows how a log is written."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from models.evaluate.trials import F64, I64, Bool

OTHER = -1
"""Arm of a round that showed an item which is none of the arms."""


class Rounds(NamedTuple):
    """(n,) columns, one row a round."""

    arm: I64
    """Place among the arms, or ``OTHER``."""
    propensity: F64
    """Probability with which the policy that ran showed this arm, above 0."""
    position: I64
    """Code of the place in the slate."""
    time_ms: I64
    unit: I64
    """What the bootstrap draws: the user, or the round itself where users are not known."""
    gains: F64
    """(n, K) reward by kind of what the shopper did, 0 where they did not."""
    gained_ms: F64
    """(n, K) when that was."""
    context: I64
    """(n, C) codes of what was known before the choice, the place included."""
    affinity: F64
    """(n, A) a number of this context and each arm, or (n, 0) where there is none."""

    @property
    def n(self) -> int:
        """How many there are; ``len`` is that of the columns."""
        return len(self.arm)

    @property
    def reward(self) -> F64:
        """(n,) over all kinds."""
        total: F64 = self.gains.sum(axis=1)
        return total

    def where(self, which: Bool | I64 | slice) -> Self:
        """Some of the rounds."""
        columns: list[Any] = [column[which] for column in self]
        return type(self)(*columns)


class Arms(NamedTuple):
    """What can be shown: ids, and features of each by name, its own id among them."""

    ids: tuple[str, ...]
    features: tuple[Mapping[str, float], ...]

    def where(self, kept: Sequence[int]) -> Self:
        """Some of the arms."""
        return type(self)(tuple(self.ids[k] for k in kept), tuple(self.features[k] for k in kept))


class BanditLog(NamedTuple):
    """Rounds with what their codes stand for."""

    rounds: Rounds
    arms: Arms
    positions: tuple[str, ...]
    values: tuple[str, ...]
    """Names of the codes of the context, such as ``user_feature_0=a``."""


class Halves(NamedTuple):
    """What is learned from, and what is evaluated on; all of the first is earlier than all of the second."""

    train: BanditLog
    test: BanditLog


def split(log: BanditLog, share: float, max_arms: int) -> Halves:
    """The first ``share`` of the rounds and the rest, rounds of one moment together.

    What was gained after the first evaluated round is unknown to the training rounds. Arms are the ``max_arms``
    shown most in training (in all rounds when nothing is trained on), ties by the lower place among the arms.
    """
    rounds = log.rounds.where(np.argsort(log.rounds.time_ms, kind="stable"))
    at = int(share * rounds.n)
    boundary_ms = rounds.time_ms[at]
    n_train = int(np.searchsorted(rounds.time_ms, boundary_ms))
    train, test = rounds.where(slice(0, n_train)), rounds.where(slice(n_train, None))
    known = train.gained_ms < boundary_ms
    train = train._replace(gains=np.where(known, train.gains, 0.0))
    kept = _most_shown(train if train.n else test, len(log.arms.ids), max_arms)
    arms = log.arms.where(kept.tolist())
    return Halves(
        *(log._replace(rounds=_among(part, kept, len(log.arms.ids)), arms=arms) for part in (train, test))
    )


def _most_shown(rounds: Rounds, n_arms: int, max_arms: int) -> I64:
    shown = np.bincount(rounds.arm[rounds.arm >= 0], minlength=n_arms)
    best = np.argsort(-shown, kind="stable")[:max_arms]
    kept: I64 = np.sort(best[shown[best] > 0])
    return kept


def _among(rounds: Rounds, kept: I64, n_arms: int) -> Rounds:
    place = np.full(n_arms + 1, OTHER)  # the last one is where OTHER points
    place[kept] = np.arange(len(kept))
    affinity = rounds.affinity[:, kept] if rounds.affinity.shape[1] else rounds.affinity
    return rounds._replace(arm=place[rounds.arm], affinity=affinity)
