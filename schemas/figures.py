"""Metrics of workers and of the API as JSON, for a page that cannot reach workers itself. No topic carries these."""

from msgspec import Struct


class Sample(Struct, frozen=True, kw_only=True):
    """One sample as Prometheus has it."""

    name: str
    labels: dict[str, str]
    value: float


class WorkerFigures(Struct, frozen=True, kw_only=True):
    """Of one worker; none when it does not answer."""

    address: str
    samples: list[Sample]


class Figures(Struct, frozen=True, kw_only=True):
    """As they are at ``time_ms``. Counters count from the start of each process; of the API those at 0 are left out."""

    time_ms: int
    workers: list[WorkerFigures]
    api: list[Sample]
