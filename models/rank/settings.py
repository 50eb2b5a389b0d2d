"""Settings of the rank stage."""

from pydantic import BaseModel, ConfigDict


class RankSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
