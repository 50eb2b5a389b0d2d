"""Judges the windows of all partitions: reads `metrics.quality`, writes `metrics.checks`, `alerts` and `audit.log`.

Every worker follows both topics of metrics and so judges alike; the one that has the first partition of `events.browse`
tells what is not on `metrics.checks` yet. When another takes over, nothing is left out.
"""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from models.quality.actions import KINDS, Sanctions
from models.quality.codec import decode_profile
from models.quality.monitor.contract import Rule
from models.quality.monitor.monitor import RANK, Judged, Monitor
from models.quality.monitor.settings import MonitorSettings
from schemas import topics
from schemas.audit import AuditEntry
from schemas.checks import Action, Alert, CheckReport
from schemas.quality import QualityReport
from streams import metrics
from streams.engine.outbox import Outbox
from streams.follow import FollowedRecord

log = logging.getLogger(__name__)

TELL_EVERY_S: Final = 1.0
ACTOR: Final = "quality monitor"
MAX_UNTOLD: Final = 100_000
"""Windows kept that nobody has told of, oldest dropped first."""

_encode = msgspec.json.Encoder().encode
_report = msgspec.json.Decoder(QualityReport)
_checks = msgspec.json.Decoder(CheckReport)

Window = tuple[str, int]
"""Source and start, milliseconds."""


class QualityMonitor:
    """The monitor of one worker. ``leads`` says whether this one is to tell now."""

    def __init__(
        self,
        settings: MonitorSettings,
        rules: Sequence[Rule],
        outbox: Outbox,
        leads: Callable[[], bool],
        sanctions: Sanctions,
    ) -> None:
        self._monitor = Monitor(settings, rules)
        self._sanctions = sanctions
        self._outbox = outbox
        self._leads = leads
        self._told: set[Window] = set()
        """On the topic and not yet judged here, or told and not yet seen there."""
        self._untold: dict[Window, Judged] = {}

    def apply(self, records: Sequence[FollowedRecord]) -> None:
        """Take reports and results as they come."""
        for record in records:
            if record.value is None:
                continue
            try:
                self._apply(record.topic, record.value)
            except ValueError as error:  # of msgspec too: another release's, or none of ours
                log.warning("quality_unreadable topic=%s offset=%d: %s", record.topic, record.offset, error)

    def _apply(self, topic: str, value: bytes) -> None:
        if topic == topics.CHECKS:
            report = _checks.decode(value)
            window = report.source, report.window_start_ms
            if self._untold.pop(window, None) is None:
                self._told ^= {window}
            return
        profile = decode_profile(_report.decode(value).sketches)
        for found in self._monitor.add(profile) if profile else ():
            judged = self._sanctions.heard(found)
            window = judged.report.source, judged.report.window_start_ms
            self._set_gauges(judged.report)
            if window in self._told:
                self._told.discard(window)
            else:
                self._untold[window] = judged
                if len(self._untold) > MAX_UNTOLD:
                    del self._untold[next(iter(self._untold))]

    async def run(self) -> None:
        """Tell for ever; what was judged before this worker led, and nobody told, comes first."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            if self._leads() and self._untold:
                await self.tell()

    async def tell(self) -> None:
        """Publish what is untold; the topic itself strikes it off."""
        untold = dict(self._untold)
        parcel = self._outbox.parcel()
        for judged in untold.values():
            parcel.add(topics.CHECKS, judged.report.source.encode(), _encode(judged.report))
            for alert in judged.alerts:
                parcel.add(topics.ALERTS, alert.source.encode(), _encode(alert))
                if alert.action:
                    entry = acted(alert, alert.action, time.time_ns() // 1_000_000)
                    parcel.add(topics.AUDIT, entry.subject.encode(), _encode(entry))
        parcel.seal()
        await parcel.delivered
        for window in untold:
            if self._untold.pop(window, None):
                self._told.add(window)

    def _set_gauges(self, report: CheckReport) -> None:
        for result in report.checks:
            metrics.CHECK_STATUS.labels(report.source, result.check, result.field).set(RANK[result.status])
        going_on = Tally(each.kind for each in self._sanctions.going_on if each.source == report.source)
        for kind in KINDS:
            metrics.SANCTIONS.labels(report.source, kind).set(going_on[kind])


def acted(alert: Alert, action: Action, now_ms: int) -> AuditEntry:
    """What was done about a check, for the audit log. ``now_ms`` is the time of day."""
    until = "" if action.until_ms is None else f" before {action.until_ms}"
    result = alert.result
    return AuditEntry(
        time_ms=now_ms,
        actor=ACTOR,
        action=action.kind,
        subject=f"{alert.source}/{action.field}".rstrip("/"),
        detail=f"{action.state}: {result.check} {result.field} {result.status} at {result.value:.4g}, n {result.n}, "
        f"events from {action.since_ms} ms on{until}; {result.evidence}".rstrip("; "),
    )
