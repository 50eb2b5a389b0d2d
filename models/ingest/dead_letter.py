"""Dead letters: a refused record, verbatim, with what is needed to show it and to send it again.

The refused record's own headers come first, ours after them; where a name occurs twice the last one is ours.
It neither sends nor reads anything: ``streams`` does.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from models.ingest import faults
from models.ingest.record import Record, Rejected
from models.ingest.trace import MAX_STATE_BYTES
from schemas import headers, topics
from schemas.headers import Headers
from schemas.rejections import Reason, Rejection

MAX_BYTES: Final = 2_500_000
"""Of key, value and own headers together: what a compressed batch unpacks to may exceed what any topic takes."""
KEPT_BYTES: Final = 1_000_000
"""Of the value and the key each, of a record beyond ``MAX_BYTES``; its own headers are left out, but for the
trace that it belongs to."""

MAX_ATTEMPT_DIGITS: Final = 6
"""A header that claims more attempts than that is not ours."""

OURS: Final = (
    headers.ERROR_EXCEPTION,
    headers.ERROR_MESSAGE,
    headers.ERROR_TOPIC,
    headers.ERROR_PARTITION,
    headers.ERROR_OFFSET,
    headers.REASON,
    headers.ATTEMPT,
    headers.TIMESTAMP_MS,
)


TRACE: Final = (headers.TRACEPARENT, headers.TRACESTATE, headers.CE_TRACEPARENT, headers.CE_TRACESTATE)


class Outgoing(NamedTuple):
    """A record to produce."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None
    """None: the time of sending."""


class DeadLetter(NamedTuple):
    """A dead letter, read.

    ``headers`` are those of the refused record alone; ``reason`` is text: a newer release may know more.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    detail: str
    attempt: int

    def replayed(self) -> Outgoing:
        """The record as it first was, for the topic it was meant for. It carries on the count of attempts."""
        again = [*self.headers, (headers.ATTEMPT, str(self.attempt).encode())]
        timestamp_ms = self.timestamp_ms if self.timestamp_ms >= 0 else None
        return Outgoing(self.topic, self.key, self.value, again, timestamp_ms)


def bury(rejected: Rejected) -> Outgoing:
    """The dead letter of a refused record. It is stamped when sent: retention counts from there.

    A record beyond ``MAX_BYTES`` is cut, and the header ``rillet.cut-from-bytes`` tells what it was.
    """
    record, rejection = rejected
    own = [each for each in record.headers if each[0] != headers.ATTEMPT]
    added = headers.dead_letter(
        rejection,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        attempt=_attempts(record.headers) + 1,
    )
    size = _size(record, own)
    if size <= MAX_BYTES:
        return Outgoing(topics.DEAD_LETTER, record.key, record.value, own + added, None)
    key, value = (part and part[:KEPT_BYTES] for part in (record.key, record.value))
    cut = [(headers.CUT_FROM_BYTES, b"%d" % size)]
    return Outgoing(topics.DEAD_LETTER, key, value, [*_traced(own), *cut, *added], None)


def _traced(own: Headers) -> Headers:
    return [
        (name, value) for name, value in own if name in TRACE and value and len(value) <= MAX_STATE_BYTES
    ][: len(TRACE)]


def _size(record: Record, own: Headers) -> int:
    in_headers = sum(len(name) + len(value or b"") for name, value in own)
    return len(record.key or b"") + len(record.value or b"") + in_headers


def exhume(record: Record) -> DeadLetter | Rejection:
    """Reads a record of the dead-letter topic; a rejection when it is none of ours."""
    own, ours = _parted(record.headers)
    try:
        return DeadLetter(
            topic=ours[headers.ERROR_TOPIC].decode(),
            partition=int(ours[headers.ERROR_PARTITION]),
            offset=int(ours[headers.ERROR_OFFSET]),
            timestamp_ms=int(ours[headers.TIMESTAMP_MS]),
            key=record.key,
            value=record.value,
            headers=own,
            reason=ours[headers.REASON].decode(),
            detail=ours[headers.ERROR_MESSAGE].decode(),
            attempt=int(ours[headers.ATTEMPT]),
        )
    except KeyError as error:
        return faults.rejection(Reason.MISSING_FIELD, f"no dead letter of ours: header {error} is missing")
    except ValueError as error:
        return faults.rejection(Reason.WRONG_TYPE, f"no dead letter of ours: {error}")


def _parted(found: Sequence[tuple[str, bytes]]) -> tuple[Headers, dict[str, bytes]]:
    last = {name: place for place, (name, _) in enumerate(found) if name in OURS}
    own = [each for place, each in enumerate(found) if last.get(each[0]) != place]
    return own, {name: found[place][1] or b"" for name, place in last.items()}


def _attempts(found: Sequence[tuple[str, bytes]]) -> int:
    claimed = next((value for name, value in reversed(found) if name == headers.ATTEMPT), None)
    return int(claimed) if claimed and claimed.isdigit() and len(claimed) <= MAX_ATTEMPT_DIGITS else 0
