"""An asset from all that is known of it: the catalogue, the broker's answers, a sample, the graph.

What the catalogue says of a topic of ours goes before what was inferred; figures are always measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from models.ingest.envelope import time_ms_of
from models.ingest.record import Record
from models.inventory import columns, scoring
from models.inventory.content import Contents
from models.inventory.lineage import CHANGELOG, Lineage
from schemas import shapes
from schemas.inventory import Asset, Column, Content, Cost, Proposal, Reader
from schemas.quality import Scores
from schemas.topics import Topic

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Inferred:
    """What a sample tells. It holds no record, so that a sample can go once it was looked at."""

    content: Content
    columns: Sequence[Column]
    time_column: str | None
    key_column: str | None
    record_bytes: float | None
    newest_ms: int | None
    scores: Scores | None
    proposal: Proposal | None
    n_sampled: int
    n_unreadable: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What the broker tells of one topic. None stands for what it does not tell."""

    name: str
    n_partitions: int
    replication: int
    n_records: int
    config: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    records_per_s: float = 0.0
    n_last_day: int | None = None
    """Records of the last day; None where the broker knows no times."""
    is_older: bool = False
    """Whether there are records from before the last day."""
    readers: Sequence[Reader] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What is the same for all assets of one look."""

    now_ms: int
    catalogue: Mapping[str, Topic]
    lineage: Lineage
    reports: Mapping[str, Scores]
    values: Mapping[str, float]
    lag_of_all: int


def infer(
    sample: Sequence[Record],
    looked_into: Contents,
    n_records: int,
    proposal: Proposal | None,
    *,
    timely_ms: float,
    future_ms: float,
) -> Inferred:
    """What the newest of ``n_records`` tell of all of them."""
    content, objects, n_other = looked_into
    found = columns.columns([value for _, value in objects], n_records)
    time = columns.time_column(found)
    lags = _lags_ms(found, time, objects, sample)
    newest_ms = max((each.timestamp for each in sample), default=-1)
    values = [each.value for each in sample]
    return Inferred(
        content=content if sample or not n_records else "unknown",
        columns=found,
        time_column=time,
        key_column=columns.key_column(found, [(sample[place].key, value) for place, value in objects]),
        record_bytes=round(sum(map(size_bytes, sample)) / len(sample), 1) if sample else None,
        newest_ms=newest_ms if newest_ms >= 0 else None,
        scores=scoring.of_sample(found, values, n_other, lags, timely_ms=timely_ms, future_ms=future_ms)
        if content == "json"
        else None,
        proposal=proposal,
        n_sampled=len(sample),
        n_unreadable=n_other,
    )


def asset(observed: Observed, inferred: Inferred, context: Context) -> Asset:
    """What is known of one topic, first seen now."""
    name = observed.name
    topic = context.catalogue.get(name)
    age_ms = None if inferred.newest_ms is None else max(0, context.now_ms - inferred.newest_ms)
    return Asset(
        asset=name,
        kind="table" if name.endswith(CHANGELOG) else "topic",
        known=topic is not None,
        owner=topic.owner if topic else None,
        description=topic.description if topic else None,
        contract=_contract(topic),
        key=topic.key if topic else inferred.key_column,
        content=inferred.content,
        columns=list(inferred.columns),
        fingerprint=columns.fingerprint(inferred.columns),
        time_column=inferred.time_column,
        n_partitions=observed.n_partitions,
        replication=observed.replication,
        cleanup=observed.config.get("cleanup.policy"),
        retention_ms=_whole(observed.config.get("retention.ms")),
        n_records=observed.n_records,
        size_bytes=observed.size_bytes,
        record_bytes=inferred.record_bytes,
        records_per_s=round(observed.records_per_s, 4),
        newest_ms=inferred.newest_ms,
        freshness_s=None if age_ms is None else age_ms / 1000,
        upstream=context.lineage.upstream(name),
        downstream=context.lineage.downstream(name),
        reaches=context.lineage.reaches(name),
        readers=list(observed.readers),
        scores=context.reports.get(name, inferred.scores),
        scores_of="reports" if name in context.reports else "sample" if inferred.scores else None,
        value=context.values.get(name),
        cost=_cost(observed, inferred.record_bytes, context.lag_of_all),
        proposal=inferred.proposal,
        n_sampled=inferred.n_sampled,
        n_unreadable=inferred.n_unreadable,
        first_seen_ms=context.now_ms,
        last_seen_ms=context.now_ms,
    )


def size_bytes(record: Record) -> int:
    """Of key and value."""
    return len(record.key or b"") + len(record.value or b"")


def _cost(observed: Observed, record_bytes: float | None, lag_of_all: int) -> Cost:
    per_day = float(observed.n_last_day or 0)
    if not observed.is_older:
        per_day = max(per_day, observed.records_per_s * DAY_S)
    lag = sum(each.lag for each in observed.readers)
    return Cost(
        bytes_per_day=None if record_bytes is None else round(per_day * record_bytes),
        lag_share=round(lag / lag_of_all, 6) if observed.readers and lag_of_all else None,
    )


def _contract(topic: Topic | None) -> str | None:
    if topic is None or topic.value_type is bytes:
        return None
    return f"urn:rillet:schema:{shapes.file_name(topic.name, topic.value_type)}"


def _lags_ms(
    found: Sequence[Column],
    time: str | None,
    objects: Sequence[tuple[int, dict[str, Any]]],
    sample: Sequence[Record],
) -> list[int]:
    """Record timestamps less event times, of the records that have both."""
    unit = next((each.format for each in found if each.path == time), None)
    if time is None or unit is None or "[]" in time:
        return []
    lags = []
    for place, value in objects:
        moment = _moment_ms(columns.member(value, time), unit)
        if moment is not None and sample[place].timestamp >= 0:
            lags.append(sample[place].timestamp - moment)
    return lags


def _moment_ms(value: Any, unit: str) -> int | None:
    if unit == "iso_time":
        return time_ms_of(value) if isinstance(value, str) else None
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < 19 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return scoring.in_ms(unit)(value)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None else None
