"""Settings of the quality stage."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.quality.action_settings import ActionSettings
from models.quality.monitor.settings import MonitorSettings


class QualitySettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: int = Field(60, ge=1, le=86_400, description="width of a window of event time, seconds")
    allowed_lateness_s: int = Field(
        120, ge=0, description="how far the watermark may pass the end of a window before it closes, seconds"
    )
    max_open_windows: int = Field(
        16, ge=2, le=32, description="windows a partition may hold open; bounds the stored value"
    )
    timely_s: float = Field(
        30.0, gt=0.0, description="an event is timely when its record is at most this much younger, seconds"
    )
    quiet_s: float = Field(
        60.0, ge=0.0, description="after this long without records the windows close by the clock, seconds"
    )

    contract: str | None = Field(
        None, description="path of a data contract (ODCS, YAML) whose rules on quality are judged too"
    )
    monitor: MonitorSettings = MonitorSettings()
    actions: ActionSettings = ActionSettings()

    @model_validator(mode="after")
    def _lateness_fits_the_open_windows(self) -> Self:
        if self.n_reachable_windows > self.max_open_windows:
            raise ValueError(
                f"allowed_lateness_s={self.allowed_lateness_s} with window_s={self.window_s} keeps "
                f"{self.n_reachable_windows} windows open, max_open_windows is {self.max_open_windows}: "
                "widen the windows, allow less lateness or allow more windows"
            )
        return self

    @property
    def n_reachable_windows(self) -> int:
        """Windows that can be open at once: the watermark's own and those the lateness reaches back to."""
        return -(-self.allowed_lateness_s // self.window_s) + 1

    @property
    def window_ms(self) -> int:
        """Width of a window, milliseconds."""
        return self.window_s * 1000

    @property
    def allowed_lateness_ms(self) -> int:
        """Allowed lateness, milliseconds."""
        return self.allowed_lateness_s * 1000
