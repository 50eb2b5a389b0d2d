"""Names of record headers, and pure functions that build them.

CloudEvents attributes follow the Kafka binding 1.0 in binary mode, dead letters KIP-1034; values are UTF-8.
Nothing here reads headers; that is done where they are used.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.rejections import Rejection

Headers = list[tuple[str, bytes]]

CONTENT_TYPE: Final = "content-type"
CONTENT_ENCODING: Final = "content-encoding"
JSON: Final = "application/json"
CLOUDEVENTS_JSON: Final = "application/cloudevents+json"
"""Content type of CloudEvents in structured mode: the attributes are in the value."""
GA4_JSON: Final = "application/vnd.ga4+json"
SEGMENT_JSON: Final = "application/vnd.segment+json"

CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
CE_SOURCE: Final = "ce_source"
CE_SPECVERSION: Final = "ce_specversion"
CE_TIME: Final = "ce_time"
SPECVERSION: Final = "1.0"

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
CE_TRACEPARENT: Final = "ce_traceparent"
CE_TRACESTATE: Final = "ce_tracestate"
"""W3C trace context, as headers of their own and as the extension of CloudEvents."""

ERROR_EXCEPTION: Final = "__streams.errors.exception"
ERROR_MESSAGE: Final = "__streams.errors.message"
ERROR_TOPIC: Final = "__streams.errors.topic"
ERROR_PARTITION: Final = "__streams.errors.partition"
ERROR_OFFSET: Final = "__streams.errors.offset"
REASON: Final = "rillet.reason"
ATTEMPT: Final = "rillet.attempt"
"""How often the record has been refused so far, 1 the first time."""
TIMESTAMP_MS: Final = "rillet.timestamp-ms"
"""The refused record's own timestamp, which a replay restores so that lateness is judged as before."""

CUT_FROM_BYTES: Final = "rillet.cut-from-bytes"
"""On a dead letter whose record was too large to keep whole: how many bytes it had."""

SLATE_ID: Final = "rillet.slate-id"
EVENT_ID: Final = "rillet.event-id"
MODEL_VERSION: Final = "rillet.model-version"
EVENT_TIME_MS: Final = "rillet.event-time-ms"
PROCESSED_MS: Final = "rillet.processed-ms"
RECIPE: Final = "rillet.recipe"
"""Label of the recipe by which what the record holds was cleaned; absent where nothing is."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def cloudevent(*, event_id: str, event_type: str, source: str, time_ms: int) -> Headers:
    """Attributes of a CloudEvent in binary mode, whose value is the JSON of the event alone."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return _encoded(
        {
            CE_SPECVERSION: SPECVERSION,
            CE_ID: event_id,
            CE_TYPE: event_type,
            CE_SOURCE: source,
            CE_TIME: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            CONTENT_TYPE: JSON,
        }
    )


def dead_letter(
    rejection: Rejection, *, topic: str, partition: int, offset: int, timestamp_ms: int, attempt: int
) -> Headers:
    """Where a refused record came from, why it was refused, and how often so far."""
    return _encoded(
        {
            ERROR_EXCEPTION: type(rejection).__name__,
            ERROR_MESSAGE: rejection.detail,
            ERROR_TOPIC: topic,
            ERROR_PARTITION: partition,
            ERROR_OFFSET: offset,
            REASON: rejection.reason.value,
            ATTEMPT: attempt,
            TIMESTAMP_MS: timestamp_ms,
        }
    )


def slate(
    *, slate_id: str, event_id: str, model_version: str, event_time_ms: int, processed_ms: int
) -> Headers:
    """What a reader needs to drop a repeated slate and to measure freshness without decoding the value."""
    return _encoded(
        {
            SLATE_ID: slate_id,
            EVENT_ID: event_id,
            MODEL_VERSION: model_version,
            EVENT_TIME_MS: event_time_ms,
            PROCESSED_MS: processed_ms,
        }
    )


def recipe(label: str) -> Headers:
    """By which recipe data were cleaned, none for an empty label."""
    return _encoded({RECIPE: label}) if label else []


def trace(parent: str, state: str) -> Headers:
    """W3C trace context; ``state`` may be empty."""
    return _encoded({TRACEPARENT: parent} | ({TRACESTATE: state} if state else {}))


def _encoded(fields: Mapping[str, str | int]) -> Headers:
    return [(name, str(value).encode()) for name, value in fields.items()]
