"""Settings of the quality stage."""

from pydantic import BaseModel, ConfigDict


class QualitySettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
