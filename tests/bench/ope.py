"""What policies would have earned on Open Bandit Data, by every estimator: ``python tests/bench/ope.py``.

The log of the uniform random policy, men's and women's campaign. Policies learn on the first half and are judged on
the second; the policy that ran is also told for the whole log. Rewards are clicks for 1,000 impressions.

``skewed`` is a trial with a truth: of the judged half only a part is kept, some arms up to five times as often as
others, as if a policy that is not uniform had run. The uniform policy is estimated from that part, again and again.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_result import write

from models.evaluate.intervals import Interval
from models.kinds import Kind
from models.ope.policies import Uniform
from models.ope.result import OffPolicyEvaluation, PolicyValue, judge
from models.ope.reward_model import RewardModel, RewardModelSettings
from models.ope.rounds import split
from models.ope.weigh import weighed
from streams.ope.evaluation import Files, Plan, evaluate, policy_of
from streams.ope.open_bandit import read_open_bandit

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "open-bandit"
CAMPAIGNS = ("men", "women")
POLICIES = ("logged", "uniform", "popularity", "learned", "learned:1", "learned:2")
ESTIMATORS = ("ips", "snips", "dr", "dm")
PER = 1_000
N_SKEWED = 200


def files_of(campaign: str) -> Files:
    return Files(
        str(DATA / f"random_{campaign}.csv.gz"), [], str(DATA / f"random_{campaign}_item_context.csv.gz")
    )


def evaluated(
    campaign: str, policies: tuple[str, ...], estimators: tuple[str, ...], train: float
) -> OffPolicyEvaluation:
    plan = Plan(
        policies=[policy_of(each) for each in policies],
        estimators=estimators,
        rewards={Kind.CLICK: 1.0},
        window_s=0.0,
        all_seen=False,
        train_share=train,
        max_arms=500,
        clip=None,
        seed=7,
    )
    return evaluate(files_of(campaign), plan, lambda _name, _done, _of: None)


def bounds(interval: Interval | None) -> list[float] | None:
    return interval and [round(PER * bound, 2) for bound in interval]


def summary(policy: PolicyValue) -> dict[str, Any]:
    """Value, low and high by estimator, and what the log can say of the policy."""
    return {each.estimator: bounds(each.value) for each in policy.estimates} | {
        "effective_rounds": round(policy.support.effective_rounds),
        "mean_weight": [round(bound, 2) for bound in policy.support.mean_weight],
        "largest_weight": round(policy.support.max_weight, 1),
        "rewarded": policy.support.n_rewarded,
        "thin": policy.thin,
    }


def skewed(campaign: str) -> dict[str, Any]:
    """Mean estimate of the uniform policy over the trials, and how often its interval held the truth."""
    files = files_of(campaign)
    halves = split(read_open_bandit(files.log, files.items, {Kind.CLICK: 1.0}), 0.5, 500)
    model = RewardModel(halves.train, RewardModelSettings())
    for _ in model.learn():
        pass
    rounds, n_arms = halves.test.rounds, len(halves.test.arms.ids)
    kept = np.linspace(0.2, 1.0, n_arms)
    biased = rounds._replace(propensity=(kept / kept.sum())[rounds.arm])
    found = []
    for seed in range(N_SKEWED):
        part = biased.where(np.random.default_rng(seed).random(rounds.n) < kept[rounds.arm])
        columns = {"uniform": weighed(Uniform(n_arms), model.scorer(), part, n_arms)}
        found.append(
            [each.value for each in judge(part, columns, ESTIMATORS, None, seed).policies[0].estimates]
        )
    truth = float(rounds.reward.mean())
    by_estimator = np.array(found)  # (trials, estimators, 3)
    held = (by_estimator[:, :, 1] <= truth) & (truth <= by_estimator[:, :, 2])
    return {
        "trials": N_SKEWED,
        "truth": round(PER * truth, 2),
        "mean": dict(
            zip(ESTIMATORS, (PER * by_estimator[:, :, 0].mean(axis=0)).round(2).tolist(), strict=True)
        ),
        "spread": dict(
            zip(ESTIMATORS, (PER * by_estimator[:, :, 0].std(axis=0)).round(2).tolist(), strict=True)
        ),
        "held": dict(zip(ESTIMATORS, held.mean(axis=0).round(3).tolist(), strict=True)),
    }


def of_campaign(campaign: str) -> dict[str, Any]:
    started = time.monotonic()
    halves = evaluated(campaign, POLICIES, ESTIMATORS, 0.5)
    seconds = time.monotonic() - started
    whole = evaluated(campaign, ("logged",), ("ips",), 0.0)
    truth = halves.on_policy
    of_uniform = next(each for each in halves.policies if each.policy == "uniform")
    return {
        "rounds": {"learned": halves.n_train, "judged": halves.n_rounds, "clicked": halves.n_rewarded},
        "arms": halves.n_arms,
        "on_policy": {"judged_half": bounds(truth), "whole_log": bounds(whole.on_policy)},
        "policies": {each.policy: summary(each) for each in halves.policies},
        "uniform_holds_the_truth": {
            each.estimator: each.value is not None and each.value.low <= truth.mean <= each.value.high
            for each in of_uniform.estimates
        },
        "skewed": skewed(campaign),
        "seconds": round(seconds, 2),
    }


def main() -> None:
    write("ope", {campaign: of_campaign(campaign) for campaign in CAMPAIGNS})


if __name__ == "__main__":
    main()
