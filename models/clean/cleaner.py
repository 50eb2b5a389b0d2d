"""Follows a recipe: batches of events, and entries of the catalogue, column by column.

Pure but for memos of values. Events are changed before they are folded and learned from; the profiles of quality are of
what arrived. Who does too much is told by ``heavy``.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from xxhash import xxh3_128_hexdigest

from models.clean.columns import Columns, Memo
from models.clean.marks import Marking
from models.clean.recipe import Alias, Cap, Clip, Fill, Map, Merge, Normalise, Recipe, Scale, Step
from models.interest.evidence import Details
from models.quality.actions import BLANK, QUARANTINE, Sanction
from schemas import topics
from schemas.catalog import Item, Promotion
from schemas.events import MAX_ID_BYTES, AnyEvent, Purchase

MAX_LENGTH: Final = {"query": 1_024, "title": 1_024}
"""Characters of a text field; of others ``MAX_ID_BYTES``."""
REQUIRED: Final = frozenset({"query"})
"""Text that says nothing is empty here, not null."""
DIGITS: Final = 6
"""Of a price in another unit."""
ID_LISTS: Final = ("item_ids", "results")

Entry = TypeVar("Entry", Item, Promotion)
_encode = msgspec.msgpack.Encoder().encode


class Known(Protocol):
    """What is known of items; the knowledge base is one."""

    def facts_of(self, item_id: str) -> Details | None:
        """What the catalogue says."""

    def told_of(self, item_id: str) -> Details | None:
        """The same, and what events said where the catalogue is silent."""


Change = Callable[[Columns, int, Marking], None]
"""Does one step, by its number."""


class Cleaner:
    """By one recipe. After its steps come those of sanctions."""

    def __init__(self, recipe: Recipe, known: Known) -> None:
        self.recipe, self._label = recipe, recipe.label
        self.steps = (*(step.label for step in recipe.steps), BLANK, QUARANTINE)
        self._known = known
        numbered = [(number, step) for number, step in enumerate(recipe.steps)]
        self._merges = [(n, step) for n, step in numbered if isinstance(step, Merge)]
        self._changes = [
            (n, step, _change(step)) for n, step in numbered if not isinstance(step, Merge | Fill | Cap)
        ]
        self._fills = [(n, step) for n, step in numbered if isinstance(step, Fill)]
        self.cap = next(((n, step) for n, step in numbered if isinstance(step, Cap)), None)

    @property
    def label(self) -> str:
        """What travels with the data; empty where nothing is cleaned."""
        return self.recipe.label if self.recipe.steps else ""

    @property
    def merges(self) -> bool:
        """Whether copies are dropped."""
        return bool(self._merges)

    def marking(self, n: int) -> Marking:
        """For a batch of n events."""
        return Marking(self._label, self.steps, n)

    def tidy(self, sources: Sequence[str], events: Sequence[AnyEvent], marking: Marking) -> list[AnyEvent]:
        """Each event, of the topic at its place among ``sources``, as all steps but those that fill leave it."""
        tidied = list(events)
        if self._changes:
            _by_columns(sources, tidied, partial(self._tidy, marking=marking))
        for number, step in self._merges:
            marking.may_merge(number, _merge(step, sources, tidied))
        return tidied

    def fill(self, sources: Sequence[str], events: Sequence[AnyEvent], marking: Marking) -> list[AnyEvent]:
        """Each event with what it leaves out."""
        filled = list(events)
        if self._fills:
            _by_columns(sources, filled, partial(self._fill, marking=marking))
        return filled

    def blank(
        self,
        sanctions: Sequence[Sanction],
        sources: Sequence[str],
        events: Sequence[AnyEvent],
        marking: Marking,
    ) -> list[AnyEvent]:
        """Each event without the fields that must not be believed for now."""
        step, blanked = self.steps.index(BLANK), list(events)

        def silence(columns: Columns) -> None:
            for each in sanctions:
                if each.source == columns.source and each.field in columns.fields:
                    said = zip(columns[each.field], columns.times_ms, strict=True)
                    left = [None if each.covers(each.source, time_ms) else value for value, time_ms in said]
                    marking.mark(step, columns.put(each.field, left))

        _by_columns(sources, blanked, silence)
        return blanked

    def entries(
        self, source: str, entries: Sequence[tuple[str, Entry | None]]
    ) -> tuple[list[tuple[str, Entry | None]], dict[str, int]]:
        """Entries of the catalogue as the steps leave them, removals as they are; and how many by step."""
        kept = [(key, entry) for key, entry in entries if not self._is_variant(source, key, entry)]
        there = [i for i, (_, entry) in enumerate(kept) if entry is not None]
        if not there or not self._changes:
            return kept, {}
        structs: list[Any] = [kept[i][1] for i in there]
        columns = Columns(source, structs, there, [each.time_ms for each in structs])
        marking = self.marking(len(kept))
        self._tidy(columns, marking=marking)
        for i, struct in columns.structs():
            kept[there[i]] = kept[there[i]][0], struct  # type: ignore[assignment]
        return kept, marking.marks().counts()

    def named(self, source: str, time_ms: float, item_ids: Sequence[str]) -> list[str]:
        """The items that these are at that time, each once."""
        for step in self._aliases(source):
            if step.takes(time_ms):
                item_ids = [step.values.get(item_id, item_id) for item_id in item_ids]
        return list(dict.fromkeys(item_ids))

    def _is_variant(self, source: str, key: str, entry: Item | Promotion | None) -> bool:
        return source == topics.ITEMS and any(
            key in step.values and (entry is None or step.takes(entry.time_ms))
            for step in self._aliases(source)
        )

    def _aliases(self, source: str) -> Iterator[Alias]:
        return (each for _, each, _ in self._changes if isinstance(each, Alias) and source in each.sources)

    def _tidy(self, columns: Columns, *, marking: Marking) -> None:
        for number, step, change in self._changes:
            if columns.source in step.sources:
                change(columns, number, marking)

    def _fill(self, columns: Columns, *, marking: Marking) -> None:
        for number, step in self._fills:
            if columns.source in step.sources and "item_id" in columns.fields:
                for field in columns.fields.intersection(step.fields):
                    filled = self._filled(step, field, columns)
                    marking.mark(number, columns.put(field, _within(step, columns, columns[field], filled)))

    def _filled(self, step: Fill, field: str, columns: Columns) -> list[Any]:
        told_of = self._known.told_of if step.learned else self._known.facts_of

        def found(item_id: str) -> Any:
            details = told_of(item_id)
            value = getattr(details, field) if details else None
            return step.default if value is None else value

        said = zip(columns["item_id"], columns[field], strict=True)
        return [found(item_id) if value is None else value for item_id, value in said]


def _by_columns(sources: Sequence[str], events: list[AnyEvent], work: Callable[[Columns], None]) -> None:
    """Let ``work`` change events in place, kind by kind, the lines of orders before the orders that hold them."""
    kinds: dict[tuple[str, type], list[int]] = {}
    for row, (source, event) in enumerate(zip(sources, events, strict=True)):
        kinds.setdefault((source, type(event)), []).append(row)
    for (source, kind), rows in kinds.items():
        if kind is Purchase:
            _work_on_lines(source, rows, events, work)
        columns = _columns(source, rows, events)
        work(columns)
        for i, changed in columns.structs():
            events[rows[i]] = cast(AnyEvent, changed)


def _work_on_lines(
    source: str, rows: Sequence[int], events: list[Any], work: Callable[[Columns], None]
) -> None:
    places = [(row, number) for row in rows for number in range(len(events[row].lines))]
    lines = [events[row].lines[number] for row, number in places]
    of_lines = Columns(source, lines, [row for row, _ in places], [events[row].time_ms for row, _ in places])
    work(of_lines)
    changed: dict[int, list[Struct]] = {}
    for i, line in of_lines.structs():
        row, number = places[i]
        changed.setdefault(row, list(events[row].lines))[number] = line
    for row, of_row in changed.items():
        events[row] = replace(events[row], lines=of_row)


def _merge(step: Merge, sources: Sequence[str], events: list[AnyEvent]) -> list[int]:
    """Give events that say the same one id, by which folding takes the copies for what they are; those it is of."""
    first_ms, end_ms = step.span_ms
    within_ms = int(step.within_s * 1_000.0)
    taken = []
    for row, (source, event) in enumerate(zip(sources, events, strict=True)):
        if source in step.sources and first_ms <= event.time_ms < end_ms:
            said = replace(event, event_id="", time_ms=event.time_ms // within_ms)
            digest = xxh3_128_hexdigest(type(event).__name__.encode() + _encode(said))
            events[row] = replace(event, event_id=f"same-{digest}")
            taken.append(row)
    return taken


def _columns(source: str, rows: Sequence[int], events: Sequence[Any]) -> Columns:
    mine = itemgetter(*rows)(events) if len(rows) > 1 else (events[rows[0]],)
    return Columns(source, mine, rows, [event.time_ms for event in mine])


def _within(step: Step, columns: Columns, before: Sequence[Any], after: Iterable[Any]) -> list[Any]:
    """``after`` where the time is the step's, else ``before``."""
    if step.from_ is None and step.until is None:
        return list(after)
    first_ms, end_ms = step.span_ms
    rows = zip(columns.times_ms, before, after, strict=True)
    return [new if first_ms <= time_ms < end_ms else old for time_ms, old, new in rows]


