"""What a report is made of, read from the topics: bounded by the windows that it shows."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from msgspec.structs import asdict

from models.value.report import combined
from schemas.checks import Alert, CheckReport
from schemas.quality import QualityReport
from schemas.value import ValueReport
from streams.client import Rillet
from streams.errors import BrokerRefusedError
from streams.inventory import Inventory, look
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.client import Since
    from streams.inventory.look import Tell

T = TypeVar("T")

MAX_WINDOWS: Final = 20_000
"""Newest reports of each kind that are kept."""
MAX_ALERTS: Final = 50
N_STRETCHES: Final = 60
"""Points of a curve over time."""


class Scored(NamedTuple):
    """One window of one source and some of its partitions."""

    source: str
    end_ms: int
    n_events: int
    scores: dict[str, float]
    """By dimension, those that are known."""


class Valued(NamedTuple):
    """What sources were worth in a stretch of time."""

    end_ms: int
    report: ValueReport


class Gathered(NamedTuple):
    """All of it, the oldest first."""

    inventory: Inventory
    scored: Sequence[Scored]
    checks: Sequence[CheckReport]
    alerts: Sequence[Alert]
    values: dict[str, ValueReport]
    """Of all windows together, by what is valued: ``source``, ``signal``."""
    valued: Sequence[Valued]
    """Of sources."""
    notes: list[str]


def gathered(settings: Settings, since: "Since", n_sampled: int, tell: "Tell | None" = None) -> Gathered:
    """Look at the cluster, and read what its workers told since.

    Raises:
        BrokerUnreachableError: no broker answers.
        BrokerRefusedError: it does not list its topics.
    """
    inventory, notes = look(settings, n_sampled=n_sampled, tell=tell), list[str]()
    with Rillet(kafka=settings.kafka) as rillet:
        scored = deque(map(_scored, _read(rillet.quality(since=since, follow=False), notes)), MAX_WINDOWS)
        checks = deque(_read(rillet.checks(since=since, follow=False), notes), MAX_WINDOWS)
        alerts = deque(_read(rillet.alerts(since=since, follow=False), notes), MAX_ALERTS)
        told = deque(_read(rillet.values(since=since, follow=False), notes), MAX_WINDOWS)
    return Gathered(
        inventory,
        sorted(scored, key=lambda each: each.end_ms),
        sorted(checks, key=lambda each: (each.window_end_ms, each.source)),
        sorted(alerts, key=lambda each: each.window_end_ms),
        {of: report for of in ("source", "signal") if (report := combined([e for e in told if e.of == of]))},
        list(_stretches([each for each in told if each.of == "source"])),
        notes,
    )


def _read(feed: Iterable[T], notes: list[str]) -> Iterable[T]:
    try:
        yield from feed
    except BrokerRefusedError as error:
        notes.append(str(error).splitlines()[0])


def _scored(report: QualityReport) -> Scored:
    scores = {name: score for name, score in asdict(report.scores).items() if score is not None}
    return Scored(report.source, report.window_end_ms, report.n_events, scores)


def _stretches(told: list[ValueReport]) -> Iterable[Valued]:
    """Windows of all workers, put together in as many stretches as a curve has points."""
    if not told:
        return
    first, last = min(e.window_end_ms for e in told), max(e.window_end_ms for e in told)
    step = max(1, (last - first) // N_STRETCHES + 1)
    by_stretch: dict[int, list[ValueReport]] = {}
    for each in told:
        by_stretch.setdefault((each.window_end_ms - first) // step, []).append(each)
    for stretch in sorted(by_stretch):
        report = combined(by_stretch[stretch])
        if report:
            yield Valued(report.window_end_ms, report)


def time_of(time_ms: int) -> str:
    """To the minute."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
