"""Acts on the value of data: reads `metrics.value`, writes `audit.log` and `alerts`, and lets challengers compete.

Every worker follows the reports of all, and on `audit.log` what was told and tried; the one that has the first
partition of `events.browse` tells and begins, and goes on where another left off. A challenger takes over by the
contest of the learn stage alone; what it is made of every worker knows from its name.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from models.learn.learning import Learning
from models.learn.without import name_of
from models.value.selection import Finding, Selection, Told, is_of_a_game
from models.value.settings import ValueSettings
from schemas import topics
from schemas.audit import AuditedFinding, AuditEntry
from schemas.checks import Alert, CheckResult, Status
from schemas.value import ValueReport
from streams.engine.outbox import Outbox, Parcel
from streams.follow import FollowedRecord

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_report = msgspec.json.Decoder(ValueReport)
_entry = msgspec.json.Decoder(AuditEntry)
CHECK: Final = "value"
State = Literal["proposed", "withdrawn", "tried"]


class ValueSelection:
    """Of one worker. ``leads`` says whether this one is to act now, ``actor`` who it is."""

    def __init__(
        self,
        settings: ValueSettings,
        learning: Learning,
        outbox: Outbox,
        leads: Callable[[], bool],
        actor: str,
    ) -> None:
        self._settings, self._learning, self._outbox = settings, learning, outbox
        self._leads, self._actor = leads, actor
        self._selection, self._told = Selection(settings.selection), Told()
        self._tried_ms: dict[str, int] = {}
        """End of the evidence by which each challenger began; they are as many as there are sources and signals."""

    def apply(self, records: Sequence[FollowedRecord]) -> None:
        """Take reports as they come."""
        for record in records:
            if record.value is None:
                continue
            try:
                self._selection.add(_report.decode(record.value))
            except ValueError as error:
                log.warning("value_unreadable topic=%s offset=%d: %s", record.topic, record.offset, error)

    def heard(self, records: Sequence[FollowedRecord]) -> None:
        """Take entries of `audit.log` as they come, this worker's own among them."""
        for record in records:
            if record.value is None:
                continue
            try:
                finding = _entry.decode(record.value).finding
            except ValueError as error:
                log.warning("audit_unreadable topic=%s offset=%d: %s", record.topic, record.offset, error)
                continue
            if finding and is_of_a_game(_found(finding)):
                self._note(finding.state, _found(finding))

    def _note(self, state: str, finding: Finding) -> None:
        if state == "proposed":
            self._told.proposed(finding)
        elif state == "withdrawn":
            self._told.withdrawn(finding)
        else:
            name = name_of(finding.of, finding.player)
            self._tried_ms[name] = max(finding.until_ms, self._tried_ms.get(name, 0))

    async def run(self) -> None:
        """Act for ever. Who has just begun to lead waits a turn, to hear what the one before told last."""
        led = False
        while True:
            await asyncio.sleep(self._settings.report_s)
            leads = self._leads()
            if leads and led:
                await self.act()
            led = leads

    async def act(self) -> None:
        """Tell what is new, and begin and end challengers where that is allowed."""
        findings, parcel = self._selection.findings(), self._outbox.parcel()
        decided = self._told.decide(findings, self._selection.judged())
        for each in decided.new:
            self._audit(parcel, "flag" if each.harms else "drop", each, "proposed")
            if each.harms:
                _alert(parcel, each, Status.FAIL)
        for each in decided.over:
            self._audit(parcel, "flag" if each.harms else "drop", each, "withdrawn")
            if each.harms:
                _alert(parcel, each, Status.PASS)
        if self._settings.act == "apply":
            self._try(findings, parcel)
        parcel.seal()
        await parcel.delivered

    def _try(self, findings: list[Finding], parcel: Parcel) -> None:
        """One challenger at a time, the one without the least valuable first."""
        learning, settings = self._learning, self._settings.selection
        for name in learning.trials:
            sums = learning.contests[name]
            if sums.n >= settings.max_lists:
                learning.end_trial(name)
                gain = sums.total / sums.n
                self._write(
                    parcel, "trial", name, f"ended: NDCG {gain:+.4f} on {sums.n:.0f} lists, not surely better"
                )
        for each in findings if not learning.trials else ():
            name = name_of(each.of, each.player)
            waited_ms = each.until_ms - self._tried_ms.get(name, -(1 << 62))
            if name != learning.champion and waited_ms >= settings.again_s * 1_000.0:
                self._note("tried", each)
                learning.try_without(name)
                detail = f"begun against {learning.champion}: {each.told()}"
                self._write(parcel, "trial", name, detail, _audited("tried", each))
                return

    def _audit(self, parcel: Parcel, action: str, finding: Finding, state: State) -> None:
        subject, detail = f"{finding.of}/{finding.player}", f"{state}: {finding.told()}"
        self._write(parcel, action, subject, detail, _audited(state, finding))

    def _write(
        self, parcel: Parcel, action: str, subject: str, detail: str, finding: AuditedFinding | None = None
    ) -> None:
        entry = AuditEntry(
            time_ms=time.time_ns() // 1_000_000,
            actor=self._actor,
            action=action,
            subject=subject,
            detail=detail,
            finding=finding,
        )
        parcel.add(topics.AUDIT, subject.encode(), _encode(entry))


def _audited(state: State, finding: Finding) -> AuditedFinding:
    return AuditedFinding(
        state=state,
        of=finding.of,
        player=finding.player,
        value=finding.value,
        value_error=finding.error,
        n=finding.n,
        window_start_ms=finding.since_ms,
        window_end_ms=finding.until_ms,
    )


def _found(audited: AuditedFinding) -> Finding:
    return Finding(
        audited.of,
        audited.player,
        audited.value,
        audited.value_error,
        audited.n,
        audited.window_start_ms,
        audited.window_end_ms,
    )


def _alert(parcel: Parcel, finding: Finding, status: Status) -> None:
    """That a player harms, or no longer does."""
    result = CheckResult(
        check=CHECK,
        dimension=CHECK,
        field=finding.player,
        status=status,
        value=finding.value,
        low=0.0,
        high=None,
        n=finding.n,
        evidence=finding.told(),
    )
    alert = Alert(
        alert_id=f"{finding.of}/{CHECK}/{finding.player}/{finding.since_ms}",
        source=finding.of,
        window_start_ms=finding.since_ms,
        window_end_ms=finding.until_ms,
        before=Status.PASS if status is Status.FAIL else Status.FAIL,
        result=result,
    )
    parcel.add(topics.ALERTS, finding.of.encode(), _encode(alert))
