"""Settings of exploration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Policy = Literal["none", "epsilon", "thompson", "linucb"]


class ExploreSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = Field(
        "none",
        description="what an exploring place goes to: none keeps the ranking; epsilon the ranking's next but "
        "for draws; thompson the best by scores with their uncertainty as noise; linucb the best by upper bound",
    )
    places: int = Field(3, ge=0, le=1_000, description="last places of a slate that may explore")
    epsilon: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="chance that such a place takes a draw, under every policy but none; for linucb all that "
        "gives support to estimates from logs, so 0 leaves it without",
    )
    pool: int = Field(
        30,
        ge=0,
        le=10_000,
        description="candidates beyond the slate that may be explored: new ones, then best",
    )
    new_item_s: float = Field(86_400.0, ge=0.0, description="age below which an item is new; 0: none is")
    new_item_boost: float = Field(
        4.0,
        ge=1.0,
        le=1e6,
        description="how many times as likely a new item is drawn, and as uncertain its score is taken",
    )
    alpha: float = Field(
        1.0, ge=0.0, le=1e6, description="linucb: standard deviations added to the score for the upper bound"
    )
