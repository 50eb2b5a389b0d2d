"""What a topic holds and what it would become, from its newest records. Reads only: no group, no commits."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from models.ingest.settings import IngestSettings
from models.inventory.personal import personal
from schemas import topics
from streams.broker import ping
from streams.connect.families import families, preset_of
from streams.errors import InputError
from streams.follow import FollowedRecord
from streams.inventory.proposal import ANY_TIME, fitting
from streams.inventory.sample import samples
from streams.log.mapping import LogMapping, parse_mapping
from streams.log.presets import named, text_of
from streams.log.records import Carried, Records
from streams.settings import KafkaSettings

TIMEOUT_S: Final = 30.0
N_EXAMPLES: Final = 3
DIRECT: Final = frozenset({"email", "phone", "payment_card", "ip"})
"""Kinds of personal data that name a person to anybody."""


class Example(NamedTuple):
    """A record, as the mapping reads it, and what it becomes: topic and value of each."""

    coordinates: str
    read: list[dict[str, str]]
    becomes: list[tuple[str, Any]]
    refused: str | None


class Looked(NamedTuple):
    """What was found. ``mapping`` is None where nothing fits; ``toml`` writes it."""

    topic: str
    n_records: int
    families: Counter[str]
    unreadable: Counter[str]
    name: str
    mapping: LogMapping | None
    toml: str
    outcome: Counter[str]
    """Records by what becomes of them: ``carried``, ``left out``, or why they are refused."""
    events: Counter[str]
    unmapped: Counter[str]
    examples: list[Example]
    personal: dict[str, str]
    """Columns that are copied and name a person to anybody, and what they hold."""


def look(
    kafka: KafkaSettings,
    ingest: IngestSettings,
    topic: str,
    n: int,
    mapping: str | None,
    note: Callable[[str], None],
) -> Looked:
    """The newest ``n`` records of each partition, and what ``mapping``, or else the best that fits, makes of them.

    Raises:
        InputError: there is no such topic, it is one of Rillet's, or the mapping is refused.
        BrokerError: the brokers do not answer.
    """
    records = _newest(kafka, topic, n, note)
    found, unreadable = families(records)
    name, toml = ("", "")
    if mapping is not None:
        name, chosen = named(mapping)
        return _tried(records, topic, found, unreadable, (name, chosen, ""), ingest)
    name, toml = _chosen(records, found)
    if not toml:
        nothing: Counter[str] = Counter()
        return Looked(topic, len(records), found, unreadable, "", None, "", nothing, nothing, nothing, [], {})
    return _tried(records, topic, found, unreadable, (name, parse_mapping(toml, name), toml), ingest)


def _chosen(records: Sequence[FollowedRecord], found: Counter[str]) -> tuple[str, str]:
    """Name and text of the best mapping; of the preset of its family where too few records became events."""
    for each in fitting(records):
        if each.proposal.mapping:
            return each.name, each.proposal.mapping
    name = preset_of(found)
    return (name, text_of(name)) if name else ("", "")


def _tried(
    records: Sequence[FollowedRecord],
    topic: str,
    found: Counter[str],
    unreadable: Counter[str],
    chosen: tuple[str, LogMapping, str],
    ingest: IngestSettings,
) -> Looked:
    name, mapping, toml = chosen
    read = Records(mapping, ingest.model_copy(update=_ages()))
    outcome: Counter[str] = Counter()
    events: Counter[str] = Counter()
    examples: dict[str, Example] = {}
    values: dict[str, list[str]] = {}
    for record in records:
        carried = read(record)
        outcome[_outcome(carried)] += 1
        events.update(each.topic for each in carried.events)
        events.update(topics.ITEMS for _ in carried.entries)
        if carried.events or carried.entries or carried.rejection:
            rows = read.rows(record)
            _gather(values, rows)
            examples.setdefault(_of_kind(carried), _example(record, rows, carried))
    shown = sorted(examples.values(), key=lambda each: each.refused is not None)[: 2 * N_EXAMPLES]
    copied = {column: each.kind for column in values if (each := personal(column, values[column]))}
    named_people = {column: kind for column, kind in copied.items() if kind in DIRECT}
    return Looked(
        topic,
        len(records),
        found,
        unreadable,
        name,
        mapping,
        toml,
        outcome,
        events,
        read.unmapped,
        shown,
        named_people,
    )


def _ages() -> dict[str, int]:
    """A sample may be of any age; what is too late when carried is refused then."""
    return {name: getattr(ANY_TIME, name) for name in ("allowed_lateness_ms", "future_tolerance_ms")}


def _outcome(carried: Carried) -> str:
    if carried.rejection is not None:
        return carried.rejection.reason.value
    return "carried" if carried.events or carried.entries else "left out"


def _of_kind(carried: Carried) -> str:
    """One example is shown of each."""
    if carried.rejection is not None:
        return carried.rejection.reason.value
    if carried.events:
        return f"{carried.events[0].topic} {type(carried.events[0].event).__name__}"
    return topics.ITEMS


def _example(record: FollowedRecord, rows: list[dict[str, str]], carried: Carried) -> Example:
    becomes = [(each.topic, msgspec.to_builtins(each.event)) for each in carried.events]
    becomes += [(topics.ITEMS, msgspec.to_builtins(each.entry)) for each in carried.entries]
    fault = carried.rejection
    refused = f"{fault.reason.value}: {fault.detail}" if fault else None
    return Example(f"{record.partition}/{record.offset}", rows, becomes, refused)


def _gather(values: dict[str, list[str]], rows: list[dict[str, str]]) -> None:
    for row in rows:
        for column, text in row.items():
            values.setdefault(column, []).append(text)


def _newest(kafka: KafkaSettings, topic: str, n: int, note: Callable[[str], None]) -> list[FollowedRecord]:
    ping(kafka.client_conf())
    if topic in {each.name for each in topics.catalogue()}:
        raise InputError(f"{topic} is a topic of Rillet.", fix="Name a topic of the shop's own.")
    consumer = Consumer({**kafka.consumer(), "group.id": "rillet-connect-look", "log_level": 0})
    try:
        there = consumer.list_topics(timeout=TIMEOUT_S).topics
        if topic not in there:
            raise InputError(
                f"There is no topic {topic}.", fix="`rillet inventory` lists the topics that there are."
            )
        edges = {
            (topic, each): consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=TIMEOUT_S)
            for each in sorted(there[topic].partitions)
        }
    finally:
        consumer.close()
    ((_, records),) = samples(kafka, {topic: sorted(there[topic].partitions)}, edges, n, note)
    return sorted(records, key=lambda record: (record.timestamp, record.partition, record.offset))
