"""Whole batches of catalogue records: bytes to entries, removals or rejections.

The catalogue is small beside the events, so all of it goes the exact way. An entry is never too late: it
holds until it is replaced.
"""

from collections.abc import Sequence
from typing import Any, Final

from models.ingest import faults
from models.ingest.plausibility import judge_entry, of_id
from models.ingest.reader import Reader
from models.ingest.record import Change, IngestedCatalog, Record, Rejected
from models.ingest.settings import Format, IngestSettings
from models.ingest.unknown import Census, bounded
from schemas import topics
from schemas.catalog import Item, Promotion
from schemas.rejections import Reason, Rejection

_TYPES: Final[dict[str, Any]] = {topics.ITEMS: Item, topics.PROMOTIONS: Promotion}


class IngestCatalog:
    """Ingests batches, each of one ``catalog.*`` topic. A null value removes the entry that the key names."""

    def __init__(self, settings: IngestSettings) -> None:
        self._tolerance_ms = settings.future_tolerance_ms
        self._readers: dict[str, Reader[Item | Promotion]] = {
            topic: Reader(topic, shape, Format.CANONICAL, settings.max_value_bytes)
            for topic, shape in _TYPES.items()
        }
        self._censuses = {topic: Census(shape) for topic, shape in _TYPES.items()}

    def __call__(self, records: Sequence[Record]) -> IngestedCatalog:
        """What each record became. ``ValueError`` for a topic that is not of the catalogue."""
        if not records:
            return IngestedCatalog([], [], {})
        topic = records[0].topic
        if topic not in self._readers:
            raise ValueError(
                f"ingest was given {topic!r}, it takes batches of one of {', '.join(self._readers)}"
            )
        changes: list[Change] = []
        rejected: list[Rejected] = []
        bodies: list[bytes] = []
        entries: list[Item | Promotion] = []
        for record in records:
            outcome = self._removal(record) if record.value is None else self._entry(topic, record)
            if isinstance(outcome, Rejection):
                rejected.append(Rejected(record, outcome))
                continue
            change, body = outcome
            changes.append(change)
            if change.entry is not None and body is not None:
                bodies.append(body)
                entries.append(change.entry)
        return IngestedCatalog(changes, rejected, bounded(self._censuses[topic].count(bodies, entries)))

    def _entry(self, topic: str, record: Record) -> tuple[Change, bytes | None] | Rejection:
        reading = self._readers[topic].read(record)
        if isinstance(reading, Rejection):
            return reading
        entry = reading.value
        fault = judge_entry(entry, record.key, record.timestamp, self._tolerance_ms)
        entry_id = entry.item_id if isinstance(entry, Item) else entry.promotion_id
        return fault or (Change(record.offset, entry_id, entry), reading.body)

    def _removal(self, record: Record) -> tuple[Change, None] | Rejection:
        try:
            removed = (record.key or b"").decode()
        except UnicodeDecodeError as error:
            return faults.rejection(Reason.BAD_ID, f"the key of a removal is no UTF-8: {error.reason}")
        return of_id(removed) or (Change(record.offset, removed, None), None)
