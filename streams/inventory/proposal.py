"""How records of a topic that nobody described become events of Rillet: tried, not believed.

Ingest itself is given the sample in each vocabulary that it knows (its own, GA4, Segment), and the guess of mappings
that ``rillet mapping guess`` makes is run over it. What turns most records into events is proposed, if that is half of
them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pydantic import ValidationError

from models.ingest import Ingest
from models.ingest.settings import Format, IngestSettings
from schemas import topics
from schemas.inventory import Proposal
from schemas.rejections import Reason
from streams.errors import InputError
from streams.follow import FollowedRecord
from streams.log.events import to_events
from streams.log.json_lines import as_text, members
from streams.log.mapping import FilePart, LogMapping
from streams.log.parse import ROW_ERRORS, LogRow, Parser
from streams.log.propose import propose, to_toml
from streams.log.sniff import Sample
from streams.log.table import Row

MAPPING: Final = "mapping"
VOCABULARIES: Final = (Format.CANONICAL, Format.GA4, Format.SEGMENT)
ENOUGH: Final = 0.5
"""Share of the sample that must become events."""
LEAST: Final = 3
"""Records that must: of fewer nothing can be said."""
MAX_TRIED: Final = 1_000
FIRST_TRIED: Final = 40
"""Refusing takes longer than accepting: a vocabulary that fits few of these is given up."""

_MENDABLE: Final = frozenset({Reason.KEY_MISMATCH, Reason.TOO_LATE, Reason.FROM_THE_FUTURE})
"""An event, but for its key or its age: producing it anew mends that."""

Objects = Sequence[dict[str, Any]]


def proposal(records: Sequence[FollowedRecord], objects: Objects) -> Proposal | None:
    """What fits best, None where too few records would become events. ``objects`` are the JSON of the records."""
    if len(objects) < LEAST:
        return None
    tried = [
        _in_words_of(each, records[-MAX_TRIED:])
        for each in VOCABULARIES
        if _is_enough(_in_words_of(each, records[-FIRST_TRIED:]))
    ]
    mapped = _mapped(objects[-MAX_TRIED:])
    found = [each for each in (*tried, mapped) if each and _is_enough(each)]
    return max(found, key=lambda each: sum(each.events.values()), default=None)


def _is_enough(tried: Proposal) -> bool:
    n = sum(tried.events.values())
    return n >= max(LEAST, ENOUGH * (n + tried.n_refused))


def _in_words_of(vocabulary: Format, records: Sequence[FollowedRecord]) -> Proposal:
    """Each record is tried on every source topic; it belongs to the first that takes it."""
    ingest = Ingest(IngestSettings(formats=dict.fromkeys(topics.BEHAVIOUR, vocabulary)))
    left = [record for record in records if record.value]
    n_all = len(left)
    events: Counter[str] = Counter()
    for topic in topics.BEHAVIOUR:
        moved = [record._replace(topic=topic) for record in left]
        refused = [each.record for each in ingest(moved).rejected if each.rejection.reason not in _MENDABLE]
        events[topic] = len(left) - len(refused)
        left = [each for each in refused if isinstance(each, FollowedRecord)]
    return Proposal(
        vocabulary=vocabulary.value,
        mapping=None,
        events={t: n for t, n in events.items() if n},
        n_refused=n_all - events.total(),
    )


def _mapped(objects: Objects) -> Proposal | None:
    """By a guessed mapping; None where no column looks like a user or an item."""
    columns = tuple(dict.fromkeys(name for each in objects for name in members(each)))
    rows = [Row(line, [as_text(_at(each, name)) for name in columns]) for line, each in enumerate(objects, 1)]
    try:
        mapping = propose(Sample(FilePart(format="jsonl"), columns, rows), "the topic")
    except (InputError, ValidationError, ValueError):
        return None
    parsed = list(_parsed(mapping, rows, columns))
    events = Counter(each.topic for each in to_events(parsed, mapping.constants.currency))
    return Proposal(
        vocabulary=MAPPING, mapping=to_toml(mapping), events=dict(events), n_refused=len(rows) - len(parsed)
    )


def _parsed(mapping: LogMapping, rows: Iterable[Row], columns: Sequence[str]) -> Iterator[LogRow]:
    parser = Parser(mapping, {name: place for place, name in enumerate(columns)}, "sample", "sample")
    for number, row in enumerate(rows):
        try:
            found = parser.parse(row.values, number)
        except ROW_ERRORS:
            continue
        if found is not None:
            yield found


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
