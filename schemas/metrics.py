"""What Rillet measures about its data and its models: the values of the ``metrics.*`` topics.

One record is one window of one source or model. Aggregates only: no user or item id ever appears here.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.events import SCHEMA_VERSION

WindowMs = Annotated[
    int, Meta(description="edge of the window in event time, milliseconds since 1970-01-01 UTC")
]


class Dimension(StrEnum):
    """Dimensions of data quality, after the Open Data Contract Standard 3.1, plus what a stream adds."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    ACCURACY = "accuracy"
    VOLUME = "volume"
    SCHEMA = "schema"
    DISTRIBUTION = "distribution"


class Status(StrEnum):
    """How a measurement stands against its thresholds; ``unrated`` when it has none, or too few records."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNRATED = "unrated"


class QualityMeasurement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure. ``field`` is null when it concerns whole records; ``unit`` is ``ratio``, ``ms`` …"""

    dimension: Dimension
    metric: str
    value: float
    unit: str
    field: str | None = None
    status: Status = Status.UNRATED


class QualityReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The quality of one source topic in one window; ``partition`` is null when all partitions are merged."""

    source: str
    window_start_ms: WindowMs
    window_end_ms: WindowMs
    n_records: Annotated[int, Meta(ge=0, description="records seen, refused ones included")]
    measurements: list[QualityMeasurement]
    partition: Annotated[int, Meta(ge=0)] | None = None
    schema_version: int = SCHEMA_VERSION


class ModelMeasurement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One prequential figure; ``k`` is the list length of a ranking metric."""

    metric: str
    value: float
    k: Annotated[int, Meta(ge=1)] | None = None
    segment: str | None = None


class ModelReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one version of one model did in one window."""

    model: str
    model_version: str
    window_start_ms: WindowMs
    window_end_ms: WindowMs
    n_events: Annotated[int, Meta(ge=0, description="events that were scored")]
    measurements: list[ModelMeasurement]
    schema_version: int = SCHEMA_VERSION
