"""How good a source was over one window of event time: the values of the topic ``metrics.quality``.

Ratios and scores are 0 (worst) to 1; null means that the window holds nothing to judge by.
"""

from msgspec import Struct

from schemas.events import SCHEMA_VERSION


class FieldQuality(Struct, frozen=True, kw_only=True):
    """One field, over the records that have it."""

    completeness: float | None = None
    """Share of the accepted events in which an optional field says something; null for a required field."""
    validity: float | None = None
    """Share not rejected for this field."""


class Scores(Struct, frozen=True, kw_only=True):
    """One figure a dimension, for the whole source."""

    completeness: float | None
    """Share of all optional values that say something."""
    validity: float | None
    """Share of the records that were accepted."""
    uniqueness: float | None
    """Share of the accepted events whose id was new."""
    timeliness: float | None
    """Share of the accepted events that were not late and whose lag was within the threshold."""
    consistency: float | None
    """Share of the cross-checks passed: items known to the catalogue, purchases after a view."""
    overall: float | None
    """Weighted mean of those that are known."""


class QualityReport(Struct, frozen=True, kw_only=True):
    """One source and window. ``report_id`` is ``topic-partition-window start``, partitions joined by ``+``.

    A late event, whose own window had closed, counts in the window that was newest when it came.
    """

    report_id: str
    source: str
    window_start_ms: int
    window_end_ms: int
    """Exclusive."""
    partitions: list[int]
    n_events: int
    """Records read: accepted and rejected."""
    n_accepted: int
    n_rejected: int
    n_duplicates: int
    n_late: int
    rejected: dict[str, int]
    """Records by reason."""
    kinds: dict[str, int]
    """Accepted events, and lines of orders, by the name of their type."""
    fields: dict[str, FieldQuality]
    """By path, such as ``price`` or ``lines.price``."""
    unknown_fields: dict[str, int]
    """How often each field that the schema does not know was seen; ``*`` stands for further names."""
    events_per_s: float
    lag_p50_s: float | None
    """Median of record timestamp less event time, seconds."""
    lag_p99_s: float | None
    scores: Scores
    recipes: dict[str, int] = {}
    """Accepted events by the label of the recipe that cleaned them."""
    cleaned: dict[str, int] = {}
    """Accepted events that each step of cleaning changed or kept from teaching others; all else is of what arrived."""
    sketches: str = ""
    """Counts and sketches behind the figures, from which those of all partitions are merged; read by Rillet only."""
    schema_version: int = SCHEMA_VERSION
