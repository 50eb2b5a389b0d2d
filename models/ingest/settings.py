"""Settings of the ingest stage."""

from pydantic import BaseModel, ConfigDict


class IngestSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
