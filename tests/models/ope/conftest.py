"""A bandit whose truth is known, logged by a policy that likes the bad arms; and logs by hand."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from models.ope.rounds import Arms, BanditLog, Rounds

N_CONTEXTS, N_ARMS = 4, 5


class Bandit(NamedTuple):
    """``rate`` (C, A) of reward, ``logging`` and ``target`` (C, A) policies; contexts are equally likely."""

    rate: np.ndarray
    logging: np.ndarray
    target: np.ndarray

    @property
    def truth(self) -> float:
        return float((self.target * self.rate).sum(axis=1).mean())

    def drawn(self, n: int, seed: int) -> BanditLog:
        rng = np.random.default_rng(seed)
        context = rng.integers(N_CONTEXTS, size=n)
        arm = (self.logging[context].cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
        reward = (rng.random(n) < self.rate[context, arm]).astype(float)
        time_ms = np.arange(n)
        rounds = Rounds(
            arm=arm,
            propensity=self.logging[context, arm],
            position=np.zeros(n, np.int64),
            time_ms=time_ms,
            unit=np.arange(n),
            gains=reward[:, None],
            gained_ms=time_ms[:, None].astype(float),
            context=context[:, None],
            affinity=np.zeros((n, 0)),
        )
        arms = Arms(tuple("abcde"), tuple({f"item={each}": 1.0} for each in "abcde"))
        return BanditLog(rounds, arms, ("0",), tuple(f"context={c}" for c in range(N_CONTEXTS)))


@pytest.fixture(scope="session")
def bandit() -> Bandit:
    rate = np.random.default_rng(11).uniform(0.05, 0.6, (N_CONTEXTS, N_ARMS))
    timid, bold = 1.0 / rate, rate**2
    logging = 0.75 * timid / timid.sum(axis=1, keepdims=True) + 0.05
    target = bold / bold.sum(axis=1, keepdims=True)
    return Bandit(rate, logging, target)


@pytest.fixture
def a_log() -> Callable[..., BanditLog]:
    """``a_log(arms="aab", rewards=[1, 0, 1])``; propensity one half, a second apart, all at one place."""

    def make(arms: str, rewards: list[float], **columns: object) -> BanditLog:
        n, names = len(arms), sorted(set(arms))
        time_ms = 1_000 * np.arange(n)
        rounds = Rounds(
            arm=np.array([names.index(each) for each in arms]),
            propensity=np.full(n, 0.5),
            position=np.zeros(n, np.int64),
            time_ms=time_ms,
            unit=np.arange(n),
            gains=np.array(rewards, float)[:, None],
            gained_ms=time_ms[:, None].astype(float),
            context=np.zeros((n, 1), np.int64),
            affinity=np.zeros((n, 0)),
        )._replace(**columns)
        n_positions = int(rounds.position.max()) + 1
        return BanditLog(
            rounds,
            Arms(tuple(names), tuple({f"item={each}": 1.0} for each in names)),
            tuple(map(str, range(n_positions))),
            tuple(f"context={c}" for c in range(int(rounds.context.max()) + 1)),
        )

    return make
