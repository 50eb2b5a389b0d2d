"""How records of a topic that nobody described become events of Rillet: tried, not believed.

The presets of nested records (GA4, Segment, Snowplow, Shopify) are run over the sample, ingest itself is given it in
each vocabulary that it knows, and so is the guess that ``rillet mapping guess`` makes. What turns most records into
events is proposed, if that is half of those whose kind it knows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from models.ingest import Ingest
from models.ingest.settings import Format, IngestSettings
from schemas import topics
from schemas.inventory import Proposal
from schemas.rejections import Reason, Rejection
from streams.errors import InputError
from streams.follow import FollowedRecord
from streams.log.json_lines import members
from streams.log.mapping import FilePart, LogMapping
from streams.log.objects import JSON_FORMATS
from streams.log.paths import Paths, is_path
from streams.log.presets import names, preset, text_of
from streams.log.propose import propose, to_toml
from streams.log.records import HEADERS, Carried, Records
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
"""Refusing takes longer than accepting: what fits few of these is given up."""
ANY_TIME: Final = IngestSettings(allowed_lateness_ms=1 << 60, future_tolerance_ms=1 << 60)
"""A sample may be of any age."""

_MENDABLE: Final = frozenset({Reason.KEY_MISMATCH, Reason.TOO_LATE, Reason.FROM_THE_FUTURE})
"""An event, but for its key or its age: producing it anew mends that."""

Sampled = Sequence[FollowedRecord]


class Tried(NamedTuple):
    """A proposal and what it is called; ``n_left_out`` records are of a kind without a meaning."""

    proposal: Proposal
    name: str
    n_left_out: int = 0

    @property
    def n(self) -> int:
        """Records that become something."""
        return sum(self.proposal.events.values())


def proposal(records: Sampled) -> Proposal | None:
    """What fits best, None where too few records would become events."""
    return next((each.proposal for each in fitting(records)), None)


def fitting(records: Sampled) -> list[Tried]:
    """All that fits, best first; of those alike, words that ingest knows, then presets, then a guess."""
    if sum(record.value is not None for record in records) < LEAST:
        return []
    tried = [*_in_words(records), *_by_presets(records)]
    if guessed := _guessed(records[-MAX_TRIED:]):
        tried.append(guessed)
    return sorted(filter(_is_enough, tried), key=lambda each: -each.n)


def _is_enough(tried: Tried) -> bool:
    n_judged = tried.n + tried.proposal.n_refused - tried.n_left_out
    return tried.n >= max(LEAST, ENOUGH * n_judged)


def _in_words(records: Sampled) -> Iterator[Tried]:
    for each in VOCABULARIES:
        if _is_enough(_in_words_of(each, records[-FIRST_TRIED:])):
            yield _in_words_of(each, records[-MAX_TRIED:])


def _in_words_of(vocabulary: Format, records: Sampled) -> Tried:
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
    found = Proposal(
        vocabulary=vocabulary.value,
        mapping=None,
        events={t: n for t, n in events.items() if n},
        n_refused=n_all - events.total(),
    )
    return Tried(found, vocabulary.value)


def _by_presets(records: Sampled) -> Iterator[Tried]:
    for name in nested_presets():
        if _by(preset(name), name, "", records[-FIRST_TRIED:]).n:
            yield _by(preset(name), name, text_of(name), records[-MAX_TRIED:])


@cache
def nested_presets() -> tuple[str, ...]:
    """Presets that a topic may be of."""
    return tuple(name for name in names() if preset(name).file.format in JSON_FORMATS)


def _guessed(records: Sampled) -> Tried | None:
    """By a guessed mapping; None where no column looks like a user or an item."""
    read = Records(preset("snowplow"), ANY_TIME)
    objects = [each for record in records if not isinstance(each := read.object_in(record), Rejection)]
    if len(objects) < LEAST:
        return None
    try:
        mapping = propose(_sample(objects), "the topic")
    except (InputError, ValidationError, ValueError):
        return None
    return _by(mapping, "guessed", to_toml(mapping), records)


def _sample(objects: Sequence[dict[str, Any]]) -> Sample:
    plain = [{name: value for name, value in each.items() if name != HEADERS} for each in objects]
    columns = tuple(dict.fromkeys(name for each in plain for name in members(each) if is_path(name)))
    paths = Paths(columns, lenient=True)
    rows = [Row(line, values) for line, each in enumerate(plain, 1) for values in paths.rows(each)]
    return Sample(FilePart(format="jsonl"), columns, rows)


def _by(mapping: LogMapping, name: str, toml: str, records: Sampled) -> Tried:
    read = Records(mapping, ANY_TIME)
    events: Counter[str] = Counter()
    n_left_out = n_refused = 0
    for record in records:
        carried = read(record)
        topic = _topic(carried)
        events[topic] += topic != ""
        n_refused += topic == ""
        n_left_out += topic == "" and carried.rejection is None
    found = Proposal(
        vocabulary=MAPPING, mapping=toml, events={t: n for t, n in events.items() if n}, n_refused=n_refused
    )
    return Tried(found, name, n_left_out if name in nested_presets() else 0)


def _topic(carried: Carried) -> str:
    """Where the record goes first; empty text for nowhere."""
    if carried.events:
        return carried.events[0].topic
    return topics.ITEMS if carried.entries else ""
