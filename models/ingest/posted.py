"""Events that come without a key, over HTTP: judged as workers judge them, keyed by the user that they name."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from models.ingest import faults
from models.ingest.plausibility import Limits, judge
from models.ingest.reader import Reader
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.events import AnyEvent
from schemas.rejections import Rejection

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Posted(NamedTuple):
    """An event as it is to be produced: its topic, and itself."""

    topic: str
    event: AnyEvent


class _Record(NamedTuple):
    """What the readers want of a record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class IngestPosted:
    """Takes single values.

    >>> IngestPosted(IngestSettings())(b'{"event_id": "e", "user_id": "u", "time_ms": 0, "item_id": "i"}', 0).reason
    <Reason.OUT_OF_RANGE: 'out_of_range'>
    """

    def __init__(self, settings: IngestSettings) -> None:
        self._limits = Limits(settings.allowed_lateness_ms, settings.future_tolerance_ms)
        self._readers: dict[str, Reader[Any]] = {
            topic: Reader(
                topic, topics.topic(topic).value_type, settings.format_of(topic), settings.max_value_bytes
            )
            for topic in topics.BEHAVIOUR
        }

    def __call__(self, value: bytes, now_ms: int, topic: str | None = None) -> Posted | Rejection:
        """The event and its topic, or why it is refused. Without a topic it is told by its fields."""
        named = topic or _topic_of(value)
        if isinstance(named, Rejection):
            return named
        record = _Record(named, 0, 0, now_ms, None, value, ())
        reading = self._readers[named].read(record)
        if isinstance(reading, Rejection):
            return reading
        event = reading.value
        fault = judge(event, event.user_id.encode(errors="replace"), now_ms, self._limits)
        return fault or Posted(named, event)


_TELLING: Final = (("kind", topics.FEEDBACK), ("lines", topics.PURCHASE), ("query", topics.SEARCH))


def _topic_of(value: bytes) -> str | Rejection:
    """By the first field that only events of one topic have; a look at an item has none of them."""
    try:
        fields = _fields(value)
    except faults.DECODING_ERRORS as error:
        return faults.of_json(error, value)
    return next((topic for name, topic in _TELLING if name in fields), topics.BROWSE)
