"""What sources of data are worth to the recommendations, and cost: the values of the topic ``metrics.value``.

Aggregates only: no user or item id ever appears here.
"""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION
from schemas.metrics import WindowMs


class Value(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one player adds to one figure, by Shapley's shares, and what is lost where it alone is left out."""

    player: str
    metric: str
    value: float
    value_error: float
    left_out: float
    left_out_error: float


class SourceCost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one source of data took in the window."""

    player: str
    n_events: int
    n_slates: int
    n_bytes: int
    cpu_s: float
    memory_bytes: int
    latency_s: float | None = None


class SeenSlates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What estimates of click-through and conversion rest on: the slates of the window that shoppers have seen."""

    n_seen: Annotated[int, Meta(ge=1)]
    n_clicks: int
    n_purchases: int
    valued_share: Annotated[float, Meta(gt=0.0, le=1.0)]
    effective_clicks: float
    limited_share: float


class ValueReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the lists of one window. By metric, values add up to ``all_in`` less ``none_in``."""

    of: str
    window_start_ms: WindowMs
    window_end_ms: WindowMs
    n: Annotated[int, Meta(ge=1)]
    k: Annotated[int, Meta(ge=1)]
    all_in: dict[str, float]
    none_in: dict[str, float]
    values: list[Value]
    costs: list[SourceCost] = []
    seen: SeenSlates | None = None
    worker: str | None = None
    schema_version: int = SCHEMA_VERSION
