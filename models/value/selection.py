"""Which sources and signals are worth nothing, or less, by what the windows of ``metrics.value`` tell together.

It proposes. What is dropped is decided by a contest: a challenger that does without must surely be better.
"""

from collections import deque
from collections.abc import Set
from typing import Final, NamedTuple

from models.value.games import GAMES
from models.value.report import combined
from models.value.selection_settings import SelectionSettings
from schemas.value import ValueReport

METRIC: Final = "ndcg"
Z: Final = 1.96
"""Standard errors on both sides of an interval of 95%."""


class Finding(NamedTuple):
    """A player that is not worth having, and the evidence."""

    of: str
    player: str
    value: float
    error: float
    """Standard error."""
    n: int
    """Lists."""
    since_ms: int
    until_ms: int

    @property
    def high(self) -> float:
        """End of the interval."""
        return self.value + Z * self.error

    @property
    def harms(self) -> bool:
        """Whether it is surely worth less than nothing."""
        return self.high < 0.0

    def told(self) -> str:
        """In words."""
        return (
            f"NDCG {self.value:+.5f} ± {Z * self.error:.5f} on {self.n} lists "
            f"from {self.since_ms} to {self.until_ms} ms"
        )


class Selection:
    """Follows the reports of all workers. Bounded: the newest ``windows`` of each game."""

    def __init__(self, settings: SelectionSettings) -> None:
        self._settings = settings
        self._reports: dict[str, deque[ValueReport]] = {}

    def add(self, report: ValueReport) -> None:
        """Take a window of a worker; shadow learners are a cross-check, by which nothing is dropped."""
        if report.of in GAMES:
            self._reports.setdefault(report.of, deque(maxlen=self._settings.windows)).append(report)

    def findings(self) -> list[Finding]:
        """Of all games, the least valuable first, ties by name; none before enough was seen."""
        found = [each for of in sorted(self._reports) for each in self._of(of)]
        return sorted(found, key=lambda each: (each.value, each.of, each.player))

    def judged(self) -> set[str]:
        """Games of which enough was seen to say that a finding holds no more."""
        return {
            of for of in self._reports if (whole := self._whole(of)) and whole.n >= self._settings.min_lists
        }

    def _of(self, of: str) -> list[Finding]:
        whole = self._whole(of)
        return [] if whole is None else not_worth_having(whole, self._settings)

    def _whole(self, of: str) -> ValueReport | None:
        reports = self._reports[of]
        return combined(reports) if len(reports) >= self._settings.min_windows else None


def not_worth_having(whole: ValueReport, settings: SelectionSettings) -> list[Finding]:
    """Of one report, in its order; none of too few lists. What there is nothing of is left out."""
    if whole.n < settings.min_lists:
        return []
    span = whole.n, whole.window_start_ms, whole.window_end_ms
    values = (each for each in whole.values if each.metric == METRIC)
    found = [Finding(whole.of, each.player, each.value, each.value_error, *span) for each in values]
    return [each for each in found if each.error > 0.0 and each.high <= settings.worth]


class Decided(NamedTuple):
    """What is new: findings to tell of, and those that hold no more."""

    new: list[Finding]
    over: list[Finding]


class Told:
    """Findings that were told of, so that each is once; and again when what seemed worthless turns out to harm.

    A worker that takes over is told first what others told. Bounded by the players that there are.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Finding] = {}

    def proposed(self, finding: Finding) -> None:
        """It was told of."""
        self._told[finding.of, finding.player] = finding

    def withdrawn(self, finding: Finding) -> None:
        """It was told that it holds no more."""
        self._told.pop((finding.of, finding.player), None)

    def decide(self, findings: list[Finding], judged: Set[str]) -> Decided:
        """Compare with what was told before; nothing is over in a game that is not ``judged`` now."""
        now = {(each.of, each.player): each for each in findings}
        new = [
            each
            for place, each in now.items()
            if place not in self._told or each.harms > self._told[place].harms
        ]
        over = [each for place, each in self._told.items() if place not in now and each.of in judged]
        for each in over:
            self.withdrawn(each)
        for each in new:
            self.proposed(each)
        return Decided(new, over)


def is_of_a_game(finding: Finding) -> bool:
    """Whether there is such a player."""
    return finding.of in GAMES and finding.player in GAMES[finding.of].players
