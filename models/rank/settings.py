"""Settings of the rank stage."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.rank.explore_settings import ExploreSettings

Weight = Annotated[float, Field(ge=0.0)]


class RankSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_weights: dict[str, Weight] = Field(
        default={"trending": 0.1, "cold_start": 0.1},
        description="what a source counts, by its name; 0 silences it",
    )
    default_weight: float = Field(1.0, ge=0.0, description="what a source counts that is not named")
    filter_viewed: bool = Field(True, description="leave out what was viewed in the session")
    filter_bought: bool = Field(True, description="leave out what was bought, unless people buy it again")
    mmr_lambda: float = Field(
        0.9, ge=0.0, le=1.0, description="share of relevance against diversity: 1 orders by score alone"
    )
    pool_factor: int = Field(
        4, ge=1, le=100, description="candidates that compete for each place of the slate"
    )
    same_category: float = Field(0.5, ge=0.0, le=1.0, description="similarity of two items of one category")
    same_brand: float = Field(0.3, ge=0.0, le=1.0, description="similarity added by one brand")
    close_price: float = Field(0.2, ge=0.0, le=1.0, description="similarity added by one price")
    price_width: float = Field(
        0.5, gt=0.0, description="difference of log(1 + price) at which prices are no longer close"
    )
    max_reasons: int = Field(2, ge=1, le=100, description="reasons given for an item")
    dismissal: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="share of its score that an item loses by being quite like one that the user dismissed",
    )
    explore: ExploreSettings = ExploreSettings()
