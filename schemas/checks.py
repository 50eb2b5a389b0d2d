"""Whether the data of a source are as they were before, or as a contract demands: ``metrics.checks`` and ``alerts``.

Aggregates and labels of the shop only: no user or item id ever appears here.
"""

from enum import StrEnum

from msgspec import Struct

from schemas.events import SCHEMA_VERSION


class Status(StrEnum):
    """From good to bad."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class CheckResult(Struct, frozen=True, kw_only=True):
    """One check in one window."""

    check: str
    dimension: str
    field: str
    """Empty for the source as a whole."""
    status: Status
    value: float
    low: float | None
    """Least and highest value that pass; null where any does, or where too little was seen to tell."""
    high: float | None
    n: int
    evidence: str


class CheckReport(Struct, frozen=True, kw_only=True):
    """All checks of one source in one window of event time, over all partitions."""

    source: str
    window_start_ms: int
    window_end_ms: int
    """Exclusive."""
    n_events: int
    status: Status
    """The worst."""
    checks: list[CheckResult]
    schema_version: int = SCHEMA_VERSION


class Action(Struct, frozen=True, kw_only=True):
    """What is done about a check that fails, to the events of its source from ``since_ms`` to before ``until_ms``."""

    kind: str
    field: str
    """Empty for the source as a whole."""
    state: str
    since_ms: int
    until_ms: int | None
    """Null while it goes on. What lies between the two can be replayed after a repair."""


class Alert(Struct, frozen=True, kw_only=True):
    """A check that changed its status. ``alert_id`` is ``source/check/field/window start``: repeats have the same."""

    alert_id: str
    source: str
    window_start_ms: int
    window_end_ms: int
    before: Status
    result: CheckResult
    action: Action | None = None
    schema_version: int = SCHEMA_VERSION
