"""A change of heart of all simulated shoppers at one moment, so that what was learned of them becomes wrong.

It says what changes; ``Shop.shift`` makes it so, and when is the caller's."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shift(BaseModel):
    """Frozen; unknown keys are refused. What is not named stays as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    swapped_share: float = Field(
        0.0, ge=0.0, le=1.0, description="shoppers who take over the tastes of another of them"
    )
    same_category: float | None = Field(
        None,
        description="appeal that an item of a slate gains from the category of the session, in standard deviations; "
        "below 0 shoppers look in slates for something else",
    )
    revisit_share: float | None = Field(None, ge=0.0, le=1.0, description="as in the settings of the shop")
    switch_share: float | None = Field(None, ge=0.0, le=1.0, description="as in the settings of the shop")

    def shop_settings(self) -> dict[str, Any]:
        """What it changes in the settings of the shop."""
        return self.model_dump(include={"revisit_share", "switch_share"}, exclude_none=True)
