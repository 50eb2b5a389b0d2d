"""Whole batches of shopper events: bytes to typed events or rejections.

The short way is one typed decode and a few comparisons that only a plain, sound event passes; all else goes
the exact way through ``reader`` and ``plausibility``. Both ways give the same answers.
It keeps nothing between batches: duplicates and order are the next stage's business.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

from models.ingest.envelope import MAX_DEPTH, SHALLOW_BYTES, depth_exceeds, has_news
from models.ingest.faults import DECODING_ERRORS
from models.ingest.plausibility import EARLIEST_MS, LATEST_MS, Limits, judge
from models.ingest.reader import Reader
from models.ingest.record import Accepted, Ingested, Record, Rejected
from models.ingest.settings import Format, IngestSettings
from models.ingest.unknown import Census, bounded, tally
from schemas import topics
from schemas.events import SCHEMA_VERSION, AnyEvent
from schemas.rejections import Rejection

_SPACE: Final = ord(" ")
_BACKSLASH: Final = ord("\\")
_DELETE: Final = 0x7F


class Ingest:
    """Ingests batches, each of one ``events.*`` topic and partition.

    >>> Ingest(IngestSettings())([])
    Ingested(accepted=[], rejected=[], unknown_fields={})
    """

    def __init__(self, settings: IngestSettings) -> None:
        limits = Limits(settings.allowed_lateness_ms, settings.future_tolerance_ms)
        self._sources = {topic: _Source(topic, settings, limits) for topic in topics.BEHAVIOUR}

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Itself: it keeps nothing between batches."""
        return self

    def __call__(self, records: Sequence[Record]) -> Ingested:
        """What each record became, in their order. ``ValueError`` for a topic without shopper events."""
        if not records:
            return Ingested([], [], {})
        topic = records[0].topic
        if topic not in self._sources:
            raise ValueError(
                f"ingest was given {topic!r}, it takes batches of one of {', '.join(self._sources)}"
            )
        return self._sources[topic].ingest(records)


class _Source:
    """One topic: how its values are read and judged."""

    def __init__(self, topic: str, settings: IngestSettings, limits: Limits) -> None:
        value_type = topics.topic(topic).value_type
        format_ = settings.format_of(topic)
        self._reader: Reader[AnyEvent] = Reader(topic, value_type, format_, settings.max_value_bytes)
        self._census = Census(value_type)
        self._limits = limits
        self._lateness_ms, self._future_ms = limits
        self._translates = format_ not in (Format.AUTO, Format.CANONICAL)
        self._max_value_bytes = settings.max_value_bytes
        self._short_bytes = min(SHALLOW_BYTES, settings.max_value_bytes)

    def ingest(self, records: Sequence[Record]) -> Ingested:
        accepted: list[Accepted] = []
        rejected: list[Rejected] = []
        bodies: list[bytes] = []
        decoded: list[AnyEvent] = []
        unknown: list[str] = []
        for record in records:
            body, event = record.value, self._plain(record)
            dropped: list[str] = []
            if event is None:
                reading = self._reader.read(record)
                if isinstance(reading, Rejection):
                    rejected.append(Rejected(record, reading))
                    continue
                event, body, dropped = reading
            if not self._is_sound(event, body, record):
                fault = judge(event, record.key, record.timestamp, self._limits)
                if fault is not None:
                    rejected.append(Rejected(record, fault))
                    continue
            accepted.append(Accepted(record.offset, record.timestamp, event))
            if body is None:
                unknown += dropped
            else:
                bodies.append(body)
                decoded.append(event)
        counts = self._census.count(bodies, decoded) + tally(unknown)
        return Ingested(accepted, rejected, bounded(counts))

    def _plain(self, record: Record) -> AnyEvent | None:
        """The event, when the value by itself is one, without compression, translation or doubtful depth."""
        value = record.value
        if value is None or self._translates or (record.headers and has_news(record.headers)):
            return None
        size = len(value)
        if size > self._short_bytes and (size > self._max_value_bytes or depth_exceeds(value, MAX_DEPTH)):
            return None
        try:
            return self._reader.decode(value)
        except DECODING_ERRORS:
            return None

    def _is_sound(self, event: AnyEvent, body: bytes | None, record: Record) -> bool:
        """Whether ``judge`` surely accepts: text without spaces and escapes has no blank or long ids."""
        time_ms = event.time_ms
        return (
            body is not None
            and body.isascii()
            and _SPACE not in body
            and _BACKSLASH not in body
            and _DELETE not in body
            and event.schema_version == SCHEMA_VERSION
            and record.key == event.user_id.encode()
            and EARLIEST_MS <= time_ms <= LATEST_MS
            and -self._future_ms <= record.timestamp - time_ms <= self._lateness_ms
        )
