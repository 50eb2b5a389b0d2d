"""Settings of what is done about a check that fails."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ActionSettings(BaseModel):
    """Frozen; unknown keys are refused. A check in none of the lists is only told of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Literal["off", "propose", "apply"] = Field(
        "propose",
        description="what becomes of a check that fails: nothing, an action is proposed on `alerts` and `audit.log`, "
        "or it is done and told there",
    )
    blank: tuple[str, ...] = Field(
        ("agreement", "new_values", "drift", "shift"),
        description="checks at whose failure a category, brand or price counts as not said, until it recovers",
    )
    quarantine: tuple[str, ...] = Field(
        ("known_item",),
        description="checks at whose failure a source goes on to users' states and slates, and teaches nothing else",
    )
    weigh: tuple[str, ...] = Field(
        ("rejected", "ahead", "late"),
        description="checks at whose failure outcomes of a source count `weight` for learning the order of slates",
    )
    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.25, description="what an outcome of a weighed source counts, against 1"
    )
