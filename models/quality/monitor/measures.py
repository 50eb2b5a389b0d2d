"""What is measured of one merged window, each with the least change that matters.

A measure's error is what chance alone does to it, given the usual value: that of a share, or of a count.
"""

from collections.abc import Iterator, Mapping
from math import exp, inf, log, sqrt
from typing import Any, Final, Literal, NamedTuple

from models.quality.fields import SHAPES
from models.quality.lag import quantile_s
from models.quality.profile import Profile
from models.quality.sketch import n_distinct

BELOW_FIRST_LAG_S: Final = 0.001
MAX_LOG: Final = 60.0
LOG_TIME_ERROR: Final = 0.1
"""A quantile of a lag is known to a tenth of itself at best: so wide are the bins."""


class Limits(NamedTuple):
    """Least deviation from the usual that warns and that fails, below it and above it."""

    warn: float
    fail: float
    below: bool = True
    above: bool = True


class Measure(NamedTuple):
    """One figure of a window, with what it is about."""

    check: str
    dimension: str
    field: str
    value: float
    n: int
    limits: Limits
    evidence: str = ""
    of: Literal["share", "log_count", "log_share", "log_time"] = "share"
    """What the value is, or its logarithm; a share is one of n."""
    each: float = 1.0
    """Events that come together, as those of one user do, so that they count as one."""

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from the other measures of its source."""
        return self.check, self.field

    def error(self, usual: float) -> float:
        """Standard deviation by chance alone, where ``usual`` is the expected value."""
        if self.of == "log_count":
            return self._of_counts(exp(min(usual, MAX_LOG)) / self.each, 1 / self.each, usual)
        if self.of == "log_share":
            return self._of_counts(exp(min(usual, 0.0)) * self.n, self.n, usual)
        if self.of == "log_time":
            return LOG_TIME_ERROR
        p = min(max(usual, 1 / (self.n + 1)), 1 - 1 / (self.n + 1))
        return sqrt(p * (1 - p) * self.each / max(self.n, 1))

    def _of_counts(self, expected: float, scale: float, usual: float) -> float:
        """So that the deviation is as many of it as of the roots of the counts, which vary by a half (Bartlett, 1936).

        Logarithms of small counts vary far more downwards than upwards: none of ten is less rare than it looks.
        """
        found, expected = exp(min(self.value, MAX_LOG)) * scale, max(expected, 1.0)
        apart = 2 * abs(sqrt(found) - sqrt(expected))
        away = abs(self.value - usual)
        return away / apart if away > 0.01 and apart else 1 / sqrt(expected)


RISE: Final[dict[str, Any]] = {"below": False}
DROP: Final[dict[str, Any]] = {"above": False}
VOLUME: Final = Limits(log(1.8), log(3.0))
PARTITION: Final = Limits(log(3.0), log(10.0), **DROP)
COMPLETENESS: Final = Limits(0.03, 0.10, **DROP)
REJECTED: Final = Limits(0.01, 0.05, **RISE)
DUPLICATES: Final = Limits(0.01, 0.05, **RISE)
LATE: Final = Limits(0.03, 0.10, **RISE)
AHEAD: Final = Limits(0.05, 0.20, **RISE)
KNOWN: Final = Limits(0.03, 0.10, **DROP)
VIEWED: Final = Limits(0.15, 0.30, **DROP)
AGREEMENT: Final = Limits(0.03, 0.10, **DROP)
UNKNOWN_FIELDS: Final = Limits(0.01, inf, **RISE)
HOT_KEY: Final = Limits(0.04, 0.10, **RISE)
LAG: Final = Limits(log(4.0), log(20.0))


def measures(window: Profile) -> Iterator[Measure]:
    """All that need no reference; those of rates are per window."""
    n, n_accepted = window.n_events, window.n_accepted
    yield Measure("volume", "volume", "", log(n + 0.5), n, VOLUME, of="log_count")
    if n:
        reasons = ", ".join(f"{name} {count}" for name, count in _most(window.rejected | window.invalid))
        yield Measure("rejected", "validity", "", window.n_rejected / n, n, REJECTED, reasons)
    if not n_accepted:
        return
    yield Measure("duplicates", "uniqueness", "", window.n_duplicates / n_accepted, n_accepted, DUPLICATES)
    yield from _timeliness(window)
    names = ", ".join(f"{name} {count}" for name, count in _most(window.unknown_fields))
    n_unknown = min(sum(window.unknown_fields.values()), n_accepted)
    yield Measure("unknown_fields", "schema", "", n_unknown / n_accepted, n_accepted, UNKNOWN_FIELDS, names)
    yield from _completeness(window)
    yield from _consistency(window)


def events_a_user(window: Profile) -> float:
    """How many events come together; 1 where users are not known."""
    return max(window.n_events / n_users(window), 1.0) if n_users(window) else 1.0


def n_users(window: Profile) -> float:
    """How many different users the window has, estimated."""
    return n_distinct(window.keys["user_id"]) if "user_id" in window.keys else 0.0


def partition_measures(users: Mapping[int, float]) -> Iterator[Measure]:
    """The share that each partition has of a source's users, who are what is spread over partitions."""
    total = sum(users.values())
    for partition, n in sorted(users.items() if total and len(users) > 1 else ()):
        value, said = log((n + 0.5) / (total + 0.5)), f"{n:.0f} of {total:.0f} users"
        name = f"partition {partition}"
        yield Measure("partition", "volume", name, value, round(total), PARTITION, said, of="log_share")


def _timeliness(window: Profile) -> Iterator[Measure]:
    n = window.n_accepted
    yield Measure("late", "timeliness", "", window.n_late / n, n, LATE)
    yield Measure(
        "ahead", "timeliness", "", window.lag[0] / n, n, AHEAD, "events that are younger than their records"
    )
    for name, q in (("lag_p50", 0.5), ("lag_p90", 0.9)):
        lag_s = quantile_s(window.lag, q)
        if lag_s is not None:
            value = log(max(lag_s, BELOW_FIRST_LAG_S))
            yield Measure(name, "timeliness", "", value, n, LAG, f"{lag_s:.3g} s", of="log_time")


def _completeness(window: Profile) -> Iterator[Measure]:
    asked: dict[str, int] = {}
    for name, n in window.shapes.items():
        for _, path, _ in SHAPES[name].optional if name in SHAPES else ():
            asked[path] = asked.get(path, 0) + n
    for path, n in sorted(asked.items()):
        absent = window.absent.get(path, 0)
        yield Measure(
            "completeness", "completeness", path, 1 - absent / n, n, COMPLETENESS, f"{absent} of {n} empty"
        )


def _consistency(window: Profile) -> Iterator[Measure]:
    shares = (
        ("known_item", "", window.n_item_known, window.n_item_checked, KNOWN),
        ("viewed_before", "", window.n_viewed, window.n_view_checked, VIEWED),
        *(
            ("agreement", name, window.agreed.get(name, 0), n, AGREEMENT)
            for name, n in sorted(window.compared.items())
        ),
    )
    for check, field, n_good, n, limits in shares:
        if n:
            said = f"{n - n_good} of {n} events contradict what is known of their items"
            told = said if check == "agreement" else ""
            yield Measure(check, "consistency", field, n_good / n, n, limits, told)


def _most(counts: Mapping[str, int], k: int = 3) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:k]
