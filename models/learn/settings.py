"""Settings of the learn stage."""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.kinds import WEIGHTS, Kind

Estimator = Literal["listwise", "ftrl", "adagrad", "sgd", "fixed"]
Rewarded = Literal["view", "click", "cart", "wishlist", "purchase", "dwell", "rating"]
Reaction = Literal["faster", "reset"]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _rewards() -> dict[Rewarded, float]:
    kinds = (Kind.VIEW, Kind.CLICK, Kind.CART, Kind.WISHLIST, Kind.PURCHASE, Kind.DWELL)
    return {cast(Rewarded, kind.name.lower()): WEIGHTS[kind] for kind in kinds}


class DriftSettings(BaseModel):
    """When the world counts as changed, and what then happens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="watch the loss and what wanted items have in common")
    delta: float = Field(
        0.0002, gt=0.0, lt=1.0, description="chance at which ADWIN takes noise for a change; lower is slower"
    )
    threshold: Positive = Field(
        100.0, description="sum of excess loss at which Page-Hinkley sees a change, nats"
    )
    tolerance: float = Field(0.1, ge=0.0, description="excess loss that Page-Hinkley takes as usual, nats")
    reactions: tuple[Reaction, ...] = Field(
        ("faster",),
        description="`faster`: the champion takes larger steps again; `reset`: challengers start afresh",
    )
    forget: Share = Field(0.95, description="share of the summed squared gradients that `faster` forgets")
    rest: int = Field(500, ge=1, description="lists after a reaction before the next one")


class ContestSettings(BaseModel):
    """When a challenger takes over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(
        0.05, gt=0.0, lt=1.0, description="chance that a challenger no better ever takes over"
    )
    margin: float = Field(0.001, ge=0.0, description="NDCG by which a challenger must surely be better")
    margin_without: float = Field(
        0.0,
        description="the same for a scorer without a source or signal; below 0 is what dropping it may lose",
    )
    k: int = Field(20, ge=1, le=1_000, description="places that count")


class LearnSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="learn from outcomes; if not, the fixed weights of `rank` serve")
    champion: Estimator = Field("listwise", description="what serves at first")
    challengers: tuple[Estimator, ...] = Field(
        ("ftrl", "fixed"),
        description="what stands by, and takes over once it is surely better; `fixed` learns nothing",
    )
    challenger_share: Share = Field(0.1, description="share of the users that River's learners learn from")
    rewards: dict[Rewarded, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=_rewards,
        description="what an interaction counts, by its kind; 0 teaches nothing, one not named counts as usual",
    )
    elsewhere: Share = Field(
        0.02,
        description="what an outcome counts that no slate brought about, for users who are known to see slates",
    )
    window_s: Positive = Field(
        1_800.0, description="seconds after a slate in which an interaction is its outcome"
    )
    max_pending: int = Field(
        16_384, ge=16, le=10_000_000, description="slates that wait for outcomes; some 10 kB each"
    )
    kept: int = Field(64, ge=2, le=1_000, description="candidates of a slate that are learned from")
    rate: Positive = Field(0.5, description="learning rate of the listwise scorer (AdaGrad)")
    l2: float = Field(0.0, ge=0.0, description="pull of the weights back to where they started")
    negatives: int = Field(3, ge=1, le=100, description="candidates that River's learners take as not wanted")
    examination: tuple[Share, ...] = Field(
        (), description="chance that a shopper looks at each place of a slate, first to last; empty: learned"
    )
    max_propensity_weight: float = Field(
        10.0,
        ge=1.0,
        description="most that an outcome counts for coming from a place that is seldom looked at",
    )
    refresh_s: float = Field(
        0.0, ge=0.0, description="seconds of event time after which what was learned serves; 0 at once"
    )
    publish_s: Positive = Field(
        1.0, description="seconds after which a worker tells the others what it learned"
    )
    report_s: Positive = Field(5.0, description="seconds between two reports to `metrics.model`")
    drift: DriftSettings = DriftSettings()
    contest: ContestSettings = ContestSettings()

    @field_validator("rewards", mode="before")
    @classmethod
    def _beside_the_usual(cls, given: Any) -> Any:
        return {**_rewards(), **given} if isinstance(given, dict) else given
