"""Settings of the value of data."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.value.selection_settings import SelectionSettings


class ValueSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="work out what each source of data is worth")
    share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.125, description="share of the lists with a known outcome that are valued"
    )
    k: int = Field(20, ge=1, le=1_000, description="places that count")
    max_weight: float = Field(
        10.0,
        ge=1.0,
        description="most that a click counts for in the estimates of click-through and conversion: its item would "
        "have been at a place that is looked at so many times as often",
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.5, description="share of the lists that are learned with some sources of data hidden, drawn evenly"
    )
    seed: int = Field(1, ge=0, description="of what is hidden")
    act: Literal["off", "propose", "apply"] = Field(
        "propose",
        description="what becomes of a source or signal that is worth nothing: it is not told of, it is told of on "
        "`audit.log` and where it harms on `alerts`, or a challenger that does without it competes as well",
    )
    selection: SelectionSettings = SelectionSettings()
    shadow_share: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.1, description="share of the users that `rillet shadows` follows, by the hash of their id"
    )
    shadow_users: int = Field(
        20_000, ge=1, description="of these, those seen last that it remembers, once for each learner"
    )
    shadow_lag: int = Field(
        100_000, ge=1, description="records that it may be behind; with more it skips to the newest"
    )
    report_s: float = Field(10.0, gt=0.0, description="seconds between two reports to `metrics.value`")
