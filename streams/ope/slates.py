"""Reads Rillet's own slates and the events after them: rounds are the seen places that were left to chance.

Slates are values of ``recommendations.user``, events those of ``events.*``, items those of ``catalog.items``, each as
JSON lines. A place is left to chance where its item has a ``propensity`` below 1. All is held in memory.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.kinds import Kind
from models.ope.attribution import Credit, Reaction, Showing, attribute
from models.ope.rounds import Arms, BanditLog, Rounds
from streams.errors import InputError
from streams.ope.json_lines import values
from streams.ope.vocabulary import Vocabulary

Progress = Callable[[str, int, int], None]
NONE: Final = "none"
"""What stands for an unknown category."""


class SlateFiles(NamedTuple):
    """What is read."""

    slates: str
    events: Sequence[str]
    items: str | None


class Crediting(NamedTuple):
    """How shown items are joined with what shoppers did."""

    rewards: Mapping[Kind, float]
    window_ms: int
    all_seen: bool
    """Whether a slate counts as seen without an impression that names it."""


class ReadSlates(NamedTuple):
    """Rounds, and what is to be said of them."""

    log: BanditLog
    notes: list[str]


class _Item(msgspec.Struct, frozen=True):
    item_id: str
    propensity: float | None = None


class _Slate(msgspec.Struct, frozen=True):
    slate_id: str
    user_id: str
    items: list[_Item]
    event_time_ms: int
    cold_start: bool = False


class _Line(msgspec.Struct, frozen=True):
    item_id: str


class _Event(msgspec.Struct, frozen=True):
    """Of any topic of events; what it is shows in what it has."""

    user_id: str
    time_ms: int
    kind: str | None = None
    item_id: str | None = None
    item_ids: list[str] = []
    lines: list[_Line] = []
    slate_id: str | None = None
    rating: float | None = None
    category: str | None = None
    brand: str | None = None


class _Entry(msgspec.Struct, frozen=True):
    """Of the catalogue."""

    item_id: str
    category: str | None = None
    brand: str | None = None


class _Place(NamedTuple):
    """A place that was left to chance, and seen."""

    slate: _Slate
    at: int
    shown_ms: int

    @property
    def item(self) -> _Item:
        return self.slate.items[self.at]


def read_slates(files: SlateFiles, crediting: Crediting, progress: Progress) -> ReadSlates:
    """The rounds of a log of slates.

    Raises:
        InputError: a file cannot be read, nothing was left to chance, or none of it was seen.
    """
    slates = _slates(files.slates, progress)
    events = _events(files.events, {slate.user_id for slate in slates}, progress)
    n_places, n_certain = _count(slates, files.slates)
    places = list(_seen(slates, events, all_seen=crediting.all_seen))
    if not places:
        raise InputError(
            f"No event says that one of the {len(slates):,} slates was seen.",
            fix="Log impressions with their slate_id, or take all slates for seen with --all-seen.",
        )
    showings = [Showing(p.slate.slate_id, p.slate.user_id, p.item.item_id, p.shown_ms) for p in places]
    credit = attribute(showings, _reactions(events), crediting.rewards, crediting.window_ms)
    entries = _entries(files.items, events, progress)
    notes = [
        f"{n_certain:,} of {n_places:,} places of the slates were not left to chance, and are left out",
        f"{len(places):,} of the {n_places - n_certain:,} others were seen; "
        f"{credit.n_credited:,} reactions were credited to them",
    ]
    return ReadSlates(_log(places, credit, entries, _views(events)), notes)


def _slates(path: str, progress: Progress) -> list[_Slate]:
    """Each once: repeats have the same id."""
    once: dict[str, _Slate] = {}
    for slate in values(path, _Slate, lambda done, of: progress(Path(path).name, done, of)):
        once.setdefault(slate.slate_id, slate)
    if not once:
        raise InputError(
            f"{path} holds no slate.", fix="Give what came on recommendations.user, as JSON lines."
        )
    return list(once.values())


def _events(paths: Sequence[str], users: set[str], progress: Progress) -> list[_Event]:
    """Of users who had a slate, in the order of time."""
    found = []
    for path in paths:
        told = Path(path).name

        def on_bytes(done: int, of: int, told: str = told) -> None:
            progress(told, done, of)

        found += [event for event in values(path, _Event, on_bytes) if event.user_id in users]
    found.sort(key=lambda event: event.time_ms)
    return found


def _count(slates: Sequence[_Slate], path: str) -> tuple[int, int]:
    """Places, and those of them that were not left to chance."""
    n_places = n_certain = 0
    for slate in slates:
        for item in slate.items:
            n_places += 1
            n_certain += not _is_by_chance(item)
            if item.propensity is not None and not 0.0 < item.propensity <= 1.0:
                raise InputError(
                    f"{path}: slate {slate.slate_id} gives {item.item_id} a propensity of {item.propensity}, "
                    "which is no probability above 0.",
                    fix="Leave the slate out, and mend what writes it.",
                )
    if n_places == n_certain:
        raise InputError(
            f"None of the {n_places:,} places in {path} was left to chance: no item has a propensity below 1, so "
            "the log cannot say what others would have earned.",
            fix="Let the ranking explore, collect slates for a while, and try again; docs/off-policy.md tells more.",
        )
    return n_places, n_certain


def _is_by_chance(item: _Item) -> bool:
    return item.propensity is not None and item.propensity < 1.0


def _seen(slates: Sequence[_Slate], events: Sequence[_Event], *, all_seen: bool) -> Iterator[_Place]:
    """When it was first seen; with ``all_seen`` at the time of its event where no impression tells."""
    first: dict[tuple[str, str], int] = {}
    for event in events:
        if event.kind == "impression" and event.slate_id:
            for item_id in event.item_ids:
                first.setdefault((event.slate_id, item_id), event.time_ms)
    for slate in slates:
        for at, item in enumerate(slate.items):
            shown_ms = first.get((slate.slate_id, item.item_id), slate.event_time_ms if all_seen else None)
            if shown_ms is not None and _is_by_chance(item):
                yield _Place(slate, at, shown_ms)


_OF_FEEDBACK: Final = {
    "click": Kind.CLICK,
    "cart": Kind.CART,
    "wishlist": Kind.WISHLIST,
    "dismiss": Kind.DISMISS,
    "rating": Kind.RATING,
}


def _reactions(events: Sequence[_Event]) -> Iterator[Reaction]:
    for event in events:
        for line in event.lines:
            yield Reaction(event.user_id, line.item_id, Kind.PURCHASE, event.time_ms, None, 1.0)
        kind = _OF_FEEDBACK.get(event.kind) if event.kind else Kind.VIEW
        if event.item_id is not None and kind is not None:
            worth = event.rating if kind is Kind.RATING else 1.0
            yield Reaction(event.user_id, event.item_id, kind, event.time_ms, event.slate_id, worth or 0.0)


def _entries(path: str | None, events: Sequence[_Event], progress: Progress) -> dict[str, _Entry]:
    """What is known of items: of the catalogue the last word, else of events the first."""
    known: dict[str, _Entry] = {}
    for event in events:
        if event.item_id and (event.category or event.brand):
            known.setdefault(event.item_id, _Entry(event.item_id, event.category, event.brand))
    if path:
        told = Path(path).name
        known |= {
            each.item_id: each for each in values(path, _Entry, lambda done, of: progress(told, done, of))
        }
    return known


_Views = Mapping[str, tuple[list[int], list[str]]]
"""By user: times, and the items viewed."""


def _views(events: Sequence[_Event]) -> _Views:
    found: defaultdict[str, tuple[list[int], list[str]]] = defaultdict(lambda: ([], []))
    for event in events:
        if event.kind is None and event.item_id:
            times, items = found[event.user_id]
            times.append(event.time_ms)
            items.append(event.item_id)
    return found


def _log(places: Sequence[_Place], credit: Credit, entries: Mapping[str, _Entry], views: _Views) -> BanditLog:
    items, positions, users, names = (Vocabulary() for _ in range(4))
    arm = np.array([items.code(place.item.item_id) for place in places])
    codes = [[names.code(value) for value in _context(place, entries, views)] for place in places]
    rounds = Rounds(
        arm=arm,
        propensity=np.array([place.item.propensity for place in places], np.float64),
        position=np.array([positions.code(str(place.at)) for place in places]),
        time_ms=np.array([place.shown_ms for place in places]),
        unit=np.array([users.code(place.slate.user_id) for place in places]),
        gains=credit.gains,
        gained_ms=credit.gained_ms,
        context=np.array(codes),
        affinity=np.zeros((len(places), 0)),
    )
    arms = Arms(tuple(items.names), tuple(_features(each, entries) for each in items.names))
    return BanditLog(rounds, arms, tuple(positions.names), tuple(names.names))


def _context(place: _Place, entries: Mapping[str, _Entry], views: _Views) -> Iterator[str]:
    """What was known when the slate was made: nothing after the event that caused it."""
    slate = place.slate
    yield f"position={place.at}"
    yield f"cold_start={slate.cold_start}"
    yield f"cause={slate.slate_id.rsplit('-', 2)[0]}"
    times, viewed = views.get(slate.user_id, ([], []))
    before = bisect_right(times, slate.event_time_ms)
    entry = entries.get(viewed[before - 1]) if before else None
    yield f"viewed_category={(entry and entry.category) or NONE}"


def _features(item_id: str, entries: Mapping[str, _Entry]) -> dict[str, float]:
    entry = entries.get(item_id, _Entry(item_id))
    return {
        f"item={item_id}": 1.0,
        f"category={entry.category or NONE}": 1.0,
        f"brand={entry.brand or NONE}": 1.0,
    }
