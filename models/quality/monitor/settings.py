"""Settings of the monitor."""

from pydantic import BaseModel, ConfigDict, Field


class MonitorSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        True, description="judge the windows of all sources and tell of changes on `alerts`"
    )
    hold_windows: int = Field(
        2, ge=1, le=100, description="a window is judged when a source has closed one this much later"
    )
    warm_up_windows: int = Field(
        12, ge=2, description="windows of a source that are learned before any is judged"
    )
    memory_windows: int = Field(
        48,
        ge=2,
        description="windows after which what was learned of the usual level has lost 63% of its weight",
    )
    reference_windows: int = Field(
        288, ge=2, description="the same, for the distributions that windows are compared with"
    )
    min_events: int = Field(100, ge=1, description="values that a window needs for a check on them")
    warn_z: float = Field(
        6.0, gt=0.0, description="deviation that warns in the second window, standard deviations"
    )
    fail_z: float = Field(8.0, gt=0.0, description="deviation that fails at once, standard deviations")
    sensitivity: float = Field(
        1.0, gt=0.0, description="the least deviations that matter are divided by it; see the page on quality"
    )
    adopt_windows: int = Field(
        288, ge=2, description="after so many windows in a row that fail, what they show is the new usual"
    )
    history_days: float = Field(
        7.0, gt=0.0, description="reports that a worker learns from when it starts, days"
    )
