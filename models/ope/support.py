"""How far a log can speak of a policy at all, and when it should not be believed."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from models.evaluate.intervals import Interval
from models.evaluate.trials import F64
from models.ope.estimators import Weighed

FEW_ROUNDS: Final = 100.0
"""Effective rounds below which the support is thin."""
FEW_REWARDED: Final = 10
"""Rewarded rounds below which a bootstrap's interval is too narrow."""
MUCH_OF_ALL: Final = 0.05
"""Share of all weight that one round should not have."""
OFF_BY: Final = 0.05
"""Distance of the weights' mean from 1 that matters."""
RULE_OF_THREE: Final = 3.0
"""Nothing seen in n trials: at 95%, a rate up to 3 / n (Hanley and Lippman-Hand, JAMA 1983)."""


class Support(Struct, frozen=True):
    """Of one policy over the evaluated rounds."""

    effective_rounds: float
    """``sum(w)^2 / sum(w^2)``: so many rounds of equal weight would say as much (Kish, "Survey sampling", 1965)."""
    mean_weight: Interval
    """1 when the log could show all that the policy picks, and propensities are right; before clipping."""
    max_weight: float
    """Before clipping."""
    max_share: float
    """Of all weight, the part of the heaviest round."""
    n_matched: int
    """Rounds of any weight."""
    n_rewarded: int
    """Those of them that earned something."""
    n_clipped: int


def support(raw: Weighed, clip: float | None, mean_weight: Interval) -> Support:
    """``raw`` as it was before clipping."""
    weight = raw.clipped(clip).weight
    total, matched = float(weight.sum()), weight > 0.0
    return Support(
        effective_rounds=total**2 / float((weight**2).sum()) if total else 0.0,
        mean_weight=mean_weight,
        max_weight=float(raw.weight.max()),
        max_share=float(weight.max()) / total if total else 0.0,
        n_matched=int(matched.sum()),
        n_rewarded=int((matched & (raw.reward != 0.0)).sum()),
        n_clipped=int((raw.weight > clip).sum()) if clip is not None else 0,
    )


def is_thin(found: Support) -> bool:
    """Whether the intervals should decide nothing."""
    return found.effective_rounds < FEW_ROUNDS or found.n_rewarded < FEW_REWARDED


def unseen_reward(found: Support, reward: F64) -> tuple[float, float]:
    """How far below and above an interval the value may lie where nothing was earned, so that no draw differs.

    Of ``reward`` (n,), that of all rounds, the least and the largest are taken for possible.
    """
    if found.n_rewarded or not found.n_matched:
        return 0.0, 0.0
    rate = min(1.0, RULE_OF_THREE / found.effective_rounds)
    return rate * max(0.0, -float(reward.min())), rate * max(0.0, float(reward.max()))


def warnings(found: Support) -> Iterator[str]:
    """What to know before believing the estimates, the gravest first."""
    if not found.n_matched:
        yield "never agrees with the log: there is no evidence about it; dm and dr are the reward model's guess"
        return
    yield from _of_the_mean(found.mean_weight)
    if found.effective_rounds < FEW_ROUNDS:
        yield f"thin support: its rounds count as {found.effective_rounds:,.0f}"
    if found.n_rewarded == 0:
        yield "nothing was earned where it agrees with the log: the bounds are those of the rule of three"
    elif found.n_rewarded < FEW_REWARDED:
        yield f"only {found.n_rewarded} of its rounds earned something: the intervals are too narrow"
    if found.max_share > MUCH_OF_ALL:
        yield f"one round has {found.max_share:.0%} of all weight: clipping helps"
    if found.n_clipped:
        yield f"{found.n_clipped:,} weights were clipped: ips, snips and dr are drawn away from its value"


def _of_the_mean(mean: Interval) -> Iterator[str]:
    if mean.low <= 1.0 <= mean.high or abs(mean.mean - 1.0) < OFF_BY:
        return
    if mean.mean < 1.0:
        lacking = f"{1.0 - mean.mean:.0%} of what it picks could not have been shown"
        told = "ips is too low, snips speaks of the rest, dr guesses the difference"
        yield f"the mean weight is {mean.mean:.2f} instead of 1, about {lacking}: {told}"
    else:
        yield f"the mean weight is {mean.mean:.2f} instead of 1: the propensities of the log are too small"
