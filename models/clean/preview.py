"""What each step of a recipe does to a sample: how many events, and which values become which."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

from models.absorb import Absorbed
from models.clean.cleaner import Cleaner
from models.ingest.record import Record
from models.path import Path
from schemas.events import AnyEvent, Purchase

MAX_CHANGES: Final = 20_000
"""Different changes that are told apart; the first ones."""


class Change(NamedTuple):
    """A value that became another; None says nothing."""

    field: str
    before: Any
    after: Any


class StepDone(NamedTuple):
    """One step over the sample."""

    name: str
    n_events: dict[str, int]
    """Changed, by source."""
    changes: list[tuple[Change, int]]
    """Of the fields of the step, most frequent first; what several steps changed is there in each."""


class Preview:
    """Follows a sample by the code of the workers, with a path of its own that learns nothing but of items."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[bytes, bytes] = {}
        self._n: Counter[tuple[str, str]] = Counter()
        self._changes: dict[str, Counter[Change]] = {name: Counter() for name in path.cleaner.steps}
        self.n_events: Counter[str] = Counter()
        """Accepted, by source."""

    def take(self, batch: Sequence[Record]) -> None:
        """Records of one topic and partition."""
        absorbed = self._path.absorb([batch], self._load, batch[-1].timestamp, learn=False)
        self._count(absorbed)
        for states in absorbed.states.values():
            self._states.update(states)
        self._path.knowledge.learn(absorbed.facts)

    def done(self, k: int) -> list[StepDone]:
        """Of every step of the recipe, with ``k`` of its changes."""
        steps = self._path.cleaner.recipe.steps
        return [
            StepDone(
                step.label,
                {
                    source: self._n[source, step.label]
                    for source in self.n_events
                    if self._n[source, step.label]
                },
                sorted(self._changes[step.label].items(), key=lambda each: (-each[1], repr(each[0])))[:k],
            )
            for step in steps
        ]

    def _count(self, absorbed: Absorbed) -> None:
        for batch in absorbed.quality:
            events = [accepted.event for accepted in batch.ingested.accepted]
            self.n_events[batch.topic] += len(events)
            if batch.marks:
                for name, n in batch.marks.counts().items():
                    self._n[batch.topic, name] += n
                self._compare(batch.topic, events, batch.marks.bits.tolist())

    def _compare(self, source: str, events: list[AnyEvent], bits: list[int]) -> None:
        cleaned = cleaned_by(self._path.cleaner, source, events)
        for before, after, of_event in zip(events, cleaned, bits, strict=True):
            changes = list(_changes(before, after)) if of_event else []
            for number, step in enumerate(self._path.cleaner.recipe.steps):
                mine = self._changes[step.label]
                for change in changes if of_event >> number & 1 else ():
                    if change.field in step.of and (change in mine or len(mine) < MAX_CHANGES):
                        mine[change] += 1

    def _load(self, _partition: int, keys: list[bytes]) -> list[bytes | None]:
        return [self._states.get(key) for key in keys]


def cleaned_by(cleaner: Cleaner, source: str, events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Events of one topic as they are folded."""
    sources, marking = [source] * len(events), cleaner.marking(len(events))
    return cleaner.fill(sources, cleaner.tidy(sources, events, marking), marking)


def _changes(before: Struct, after: Struct) -> Iterator[Change]:
    for field in before.__struct_fields__:
        old, new = getattr(before, field), getattr(after, field)
        if isinstance(before, Purchase) and field == "lines":
            for line, cleaned in zip(old, new, strict=True):
                yield from _changes(line, cleaned)
        elif field != "event_id" and old != new:
            yield Change(field, *(tuple(each) if isinstance(each, list) else each for each in (old, new)))
