"""Judges merged windows of the sources: each measure against what was usual, and says when a status changes.

Pure and deterministic: the same profiles in the same order give the same results, on every worker.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from math import exp
from typing import Final, NamedTuple

from models.quality.monitor.baseline import Baseline
from models.quality.monitor.contract import Rule, judged
from models.quality.monitor.drift import Reference
from models.quality.monitor.measures import (
    Measure,
    events_a_user,
    measures,
    n_users,
    partition_measures,
)
from models.quality.monitor.settings import MonitorSettings
from models.quality.profile import Profile, merge
from schemas.checks import Alert, CheckReport, CheckResult, Status

RANK: Final = {Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2}
ENOUGH_USERS: Final = 30
"""Of a partition: that none of so many come is no chance (exp(-30))."""
MOST_WINDOWS: Final = 6
"""That are put together for as many."""
REPEATS: Final = 2
"""Windows in a row that a deviation needs to warn, and a return to what is usual needs to be told."""


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of them, pass where there is none."""
    return max(statuses, key=RANK.__getitem__, default=Status.PASS)


class Judged(NamedTuple):
    """One source and window."""

    report: CheckReport
    alerts: list[Alert]


class Monitor:
    """All sources. Bounded by the measures of each: fields and partitions, which are few."""

    def __init__(self, settings: MonitorSettings, rules: Sequence[Rule] = ()) -> None:
        self._settings = settings
        self._rules = rules
        self._waiting: dict[int, dict[tuple[str, int], Profile]] = {}
        """Profiles by window start, then by source and partitions."""
        self._judged_ms = -(2**62)
        self._sources: dict[str, _Source] = {}

    def add(self, profile: Profile) -> list[Judged]:
        """Take one closed window of some partitions; the windows that are complete with it, oldest first.

        A window is complete when one that starts ``hold_windows`` later has come. What comes later still is left out.
        """
        if profile.start_ms <= self._judged_ms:
            return []
        place = profile.source, profile.partitions[0] if profile.partitions else -1
        self._waiting.setdefault(profile.start_ms, {})[place] = profile
        due_ms = profile.start_ms - self._settings.hold_windows * profile.width_ms
        found: list[Judged] = []
        for start_ms in sorted(start for start in self._waiting if start <= due_ms):
            self._judged_ms = max(self._judged_ms, start_ms)
            found += self._judge(list(self._waiting.pop(start_ms).values()))
        return found

    def _judge(self, profiles: list[Profile]) -> Iterator[Judged]:
        by_source: dict[str, list[Profile]] = {}
        for profile in profiles:
            by_source.setdefault(profile.source, []).append(profile)
        start_ms, width_ms = profiles[0].start_ms, profiles[0].width_ms
        for source in sorted(self._sources.keys() | by_source.keys()):
            parts = by_source.get(source) or [
                Profile(source=source, partitions=[], start_ms=start_ms, width_ms=width_ms)
            ]
            state = self._sources.setdefault(source, _Source(source, self._settings, self._rules))
            yield state.judge(parts)


class _Verdict(NamedTuple):
    status: Status
    low: float | None
    high: float | None


class _Check:
    """One measure of one source: what is usual, and what it said lately."""

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings
        self._baseline = Baseline(settings.memory_windows)
        self._n_off = self._n_good = 0
        self.status = Status.PASS
        """As it was told."""
        self.adopts = False
        """Whether the last window was one too many that is off: the usual is learned afresh."""

    def judge(self, measure: Measure, time_ms: int) -> _Verdict:
        """Judge and learn."""
        settings, limits = self._settings, measure.limits
        usual = self._baseline.usual(time_ms)
        error = measure.error(usual)
        if self._baseline.n < settings.warm_up_windows:
            self._baseline.learn(measure.value, time_ms, error)
            return _Verdict(Status.PASS, None, None)
        scale = self._baseline.scale(error)
        away = measure.value - usual
        matters = (away < 0 and limits.below) or (away > 0 and limits.above)
        warn = max(settings.warn_z * scale, limits.warn / settings.sensitivity)
        fail = max(settings.fail_z * scale, limits.fail / settings.sensitivity)
        off = matters and abs(away) > warn
        failing = off and abs(away) > fail
        self._n_off = self._n_off + 1 if off else 0
        status = Status.FAIL if failing else Status.WARN if self._n_off >= REPEATS else Status.PASS
        self.adopts = self._n_off > settings.adopt_windows
        if self.adopts:
            self._baseline, self._n_off = Baseline(settings.memory_windows), 0
        elif not off:
            self._baseline.learn(measure.value, time_ms, error)
        return _Verdict(
            status, usual - warn if limits.below else None, usual + warn if limits.above else None
        )

    def told(self, status: Status) -> Status | None:
        """The status told before, when it is to be told that it is another; to get better takes ``REPEATS`` windows."""
        self._n_good = self._n_good + 1 if RANK[status] < RANK[self.status] else 0
        worse = RANK[status] > RANK[self.status]
        if not worse and self._n_good < REPEATS:
            return None
        before, self.status, self._n_good = self.status, status, 0
        return before


