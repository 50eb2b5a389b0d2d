"""Whether a candidate may serve, and whether what serves must go: paired losses of two versions on the same examples.

Both versions foretell each example before anyone learns from it (prequential). Bounds are those of the contest between
scorers: they may be looked at after every example.
"""

from math import isfinite
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.learn.contest import MIN_LISTS, Sums, lower_bound
from models.retrieve.contract import F64


class GateSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(0.05, gt=0.0, lt=1.0, description="chance that a decision is ever wrong")
    tolerance: float = Field(
        0.02,
        ge=0.0,
        lt=1.0,
        description="nats of loss by which a candidate may be worse and still serve, for it knows newer items",
    )
    margin: float = Field(
        0.05, ge=0.0, description="nats of loss by which what serves must surely be worse to be rolled back"
    )


class Decision(NamedTuple):
    """What to do, and why, in words for the audit log."""

    promote: bool
    reason: str


class Window(NamedTuple):
    """Losses of one version and of another, in nats, on the same examples; bounded, whatever their number."""

    gains: Sums = Sums()
    """Of the other's loss less one's own, example by example: above 0 one is the better."""
    own: float = 0.0
    """Sum of one's own losses."""

    def plus(self, own: F64, other: F64) -> "Window":
        """With more examples (m,), judged by both."""
        return Window(self.gains.plus(other - own), self.own + float(own.sum()))

    @property
    def told(self) -> str:
        """Both means, for people."""
        n = max(self.gains.n, 1.0)
        return (
            f"loss {self.own / n:.4f} against {(self.own + self.gains.total) / n:.4f} "
            f"on {self.gains.n:,.0f} examples"
        )


def should_promote(candidate: Window | None, settings: GateSettings) -> Decision:
    """Whether ``candidate``, against what serves, surely is no worse than ``tolerance``.

    None stands for a candidate without a rival: nothing serves yet.
    """
    if candidate is None:
        return Decision(True, "nothing serves yet")
    if not _is_sound(candidate):
        return Decision(False, f"its loss is no number: {candidate.told}")
    if candidate.gains.n < MIN_LISTS:
        return Decision(False, f"too few examples: {candidate.told}, {MIN_LISTS} are needed")
    surely = lower_bound(candidate.gains, settings.alpha)
    if surely > -settings.tolerance:
        return Decision(True, f"{candidate.told}, better by {surely:+.4f} at least")
    return Decision(False, f"{candidate.told}, perhaps worse by {-surely:.4f}")


def should_roll_back(former: Window, settings: GateSettings) -> Decision:
    """Whether the ``former`` version, against what serves, surely is better by ``margin``, and so to serve again."""
    if not _is_sound(former):
        broken = not isfinite(former.gains.total) and isfinite(former.own)
        return Decision(broken, f"a loss is no number: {former.told}")
    surely = lower_bound(former.gains, settings.alpha)
    if surely > settings.margin:
        return Decision(True, f"{former.told}, better by {surely:+.4f} at least")
    return Decision(False, f"{former.told}, not surely better by {settings.margin:g}")


def _is_sound(window: Window) -> bool:
    return bool(np.isfinite([*window.gains, window.own]).all())
