"""Records of a topic to events and entries of the catalogue, by a mapping: what a file of the same values would become.

A record is carried whole or refused whole, with the reason. Nothing is copied but what the mapping names. An event
whose record has no id of its own is called by the record's topic, partition and offset, so that the same record
becomes the same events however often it is read. Nothing here talks to Kafka."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from models.ingest import faults
from models.ingest.envelope import Envelope, open_envelope, time_ms_of
from models.ingest.plausibility import Limits, judge, judge_entry
from models.ingest.record import Change, Record
from models.ingest.settings import IngestSettings
from schemas.rejections import Reason, Rejection
from streams.errors import InputError
from streams.log.entries import Entries
from streams.log.events import Logged, to_events
from streams.log.mapping import LogMapping
from streams.log.objects import CLOUDEVENT, JSON_FORMATS, object_of
from streams.log.parse import ROW_ERRORS, LogRow, Origin, Parser, why_not
from streams.log.paths import Paths

HEADERS: Final = "$headers"
"""Where a path finds the record's headers, by their names in small letters."""
_CONTENT_TYPE: Final = "content-type"
_CE: Final = "ce_"


class Carried(NamedTuple):
    """What one record became: nothing at all where it tells of nothing that the mapping names."""

    events: list[Logged]
    entries: list[Change]
    rejection: Rejection | None = None


class Records:
    """Reads the records of one topic.

    Raises:
        InputError: the mapping is of a file that is no JSON, or a column of it is no path.
    """

    def __init__(self, mapping: LogMapping, settings: IngestSettings) -> None:
        self._form = mapping.file.format or "jsonl"
        self._columns = mapping.needed()
        self._roles = list(mapping.roles().values())
        try:
            self._paths = Paths(self._columns, mapping.file.empty)
        except ValueError as error:
            raise InputError(f"The mapping has no path: {error}.", fix="See docs/mapping.md.") from error
        if self._form not in JSON_FORMATS:
            raise InputError(
                f"The mapping is of {self._form} files, a topic's records are JSON.",
                fix='Set file.format = "jsonl", and name columns by paths (docs/mapping.md).',
            )
        places = {name: place for place, name in enumerate(self._columns)}
        self._parser = Parser(mapping, places, "", "")
        self._entries = Entries(mapping, places)
        self._max_bytes = settings.max_value_bytes
        self._limits = Limits(settings.allowed_lateness_ms, settings.future_tolerance_ms)
        self._of_catalog = {*mapping.catalog.kinds, *mapping.catalog.removed}

    def __call__(self, record: Record) -> Carried:
        """What the record becomes. Never raises, whatever its bytes."""
        found = self.object_in(record)
        if isinstance(found, Rejection):
            return Carried([], [], found)
        try:
            rows = list(self._paths.rows(found))
        except ValueError as error:
            return Carried([], [], faults.rejection(Reason.WRONG_TYPE, str(error)))
        return self._carried(rows, _origin(record, found), record)

    @property
    def unmapped(self) -> Counter[str]:
        """Rows by kinds that the mapping does not name."""
        return Counter({k: n for k, n in self._parser.unmapped.items() if k not in self._of_catalog})

    def rows(self, record: Record) -> list[dict[str, str]]:
        """What the mapping reads of a record, by what it is; nothing of one that cannot be read."""
        found = self.object_in(record)
        try:
            return [] if isinstance(found, Rejection) else self._told(list(self._paths.rows(found)))
        except ValueError:
            return []

    def object_in(self, record: Record) -> dict[str, Any] | Rejection:
        """What paths lead through: the JSON of the record, out of its envelope, with the headers."""
        said = {name.lower(): (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        others = [each for each in record.headers if each[0].lower() != _CONTENT_TYPE]
        envelope = open_envelope(record.value, others, self._max_bytes)
        if not isinstance(envelope, Envelope):
            return envelope
        try:
            value = object_of(envelope.body.decode(), self._form)
        except UnicodeDecodeError as error:
            return faults.rejection(Reason.BROKEN_UTF8, str(error))
        except ValueError as error:
            return faults.rejection(Reason.BROKEN_JSON, str(error))
        attributes = {name.removeprefix(_CE): each for name, each in said.items() if name.startswith(_CE)}
        if attributes:
            value = {CLOUDEVENT: attributes, **value}
        return {**value, HEADERS: said}

    def _carried(self, rows: Sequence[list[str]], origin: Origin, record: Record) -> Carried:
        parsed: list[LogRow] = []
        entries: dict[str, Change] = {}
        try:
            for place, values in enumerate(rows):
                row = self._parser.parse(values, 0, place, origin)
                parsed += [] if row is None else [row]
                change = self._entries.parse(values, record.offset, self._parser.time_ms(values, 0, origin))
                if change is not None:
                    entries[change.id] = change
        except msgspec.ValidationError as error:
            return Carried([], [], faults.rejection(Reason.OUT_OF_RANGE, why_not(error)))
        except ROW_ERRORS as error:
            return Carried([], [], faults.rejection(Reason.WRONG_TYPE, str(error)))
        events, changes = list(to_events(parsed)), list(entries.values())
        fault = self._fault(events, changes, record)
        return Carried([], [], fault) if fault else Carried(events, changes)

    def _fault(self, events: list[Logged], entries: list[Change], record: Record) -> Rejection | None:
        """What ingest would refuse, refused here, where the record it came from is known."""
        for each in events:
            fault = judge(each.event, each.event.user_id.encode(), record.timestamp, self._limits)
            if fault is not None:
                return fault
        for change in entries:
            if change.entry is not None:
                fault = judge_entry(
                    change.entry, change.id.encode(), record.timestamp, self._limits.future_tolerance_ms
                )
                if fault is not None:
                    return fault
        return None

    def _told(self, rows: Sequence[list[str]]) -> list[dict[str, str]]:
        return [{name: text for name, text in zip(self._roles, row, strict=True) if text} for row in rows]


def _origin(record: Record, value: dict[str, Any]) -> Origin:
    attributes = value.get(CLOUDEVENT)
    attributes = attributes if isinstance(attributes, dict) else {}
    event_id, time = attributes.get("id"), attributes.get("time")
    time_ms = time_ms_of(time) if isinstance(time, str) else None
    return Origin(
        event_id
        if isinstance(event_id, str) and event_id
        else f"{record.topic}-{record.partition}-{record.offset}",
        record.timestamp if time_ms is None else time_ms,
    )
