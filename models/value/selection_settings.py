"""Settings of the selection of sources and signals by their value."""

from pydantic import BaseModel, ConfigDict, Field


class SelectionSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worth: float = Field(
        0.0005, ge=0.0, description="NDCG that a value must surely be below to be worth nothing"
    )
    windows: int = Field(
        720, ge=1, le=100_000, description="newest reports of all workers that count together"
    )
    min_windows: int = Field(12, ge=1, description="reports that are needed")
    min_lists: int = Field(2_000, ge=1, description="lists that are needed")
    max_lists: int = Field(
        50_000, ge=1, description="lists after which a challenger that has not taken over is given up"
    )
    again_s: float = Field(
        86_400.0, ge=0.0, description="seconds of event time before the same source or signal is tried again"
    )
