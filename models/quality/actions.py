"""What is done about failing checks, and for which events: the same in every worker, for all judge the same windows.

An action holds from the start of the window that failed, by event time, and ends with the window that was good again:
that is the range to replay. What was learned before it was told is not taken back.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from models.quality.action_settings import ActionSettings
from models.quality.monitor.monitor import Judged
from schemas.checks import Action, Alert, Status

BLANK: Final = "blank"
QUARANTINE: Final = "quarantine"
WEIGH: Final = "weigh"
KINDS: Final = (BLANK, QUARANTINE, WEIGH)
FIELDS: Final = frozenset({"category", "brand", "price"})
"""That can be blank in every event that has them."""
MAX_ENDED: Final = 64
"""Ranges that are over and kept for events that come late, latest first."""
FOREVER_MS: Final = 1 << 62


class Sanction(NamedTuple):
    """An action in force, over a range of event time."""

    kind: str
    source: str
    field: str
    since_ms: int
    until_ms: int = FOREVER_MS

    def covers(self, source: str, time_ms: int) -> bool:
        """Whether an event of this source and time is meant."""
        return self.source == source and self.since_ms <= time_ms < self.until_ms


class Sanctions:
    """Those in force, by the check that brought them about. Bounded by checks, and by ``MAX_ENDED``."""

    def __init__(self, settings: ActionSettings) -> None:
        self._settings = settings
        self._held: dict[tuple[str, str, str], Sanction] = {}
        self._ended: list[Sanction] = []

    @property
    def in_force(self) -> list[Sanction]:
        """All of them, those that are over too; none where nothing may be done."""
        return [*self._held.values(), *self._ended] if self._settings.act == "apply" else []

    @property
    def going_on(self) -> list[Sanction]:
        """Those of them that are not over."""
        return list(self._held.values()) if self._settings.act == "apply" else []

    @property
    def weight(self) -> float:
        """What outcomes of a weighed source count."""
        return self._settings.weight

    def heard(self, judged: Judged) -> Judged:
        """Take one window's verdicts; its alerts, with what is done about them."""
        if self._settings.act == "off":
            return judged
        return judged._replace(alerts=[self._acted(alert) for alert in judged.alerts])

    def _acted(self, alert: Alert) -> Alert:
        place = alert.source, alert.result.check, alert.result.field
        if alert.result.status is Status.FAIL:
            return self._begin(place, alert)
        held = self._held.pop(place, None)
        if held is None:
            return alert
        ended = held._replace(until_ms=alert.window_end_ms)
        self._ended = [ended, *self._ended][:MAX_ENDED]
        return replace(alert, action=self._told(ended, "undone"))

    def _begin(self, place: tuple[str, str, str], alert: Alert) -> Alert:
        kind = self._kind(alert.result.check, alert.result.field)
        if kind is None:
            return alert
        field = alert.result.field.rpartition(".")[2] if kind == BLANK else ""
        sanction = Sanction(kind, alert.source, field, alert.window_start_ms)
        self._held[place] = sanction
        return replace(alert, action=self._told(sanction, "done"))

    def _kind(self, check: str, field: str) -> str | None:
        settings, check = self._settings, check.partition(":")[0]
        if check in settings.blank and field.rpartition(".")[2] in FIELDS:
            return BLANK
        if check in settings.quarantine:
            return QUARANTINE
        return WEIGH if check in settings.weigh else None

    def _told(self, sanction: Sanction, state: str) -> Action:
        ended = sanction.until_ms != FOREVER_MS
        return Action(
            kind=sanction.kind,
            field=sanction.field,
            state=state if self._settings.act == "apply" else ("withdrawn" if ended else "proposed"),
            since_ms=sanction.since_ms,
            until_ms=sanction.until_ms if ended else None,
        )


def covering(
    sanctions: Iterable[Sanction], kind: str, arrivals: Iterable[tuple[str, int]]
) -> Iterator[tuple[int, Sanction]]:
    """Places of arrivals, given as source and event time, with a sanction of this kind on each."""
    mine = [each for each in sanctions if each.kind == kind]
    for place, (source, time_ms) in enumerate(arrivals if mine else ()):
        for each in mine:
            if each.covers(source, time_ms):
                yield place, each
