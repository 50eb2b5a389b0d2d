"""Settings of the cleaning."""

from pydantic import BaseModel, ConfigDict, Field


class CleanSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str | None = Field(
        None,
        description="path of a recipe (YAML) by which events and catalogue are cleaned before anyone learns from them",
    )