class _Source:
    def __init__(self, name: str, settings: MonitorSettings, rules: Sequence[Rule]) -> None:
        self._name = name
        self._settings = settings
        self._rules = [rule for rule in rules if rule.source == name]
        self._reference = Reference(settings.reference_windows)
        self._checks: dict[tuple[str, str], _Check] = {}
        self._partitions: set[int] = set()
        self._users: deque[Mapping[int, float]] = deque(maxlen=MOST_WINDOWS)

    def judge(self, parts: Sequence[Profile]) -> Judged:
        window = reduce(merge, parts)
        self._partitions.update(window.partitions)
        self._users.append({part.partitions[0]: n_users(part) for part in parts if part.partitions})
        results = [self._learned(each, window.start_ms) for each in self._measures(window)]
        failing = {
            each.field for each in results if each.dimension == "distribution" and each.status != Status.PASS
        }
        self._reference.learn(window, failing)
        results += [judged(rule, window) for rule in self._rules]
        report = CheckReport(
            source=self._name,
            window_start_ms=window.start_ms,
            window_end_ms=window.end_ms,
            n_events=window.n_events,
            status=worst(each.status for each in results),
            checks=results,
        )
        return Judged(report, list(self._alerts(report)))

    def _measures(self, window: Profile) -> Iterator[Measure]:
        least, each = self._settings.min_events, events_a_user(window)
        of_window = *measures(window), *self._reference.measures(window, least)
        for measure in (*of_window, *partition_measures(self._users_of_late())):
            if measure.n >= least or measure.dimension == "volume":
                yield measure._replace(each=each)

    def _users_of_late(self) -> dict[int, float]:
        """By partition, of as few windows as have enough of them for chance alone to leave none silent."""
        users = dict.fromkeys(sorted(self._partitions), 0.0)
        for window in reversed(self._users):
            for partition, n in window.items():
                users[partition] += n
            if sum(users.values()) >= ENOUGH_USERS * len(users):
                break
        return users

    def _learned(self, measure: Measure, time_ms: int) -> CheckResult:
        check = self._checks.setdefault(measure.name, _Check(self._settings))
        verdict = check.judge(measure, time_ms)
        if check.adopts:
            self._reference.forget(measure.field)
        shown = _plain if measure.of == "share" else exp
        return CheckResult(
            check=measure.check,
            dimension=measure.dimension,
            field=measure.field,
            status=verdict.status,
            value=shown(measure.value),
            low=None if verdict.low is None else shown(verdict.low),
            high=None if verdict.high is None else shown(verdict.high),
            n=measure.n,
            evidence=measure.evidence,
        )

    def _alerts(self, report: CheckReport) -> Iterator[Alert]:
        for result in report.checks:
            check = self._checks.setdefault((result.check, result.field), _Check(self._settings))
            before = check.told(result.status)
            if before is not None:
                yield Alert(
                    alert_id=f"{report.source}/{result.check}/{result.field}/{report.window_start_ms}",
                    source=report.source,
                    window_start_ms=report.window_start_ms,
                    window_end_ms=report.window_end_ms,
                    before=before,
                    result=result,
                )


def _plain(value: float) -> float:
    return value