def _change(step: Step) -> Change:
    if isinstance(step, Alias):
        return partial(_alias, step, Memo(lambda item_id: step.values.get(item_id, item_id)))
    return partial(_column, step, {field: Memo(_of_value(step, field)) for field in step.of})


def _column(step: Step, memos: dict[str, Memo], columns: Columns, number: int, marking: Marking) -> None:
    for field, memo in memos.items():
        if field in columns.fields:
            values = columns[field]
            after = map(memo.__getitem__, values)
            marking.mark(number, columns.put(field, _within(step, columns, values, after)))


def _alias(step: Alias, memo: Memo, columns: Columns, number: int, marking: Marking) -> None:
    if "item_id" in columns.fields:
        values = columns["item_id"]
        after = map(memo.__getitem__, values)
        marking.mark(number, columns.put("item_id", _within(step, columns, values, after)))
    for field in columns.fields.intersection(ID_LISTS):
        lists = columns[field]
        of_lists = [_renamed(each, memo) for each in lists]
        marking.mark(number, columns.put(field, _within(step, columns, lists, of_lists)))


def _renamed(ids: list[str], memo: Memo) -> list[str]:
    """Each item once, where any of them is a variant."""
    renamed = list(map(memo.__getitem__, ids))
    return ids if renamed == ids else list(dict.fromkeys(renamed))


def _of_value(step: Step, field: str) -> Callable[[Any], Any]:
    match step:
        case Normalise():
            return partial(_normalised, step, field)
        case Map():
            return lambda name: step.values.get(name, name)
        case Scale():
            return lambda price: min(round(price * step.factor, DIGITS), 1e9)
        case Clip():
            return partial(_clipped, step)
    raise AssertionError(f"{step} changes no values")


def _normalised(step: Normalise, field: str, text: str) -> str | None:
    if step.unicode:
        text = unicodedata.normalize(step.unicode, text)
    if step.case == "fold":
        text = text.casefold()
    longest = MAX_LENGTH.get(field, MAX_ID_BYTES)
    text = " ".join(text.split())[:longest].rstrip() if step.trim else text[:longest]
    return text if text or field in REQUIRED else None


def _clipped(step: Clip, number: float) -> float | None:
    if step.min <= number <= step.max:
        return number
    if step.outside == "blank":
        return None
    return type(number)(min(max(number, step.min), step.max))
