"""Whether a new version of the model may serve, and whether the one that serves must go, by paired differences.

Two versions foretell the same examples, which neither has learned (prequential). What counts is how much better one is
at each: the difference of reciprocal ranks, or of losses. Bounds are those of the contest between scorers, and may be
looked at after every example.
"""

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.learn.contest import MIN_LISTS, Sums, lower_bound


class GateSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(
        0.05,
        gt=0.0,
        lt=1.0,
        description="chance that a version no worse than another is ever held back for it",
    )
    margin: float = Field(
        0.001,
        ge=0.0,
        description="mean reciprocal rank by which a version must surely be worse to be held back or rolled back",
    )


class Decision(NamedTuple):
    """Whether to do it, and why, in words for the audit log."""

    yes: bool
    reason: str


def should_promote(gains: Sums | None, settings: GateSettings) -> Decision:
    """Not if the candidate surely is worse by the margin, or its figures are no numbers.

    ``gains`` are of the candidate over what serves, None where nothing serves. A candidate about which little is known
    may serve: it has learned from more than what serves, and knows newer items.
    """
    if gains is None:
        return Decision(True, "nothing serves yet")
    if not np.isfinite(gains).all():
        return Decision(False, "its figures are no numbers")
    if gains.n < MIN_LISTS:
        return Decision(True, f"only {gains.n:,.0f} examples to compare it by, {MIN_LISTS} are needed")
    lost = gains._replace(total=-gains.total)
    if lower_bound(lost, settings.alpha) > settings.margin:
        return Decision(False, f"worse than what serves: {_told(gains)}")
    return Decision(True, f"not surely worse than what serves: {_told(gains)}")


def should_roll_back(gains: Sums, settings: GateSettings) -> Decision:
    """If the version that served before surely is better by the margin; ``gains`` are of that one over what serves."""
    if not np.isfinite(gains).all():
        return Decision(False, "figures are no numbers: nothing follows from them")
    if lower_bound(gains, settings.alpha) > settings.margin:
        return Decision(True, f"the one before is better: {_told(gains)}")
    return Decision(False, f"the one before is not surely better: {_told(gains)}")


def _told(gains: Sums) -> str:
    return f"{gains.total / max(gains.n, 1.0):+.4f} on {gains.n:,.0f} examples"
