"""How good a model was over one window of event time: the values of the topic ``metrics.model``.

Aggregates only: no user or item id ever appears here. The quality of the data is in ``schemas.quality``.
"""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION

WindowMs = Annotated[
    int, Meta(description="edge of the window in event time, milliseconds since 1970-01-01 UTC")
]


class ModelMeasurement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One prequential figure; ``k`` is the list length of a ranking metric.

    Workers report on their own partitions. Their windows combine: figures without ``n`` are counts and add up, the
    others are means and weigh by ``n``. ``calibration_error`` and ``calibration_ratio`` follow anew from
    ``predicted`` and ``observed``; ``coverage`` and ``gini`` hold for one worker only.
    """

    metric: str
    value: float
    n: Annotated[int, Meta(ge=1)] | None = None
    k: Annotated[int, Meta(ge=1)] | None = None
    segment: str | None = None


class ModelHappening(Struct, frozen=True, kw_only=True):
    """A drift, promotion, reset or rollback."""

    kind: str
    estimator: str
    detail: str
    time_ms: int


class ModelReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one version of one model did in one window."""

    model: str
    model_version: str
    window_start_ms: WindowMs
    window_end_ms: WindowMs
    n_events: Annotated[int, Meta(ge=0, description="events that were scored")]
    measurements: list[ModelMeasurement]
    worker: str | None = None
    happenings: list[ModelHappening] = []
    schema_version: int = SCHEMA_VERSION
