"""Settings of the interest stage."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0)]


class InterestSettings(BaseModel):
    """Frozen; unknown keys are refused. Caps bound one user's state, widths what sources see of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_interactions: int = Field(50, ge=1, le=10_000, description="latest interactions kept, by event time")
    max_categories: int = Field(16, ge=4, le=10_000, description="categories with an affinity")
    max_brands: int = Field(16, ge=4, le=10_000, description="brands with an affinity")
    max_bands: int = Field(12, ge=4, le=10_000, description="price bands with an affinity")
    max_terms: int = Field(24, ge=4, le=10_000, description="query terms with an affinity")
    max_stores: int = Field(8, ge=4, le=10_000, description="stores with an affinity")
    max_bought: int = Field(64, ge=1, le=10_000, description="bought items remembered, latest first")
    max_dismissed: int = Field(32, ge=1, le=10_000, description="dismissed items remembered, latest first")
    max_searches: int = Field(5, ge=1, le=1_000, description="latest queries kept")
    max_events: int = Field(128, ge=1, le=100_000, description="event hashes kept to recognise duplicates")
    max_stamps: int = Field(32, ge=1, le=10_000, description="source partitions with an offset stamp")

    half_lives_s: tuple[Positive, Positive, Positive] = Field(
        (900.0, 14_400.0, 1_209_600.0),
        description="half-lives of an affinity in seconds: minutes, hours, weeks",
    )
    blend: tuple[Share, Share, Share] = Field(
        (0.5, 0.3, 0.2), description="what each half-life counts in a blended affinity; sums to 1"
    )
    idle_s: float = Field(1_800.0, gt=0.0, description="idle time in seconds that ends a session")
    query_s: float = Field(600.0, gt=0.0, description="seconds after a query that it explains what follows")
    typical_dwell_s: float = Field(20.0, gt=0.0, description="dwell in seconds that leaves a weight as it is")

    session_width: int = Field(50, ge=1, le=10_000, description="items of the session that sources see")
    history_width: int = Field(50, ge=1, le=10_000, description="items of the history that sources see")
    category_width: int = Field(8, ge=1, le=1_000, description="categories that sources see")
    brand_width: int = Field(8, ge=1, le=1_000, description="brands that sources see")
    term_width: int = Field(8, ge=1, le=1_000, description="query terms that sources see")

    @model_validator(mode="after")
    def _blend_sums_to_one(self) -> Self:
        if abs(sum(self.blend) - 1.0) > 1e-9:
            raise ValueError(
                f"blend is {self.blend}, which sums to {sum(self.blend)}: make the three sum to 1"
            )
        return self
