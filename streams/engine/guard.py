"""The offset guard: what offset each partition must continue at, so that no record is ever skipped over.

Pure bookkeeping. Seeking, and asking the broker for its earliest offset, is the consumer's work.
"""

from enum import Enum, auto
from typing import NamedTuple

from faust.types import TP

CONFIRM_AFTER = 3
"""A jump that is still there after so many seeks is a hole in the log itself (transaction marker, deleted record)."""


class Verdict(Enum):
    """What to do with a fetched batch."""

    DELIVER = auto()
    SEEK_BACK = auto()
    HOLE = auto()


class Admission(NamedTuple):
    """The verdict, how many leading records were delivered before in this epoch, and the offset that was expected."""

    verdict: Verdict
    n_delivered_before: int
    expected: int


class OffsetGuard:
    """Next expected offset for each assigned partition. Bounded by the assignment.

    An *epoch* begins whenever the partition is sought to its commit (after a rebalance); batches of an older epoch
    that are still under way are told by it.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.starts: dict[TP, int] = {}
        """Where the partitions of this epoch began."""
        self._expected: dict[TP, int] = {}
        self._seeks: dict[TP, int] = {}

    def begin(self, starts: dict[TP, int]) -> None:
        """Begin a new epoch at these offsets; partitions not named are no longer ours."""
        self.epoch += 1
        self.starts = dict(starts)
        self._expected = dict(starts)
        self._seeks.clear()

    def expect(self, tp: TP, offset: int) -> None:
        """Continue ``tp`` at ``offset``."""
        self._expected[tp] = offset
        self._seeks.pop(tp, None)

    def expected(self, tp: TP) -> int | None:
        """The next offset of ``tp``, None when it is not ours in this epoch."""
        return self._expected.get(tp)

    def admit(self, tp: TP, first: int, last: int) -> Admission:
        """Judge a batch of offsets ``first`` to ``last`` and, when it is delivered, expect what follows it."""
        expected = self._expected[tp]
        if first > expected:
            seeks = self._seeks.get(tp, 0)
            if seeks < CONFIRM_AFTER:
                self._seeks[tp] = seeks + 1
                return Admission(Verdict.SEEK_BACK, 0, expected)
            self.expect(tp, last + 1)
            return Admission(Verdict.HOLE, 0, expected)
        self.expect(tp, max(expected, last + 1))
        return Admission(Verdict.DELIVER, expected - first, expected)


class Sequence:
    """The agent's own check that batches follow each other, from the start of the epoch on.

    Faust may drop a fetch on its way to the agent. What comes after it must wait until it has come again: state and
    shared knowledge skip what lies below the offset they have reached.
    """

    def __init__(self, guard: OffsetGuard) -> None:
        self._guard = guard
        self._epoch = -1
        self._next: dict[TP, int] = {}

    def follows(self, tp: TP, epoch: int, starts_at: int, end: int) -> bool:
        """Whether a batch that covers ``starts_at`` up to, not including, ``end`` leaves no gap before it."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._next = dict(self._guard.starts)
        expected = self.expected(tp, starts_at)
        if starts_at > expected:
            return False
        self._next[tp] = max(expected, end)
        return True

    def expected(self, tp: TP, otherwise: int) -> int:
        """The offset at which ``tp`` must go on."""
        return self._next.get(tp, otherwise)
