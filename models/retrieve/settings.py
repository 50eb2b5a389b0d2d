"""Settings of the retrieval sources."""

from pydantic import BaseModel, ConfigDict


class RetrieveSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
