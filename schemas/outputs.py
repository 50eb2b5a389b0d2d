"""What Rillet publishes: slates, leaderboards, related items and quality reports."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION, TimeMs

MomentMs = Annotated[int, Meta(description="when it was made, milliseconds since 1970-01-01 UTC")]


class ReasonCode(Struct, frozen=True, array_like=True, gc=False):
    """Why an item is in a slate: retrieval source, share of the score, the item or term behind it."""

    source: str
    share: float
    because: str | None = None


class SlateItem(Struct, frozen=True, gc=False, omit_defaults=True):
    """One recommended item, its score (comparable within the slate only) and its reasons, strongest first.

    ``propensity`` is the probability with which the item was put at this place given those before it; it is left out
    where nothing was left to chance.
    """

    item_id: str
    score: float
    reasons: list[ReasonCode]
    propensity: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None


class Slate(Struct, frozen=True, kw_only=True, gc=False):
    """Recommendations for one user, best first.

    ``slate_id`` is ``topic-partition-offset`` of the event that caused it.
    """

    slate_id: str
    user_id: str
    items: list[SlateItem]
    event_id: str
    event_time_ms: TimeMs
    processed_ms: MomentMs
    model_version: str
    cold_start: bool = False
    schema_version: int = SCHEMA_VERSION


class RankedItem(Struct, frozen=True, array_like=True, gc=False):
    """An item and its score."""

    item_id: str
    score: float


class Trending(Struct, frozen=True, kw_only=True):
    """What is popular now, overall (``category`` is null) or in one category.

    ``half_life_s`` is that of the decayed counts behind the scores.
    """

    category: str | None
    half_life_s: float
    items: list[RankedItem]
    updated_ms: MomentMs
    schema_version: int = SCHEMA_VERSION


class Related(Struct, frozen=True, kw_only=True):
    """Items that go with one item."""

    item_id: str
    items: list[RankedItem]
    updated_ms: MomentMs
    schema_version: int = SCHEMA_VERSION
