"""What exploring costs, against River's bandits: ``python tests/bench/explore.py``.

Slates of 20 places out of 400 candidates, 3 places and a pool of 30 that explore, in batches of 1, 16 and 256.
River pulls one arm for one place: of 50 candidates, or of the 7 sources. Propensities by quadrature are held
against Monte Carlo of the same noise, both against 4 million samples. The time is the thread's on a processor.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from bench_result import quantiles, write

from models.rank.explore import explore
from models.rank.explore_settings import ExploreSettings, Policy
from models.rank.merge import Merged, merge
from models.retrieve.contract import F32, Candidates

N_PLACES, N_CANDIDATES, N_SOURCES = 20, 400, 7
SIZES = (1, 16, 256)
CALLS = {1: 2_000, 16: 300, 256: 60}
ARMS = (50, N_SOURCES)
SAMPLES, REFERENCE = (256, 4_096), 4_000_000
BAR_US = 10.0


class Shop:
    """Users with candidates of skewed scores, one in fifty of them new."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def arguments(self, n_users: int) -> tuple[Any, ...]:
        """All that ``explore`` takes before the settings."""
        merged = self._merged(n_users)
        n = len(merged.items)
        scores = (self.rng.random(n) ** 3 + 0.01).astype(np.float32)
        return (
            merged,
            _greedy(merged, scores),
            scores,
            self.rng.gamma(2.0, 0.05, n).astype(np.float32),
            (self.rng.random(n) < 0.02).astype(np.uint8),
            self.rng.integers(0, 2**63, n_users).astype(np.uint64),
        )

    def _merged(self, n_users: int) -> Merged:
        items = np.array(
            [self.rng.choice(10_000, N_CANDIDATES, replace=False) for _ in range(n_users)], np.int32
        )
        found = Candidates(items, np.ones(items.shape, np.float32), items)
        return merge([found], np.full((n_users, 0), -1, np.int32), np.ones(10_000, np.uint8))


def _greedy(merged: Merged, scores: F32) -> np.ndarray:
    best = np.argsort(-scores.reshape(-1, N_CANDIDATES), axis=1)[:, :N_PLACES]
    return best + merged.starts[:-1, None]


def slates(shop: Shop, policy: Policy) -> dict[str, Any]:
    """Microseconds a slate in batches of each size."""
    settings, figures = ExploreSettings(policy=policy), {}
    for size in SIZES:
        # Few slates over and over would be learned by the processor's branch predictor.
        batches = [shop.arguments(size) for _ in range(512 // size)]
        explore(*batches[0], settings)
        turns = (batches[call % len(batches)] for call in range(CALLS[size]))
        spent = [timed(partial(explore, *batch, settings)) / size * 1e6 for batch in turns]
        figures[f"batch_{size}"] = quantiles(spent, "us") | {"slates_per_s": round(1e6 / np.median(spent))}
    return figures


def timed(call: Callable[[], object]) -> float:
    """Seconds of this thread's processor time."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


@njit
def monte_carlo(mean: np.ndarray, width: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    """How often each of ``mean + width * normal`` is the largest."""
    np.random.seed(seed)
    wins = np.zeros(len(mean))
    for _ in range(n_samples):
        best, best_value = 0, -np.inf
        for i in range(len(mean)):
            value = mean[i] + width[i] * np.random.standard_normal()
            if value > best_value:
                best, best_value = i, value
        wins[best] += 1.0
    return wins / n_samples


def propensities(shop: Shop) -> dict[str, Any]:
    """Relative errors of the propensity of what is shown at the first exploring place, and what each costs."""
    settings = ExploreSettings(policy="thompson", epsilon=0.0, places=1, new_item_boost=1.0)
    merged, rows, scores, spread, _, _ = shop.arguments(1)
    n = 400
    users = Merged(np.arange(n + 1) * N_CANDIDATES, *(np.concatenate([column] * n) for column in merged[1:]))
    shown = explore(
        users,
        np.concatenate([rows] * n) + np.arange(n)[:, None] * N_CANDIDATES,
        np.tile(scores, n),
        np.tile(spread, n),
        np.zeros(n * N_CANDIDATES, np.uint8),
        np.arange(n, dtype=np.uint64),
        settings,
    )
    order = np.argsort(-scores)[N_PLACES - 1 : N_PLACES + settings.pool]
    choices = np.float64(scores[order]), np.float64(spread[order])
    place = {int(row): at for at, row in enumerate(order)}
    at = [place[row % N_CANDIDATES] for row in shown.rows[:, -1].tolist()]
    truth = monte_carlo(*choices, REFERENCE, 0)[at]
    figures: dict[str, Any] = {
        "error_of_the_reference": round(float(np.sqrt((1.0 - truth) / truth / REFERENCE).mean()), 5),
        "quadrature": _errors(shown.propensity[:, -1], truth),
    }
    for n_samples in SAMPLES:
        spent = [timed(partial(monte_carlo, *choices, n_samples, 1)) * 1e6 for _ in range(50)]
        drawn = np.array([monte_carlo(*choices, n_samples, 1 + turn)[i] for turn, i in enumerate(at)])
        figures[f"monte_carlo_{n_samples}"] = _errors(drawn, truth) | {
            "median_us_per_place": round(float(np.median(spent)), 1)
        }
    return figures


def _errors(given: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    off = np.abs(given / truth - 1.0)
    return {
        "mean_relative_error": round(float(off.mean()), 5),
        "given_as_zero": round(float((given == 0.0).mean()), 4),
    }


def river_pulls(shop: Shop, n_arms: int) -> dict[str, int]:
    """Pulls a second of River's policies, each having learned from 500 rewards."""
    from river import bandit, proba

    arms = list(range(n_arms))
    policies: dict[str, tuple[Any, int]] = {
        "EpsilonGreedy": (bandit.EpsilonGreedy(epsilon=0.1, seed=1), 5_000),
        "ThompsonSampling": (bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=1), 2_000),
        "LinUCBDisjoint": (bandit.LinUCBDisjoint(alpha=1.0, seed=1), 100),
    }
    figures = {}
    for name, (policy, n_pulls) in policies.items():
        context = [shop.rng.random(N_SOURCES).tolist()] if name == "LinUCBDisjoint" else []
        given = [dict(enumerate(values)) for values in context]
        for arm in shop.rng.choice(arms, 500).tolist():
            policy.update(arm, *given, bool(shop.rng.random() < 0.05))
        spent = timed(lambda: [policy.pull(arms, *given) for _ in range(n_pulls)])  # noqa: B023
        figures[name] = round(n_pulls / spent)
    return figures


def main() -> None:
    """Measure, write."""
    shop = Shop(seed=1)
    monte_carlo(np.zeros(2), np.ones(2), 1, 0)
    river = {"version": version("river")} | {f"arms_{n}": river_pulls(shop, n) for n in ARMS}
    write(
        "explore",
        {
            "what": "processor time of a slate of 20 places, 400 candidates, 3 places and a pool of 30 exploring",
            "bar": f"epsilon below {BAR_US:.0f} us a slate in batches of 256",
            **{policy: slates(shop, policy) for policy in get_args(Policy)},
            "propensity_of_thompson": propensities(shop),
            "river_pulls_per_s": river,
            "load_1min": round(os.getloadavg()[0], 2),
        },
    )


if __name__ == "__main__":
    main()
