"""Settings of the simulate stage."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.simulate.words import BRANDS, LEAVES, MODIFIERS

GAP_SPREAD: Final = 0.8
"""Standard deviation of the logarithm of the seconds between two acts of a session."""
MEAN_GAP_OF_MEDIAN: Final = 1.377
"""exp(GAP_SPREAD ** 2 / 2): mean gap over median gap of the log-normal."""
EVENTS_PER_ACT: Final = 1.47
"""An act is a search or a view; dwell, cart, wishlist, purchase and rating come on top."""
BUSY_SHARE: Final = 0.5
"""No more than this share of the shoppers is in a session at once."""


FAULTS: Final = (
    "duplicate", "missing_attribute", "missing_field", "broken_json", "wrong_type",
    "future", "late", "out_of_order", "unknown_field", "wrong_key",
)  # fmt: skip
"""Names of the faults; the code of a fault is its place here plus 1, and 0 is none."""


class FaultSettings(BaseModel):
    """Share of the events that leave the simulated shop with this fault; at most one fault an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicate: float = Field(0.0, ge=0.0, le=1.0, description="the same record is sent twice")
    missing_attribute: float = Field(0.0, ge=0.0, le=1.0, description="optional fields are left out")
    missing_field: float = Field(0.0, ge=0.0, le=1.0, description="a required field is left out")
    broken_json: float = Field(0.0, ge=0.0, le=1.0, description="the value is cut off in the middle")
    wrong_type: float = Field(0.0, ge=0.0, le=1.0, description="the event time is a text, not a number")
    future: float = Field(0.0, ge=0.0, le=1.0, description="the sender's clock is ahead by `future_s`")
    late: float = Field(0.0, ge=0.0, le=1.0, description="the event is `late_s` old when it is sent")
    out_of_order: float = Field(
        0.0, ge=0.0, le=1.0, description="the event is up to `out_of_order_s` old when it is sent"
    )
    unknown_field: float = Field(0.0, ge=0.0, le=1.0, description="a field the schema does not know is added")
    wrong_key: float = Field(0.0, ge=0.0, le=1.0, description="the record's key is another shopper's id")

    future_s: float = Field(3_600.0, gt=0.0, description="how far a wrong clock is ahead")
    late_s: float = Field(
        30 * 86_400.0, gt=0.0, description="age of a late event, beyond any allowed lateness"
    )
    out_of_order_s: float = Field(60.0, gt=0.0, description="highest age of an event that is out of order")

    def rates(self) -> dict[str, float]:
        """Rates by name, in the order of ``FAULTS``."""
        return {name: float(getattr(self, name)) for name in FAULTS}

    @model_validator(mode="after")
    def _sum_is_a_share(self) -> Self:
        total = sum(self.rates().values())
        if total > 1.0:
            raise ValueError(f"the rates of the faults sum to {total:g}, at most 1 is possible: lower some")
        return self


class SimulateSettings(BaseModel):
    """Frozen; unknown keys are refused. Seconds are the simulated shop's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(7, ge=0, description="the same seed gives the same events, byte for byte")
    n_items: int = Field(2_000, ge=20, le=1_000_000, description="items, those launched later included")
    n_categories: int = Field(
        40, ge=2, le=len(LEAVES) * len(MODIFIERS), description="leaves of the category tree"
    )
    n_brands: int = Field(60, ge=2, le=len(BRANDS), description="brands, each with a price level")
    n_shoppers: int = Field(5_000, ge=10, le=10_000_000, description="shoppers, bots included")
    events_per_s: float = Field(
        500.0, gt=0.0, description="mean rate of events; reactions to slates come on top"
    )
    gap_s: float = Field(2.0, gt=0.0, description="median seconds between two acts of one session")
    acts_per_session: float = Field(10.0, ge=2.0, le=1_000.0, description="mean length of a session, in acts")
    day_s: float = Field(86_400.0, gt=0.0, description="length of a simulated day: the rhythm's period")
    rhythm: float = Field(0.5, ge=0.0, le=1.0, description="swing of the rate over a day, share of its mean")
    drift_days: float = Field(10.0, gt=0.0, description="days in which a taste keeps 1/e of what it was")
    switch_share: float = Field(0.2, ge=0.0, le=1.0, description="acts that turn to another category")
    search_share: float = Field(
        0.4, ge=0.0, le=1.0, description="starts and switches that go through a search"
    )
    revisit_share: float = Field(
        0.1, ge=0.0, le=1.0, description="acts that return to an item of the session"
    )
    bot_share: float = Field(0.002, ge=0.0, le=1.0, description="shoppers that are bots")
    look_share: float = Field(0.3, ge=0.0, le=1.0, description="acts after which the shopper reads the slate")
    new_item_share: float = Field(0.1, ge=0.0, lt=1.0, description="items that are launched after the start")
    launches_per_day: float = Field(40.0, ge=0.0, description="items launched a day, while any are left")
    promotions_per_day: float = Field(6.0, ge=0.0, description="promotions started a day")
    trends_per_day: float = Field(4.0, ge=0.0, description="groups of items whose popularity jumps, a day")
    stock: float = Field(200.0, gt=0.0, description="mean pieces in stock of an item after a delivery")
    restock_days: float = Field(0.1, gt=0.0, description="mean days until a sold-out item is delivered")
    oracle_share: float = Field(0.1, ge=0.0, le=1.0, description="views for which the oracle is asked")
    k: int = Field(20, ge=1, le=1_000, description="length of the oracle's list")
    slice_events: int = Field(
        256, ge=1, le=1_000_000, description="events made at once; more is faster, but reacts to slates later"
    )
    faults: FaultSettings = Field(FaultSettings(), description="data faults on request; none by default")

    @property
    def sessions_per_s(self) -> float:
        """Mean rate at which sessions start."""
        return self.events_per_s / (self.acts_per_session * EVENTS_PER_ACT)

    @property
    def busy_shoppers(self) -> float:
        """Mean number of shoppers in a session at once."""
        return self.sessions_per_s * self.acts_per_session * self.gap_s * MEAN_GAP_OF_MEDIAN

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.n_items < 4 * self.n_categories:
            raise ValueError(
                f"{self.n_items} items are too few for {self.n_categories} categories: "
                f"set n_items to at least {4 * self.n_categories}, or fewer categories"
            )
        if self.busy_shoppers > BUSY_SHARE * self.n_shoppers:
            raise ValueError(
                f"{self.events_per_s:g} events/s with {self.gap_s:g} s between acts keep "
                f"{self.busy_shoppers:.0f} shoppers busy at once, more than half of the {self.n_shoppers}: "
                f"set n_shoppers to {int(self.busy_shoppers / BUSY_SHARE) + 1} or more, "
                f"or gap_s to {self.gap_s * BUSY_SHARE * self.n_shoppers / self.busy_shoppers:.3g} or less"
            )
        return self
