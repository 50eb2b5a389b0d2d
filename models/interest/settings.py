"""Settings of the interest stage."""

from pydantic import BaseModel, ConfigDict


class InterestSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
