"""Writes to ``audit.log`` what was decided about the models. It decides nothing itself."""

from collections.abc import Iterable
from typing import Final

import msgspec

from models.learn.learning import Happening
from schemas import topics
from schemas.audit import AuditEntry
from streams.engine.outbox import Parcel

DECISIONS: Final = frozenset({"promotion", "reset", "rollback"})
REPEAT_MS: Final = 60_000
"""A decision of one kind on one scorer is written again after this; those in between are counted in it."""

_encode = msgspec.json.Encoder().encode


class Audit:
    """In the name of one actor. Remembers the last entry by action and scorer, which are few."""

    def __init__(self, actor: str) -> None:
        self._actor = actor
        self._written_ms: dict[tuple[str, str], int] = {}
        self._n_passed: dict[tuple[str, str], int] = {}

    def write(self, happenings: Iterable[Happening], now_ms: int, parcel: Parcel) -> None:
        """Add those that are decisions to the parcel of the batch that caused them. ``now_ms`` is the time of day."""
        for kind, estimator, detail in happenings:
            if kind in DECISIONS:
                self._write(kind, estimator, detail, now_ms, parcel)

    def _write(self, action: str, subject: str, detail: str, now_ms: int, parcel: Parcel) -> None:
        what = (action, subject)
        if now_ms - self._written_ms.get(what, -REPEAT_MS) < REPEAT_MS:
            self._n_passed[what] = self._n_passed.get(what, 0) + 1
            return
        self._written_ms[what] = now_ms
        n = self._n_passed.pop(what, 0)
        more = f"; {n} more since the last entry" if n else ""
        entry = AuditEntry(
            time_ms=now_ms, actor=self._actor, action=action, subject=subject, detail=detail + more
        )
        parcel.add(topics.AUDIT, subject.encode(), _encode(entry))
