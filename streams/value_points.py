"""Values the users, items, days or hours of a log, as neighbours of what came after them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from models.evaluate.of_path import OfPath
from models.path import Path as PurePath
from models.retrieve.contract import F64, I32
from models.value.points import I64, Sessions, Values, sessions_of, valued
from models.value.removal import Removal, curve, questions
from schemas.events import AnyEvent
from streams.errors import InputError
from streams.evaluation import Log, Progress, events_of, states_on_disk
from streams.settings import Settings

KNOWN_SHARE: Final = 0.8
"""Of the sessions, whose value is asked for; the later ones ask the questions."""
NEAREST: Final = 20
"""Neighbours that answer a question."""
TOGETHER: Final = 256
"""Events that are cleaned at once."""
POINTS: Final = ("users", "items", "days", "hours")
STEP_MS: Final = {"days": 86_400_000, "hours": 3_600_000}


class Point(Struct, frozen=True):
    """A user, an item, a day or an hour."""

    name: str
    value: float
    """Of 1,000 questions."""
    n_sessions: int


class PointValues(Struct, frozen=True):
    """All of them, the most valuable first."""

    of: str
    n_sessions: int
    n_questions: int
    total: float
    """Of 1,000 questions; the values add up to it."""
    points: list[Point]
    removals: list[Removal]
    """Of taking points away, on questions that the values have not seen."""


class _Grouped(NamedTuple):
    of: I32
    """(n,) point of each item of the sessions."""
    value: F64
    """(P,)"""
    n_sessions: I64
    """(P,)"""
    names: list[str]


def points_of(of: str, log: Log, settings: Settings, progress: Progress, known_share: float) -> PointValues:
    """Half of the users after ``known_share`` of the sessions ask for the values, the others judge them.

    Neighbours are those that the session neighbours of the settings have room for.

    Raises:
        InputError: nobody asks anything.
    """
    knn = settings.retrieve.session_knn
    sessions = sessions_of(_as_cleaned(log, settings, progress), settings.interest.idle_s, knn.session_items)
    n = len(sessions.user)
    n_known = int(known_share * n)
    sessions, n_known = _latest(sessions, n_known, knn.n_sessions)
    later = np.arange(n_known, len(sessions.user))
    asks = sessions.user[later] % 2 == 0
    found = valued(sessions, later[asks], n_known, NEAREST, knn.sample)
    judging = questions(sessions, later[~asks], knn.query_items)
    if not found.n or not len(judging.wanted):
        raise InputError(
            "After the sessions to be valued nobody did anything twice in a session.",
            fix="Take a longer log, or a smaller --from.",
        )
    grouped = _grouped(of, sessions, n_known, found)
    removals = curve(sessions, n_known, grouped.of, grouped.value, judging, knn, settings.value.k)
    order = np.argsort(-grouped.value, kind="stable")
    return PointValues(
        of=of,
        n_sessions=n_known,
        n_questions=found.n,
        total=1000.0 * found.total,
        points=[
            Point(grouped.names[p], 1000.0 * float(grouped.value[p]), int(grouped.n_sessions[p]))
            for p in order.tolist()
            if grouped.n_sessions[p]
        ],
        removals=list(removals),
    )


def _as_cleaned(log: Log, settings: Settings, progress: Progress) -> Iterator[AnyEvent]:
    """What others learn of the log by the recipe, all of it where there is none."""
    events, path = events_of(log, progress), settings.path()
    if not path.clean.steps:
        yield from events
        return
    with TemporaryDirectory(prefix="rillet-value-") as folder:
        cleaner = OfPath(PurePath(path), states=states_on_disk(Path(folder)))
        while batch := list(islice(events, TOGETHER)):
            yield from cleaner.cleaned(batch)


def _latest(sessions: Sessions, n_known: int, most: int) -> tuple[Sessions, int]:
    """Without the known ones that there is no room for."""
    first = max(0, n_known - most)
    begin = sessions.starts[first]
    return sessions._replace(
        starts=sessions.starts[first:] - begin,
        items=sessions.items[begin:],
        user=sessions.user[first:],
        start_ms=sessions.start_ms[first:],
    ), n_known - first


def _grouped(of: str, sessions: Sessions, n_known: int, found: Values) -> _Grouped:
    lengths = np.diff(sessions.starts[: n_known + 1])
    if of == "items":
        items = sessions.items[: sessions.starts[n_known]]
        counts = np.bincount(items, minlength=len(sessions.names))
        return _Grouped(items, found.item, counts, sessions.names)
    group, names = _sessions_by(of, sessions, n_known)
    value = np.bincount(group, found.session, len(names)).astype(np.float64)
    counts = np.bincount(group, minlength=len(names))
    return _Grouped(np.repeat(group, lengths).astype(np.int32), value, counts, names)


def _sessions_by(of: str, sessions: Sessions, n_known: int) -> tuple[I64, list[str]]:
    """(S,) the point of each known session, and what points are called."""
    if of == "users":
        return sessions.user[:n_known].astype(np.int64), sessions.users
    stretch, group = np.unique(sessions.start_ms[:n_known] // STEP_MS[of], return_inverse=True)
    shape = "%Y-%m-%d" if of == "days" else "%Y-%m-%d %H:00"
    return group, [
        datetime.fromtimestamp(each * STEP_MS[of] / 1000, UTC).strftime(shape) for each in stretch.tolist()
    ]
