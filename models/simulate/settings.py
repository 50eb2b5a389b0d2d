"""Settings of the simulate stage."""

from pydantic import BaseModel, ConfigDict


class SimulateSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
