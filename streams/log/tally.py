"""Counts what became of a log's rows, and ends the reading when too many are unreadable."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from streams.errors import InputError
from streams.log.table import Unreadable

SURE_ROWS: Final = 1_000
"""Before so many rows the share of unreadable ones says little; at the end it is judged all the same."""
MAX_QUOTED: Final = 5
_LOG: Final = logging.getLogger(__name__)


@dataclass
class Tally:
    """Of one log. ``n_left_out`` name nobody or nothing, take something back, or are of an unmapped kind."""

    path: str
    max_unreadable: float
    quiet: bool = False
    n_rows: int = 0
    n_unreadable: int = 0
    n_left_out: int = 0
    unmapped_kinds: Counter[str] = field(default_factory=Counter)
    """Of the rows left out, by kind; a few dozen kinds at most."""
    n_back_in_time: int = 0
    cut_off_line: int | None = None
    quoted: list[str] = field(default_factory=list)
    """The first few unreadable rows, each with its line number and what is wrong."""

    def unreadable(self, row: Unreadable) -> None:
        """Count and quote a row.

        Raises:
            InputError: too large a share of the rows is unreadable.
        """
        self.n_unreadable += 1
        if len(self.quoted) < MAX_QUOTED:
            self.quoted.append(f"line {row.line}: {row.why}, in {row.text.strip()[:200]!r}")
            self._warn("unreadable row: path=%s %s", self.path, self.quoted[-1])
        if self.n_unreadable > self.max_unreadable * max(self.n_rows, SURE_ROWS):
            self._refuse()

    def end(self) -> None:
        """Judge the rows once all were read.

        Raises:
            InputError: too many are unreadable, or all were left out.
        """
        if self.n_unreadable > self.max_unreadable * self.n_rows:
            self._refuse()
        if 0 < self.n_rows == self.n_left_out + self.n_unreadable:
            raise InputError(
                f"{self.path}: none of {self.n_rows:,} rows names a user and an item and is of a mapped kind"
                f"{self._unmapped_text()}.",
                fix="Compare columns and kind.values of the mapping with the file: `rillet mapping guess` helps.",
            )

    def cut_off(self, line: int) -> None:
        """The last row was never finished."""
        self.cut_off_line = line
        self._warn("the last row is cut off and left out: path=%s line=%d", self.path, line)

    def back_in_time(self, number: int) -> None:
        """A row is earlier than the one before, in a log that was said to be in order."""
        self.n_back_in_time += 1
        if self.n_back_in_time == 1:
            self._warn(
                "a row is earlier than the one before; set file.in_order = false: path=%s row=%d",
                self.path, number,
            )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": self.n_rows,
            "unreadable": self.n_unreadable,
            "left_out": self.n_left_out,
            "unmapped_kinds": dict(self.unmapped_kinds.most_common()),
            "back_in_time": self.n_back_in_time,
            "cut_off_line": self.cut_off_line,
            "quoted": self.quoted,
        }

    def _unmapped_text(self) -> str:
        kinds = ", ".join(f"{kind!r} {n:,}" for kind, n in self.unmapped_kinds.most_common(5))
        return f"; kinds without a meaning: {kinds}" if kinds else ""

    def _warn(self, event: str, *fields: object) -> None:
        if not self.quiet:
            _LOG.warning(event, *fields)

    def _refuse(self) -> None:
        raise InputError(
            f"{self.path}: {self.n_unreadable:,} of {self.n_rows:,} rows are unreadable, allowed are "
            f"{self.max_unreadable:.2%}: {'; '.join(self.quoted)}.",
            fix="Mend the rows, choose another --mapping, or raise file.max_unreadable in it.",
        )
