"""What carried records become, sent to the topics of Rillet and known to be there before anything is committed."""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import Producer
from xxhash import xxh3_64_intdigest

from models.ingest.dead_letter import bury
from models.ingest.record import Change, Rejected
from schemas import topics
from schemas.headers import Headers
from schemas.rejections import Rejection
from streams.errors import BrokerRefusedError
from streams.follow import FollowedRecord
from streams.log.events import Logged
from streams.log.records import Carried

MAX_ENTRIES: Final = 100_000
"""Entries of the catalogue remembered, so that one that did not change is not sent again."""
TRACE: Final = frozenset({"traceparent", "tracestate"})
"""Headers that go on with the event."""
_WAIT_S: Final = 0.1


class Outbox:
    """Sends with the timestamps of the records that events came from, so that ingest judges their age by those."""

    def __init__(self, producer_conf: Mapping[str, Any]) -> None:
        self._producer = Producer({**producer_conf, "log_level": 0})
        self._encode = msgspec.json.Encoder().encode
        self._failed: list[str] = []
        self._entries: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Time and hash of entries that were sent last."""
        self.sent: Counter[str] = Counter()
        """By topic."""

    def carry(self, record: FollowedRecord, carried: Carried) -> None:
        """Hand over what a record became."""
        trace = [each for each in record.headers if each[0] in TRACE]
        for each in carried.events:
            self._event(each, record.timestamp, trace)
        for change in carried.entries:
            if self._is_news(change):
                self._entry(change, record.timestamp)

    def refuse(self, record: FollowedRecord, rejection: Rejection) -> None:
        """Hand over a dead letter: the coordinates and the reason, and what ``record`` holds."""
        letter = bury(Rejected(record, rejection))
        self._produce(letter.topic, letter.key, letter.value, None, letter.headers)

    def wait(self, timeout_s: float) -> bool:
        """Whether all that was handed over is on the broker by then.

        Raises:
            BrokerRefusedError: the broker will not take something.
        """
        left = self._producer.flush(timeout_s)
        self._raise_if_failed()
        return int(left) == 0

    def _event(self, each: Logged, timestamp_ms: int, trace: Headers) -> None:
        self._produce(each.topic, each.event.user_id.encode(), self._encode(each.event), timestamp_ms, trace)

    def _entry(self, change: Change, timestamp_ms: int) -> None:
        value = None if change.entry is None else self._encode(change.entry)
        self._produce(topics.ITEMS, change.id.encode(), value, timestamp_ms, [])

    def _is_news(self, change: Change) -> bool:
        """Whether an entry says something else than the last one of its item that was sent, and is no older."""
        entry = change.entry
        if entry is None:
            self._entries.pop(change.id, None)
            return True
        time_ms = entry.time_ms
        content = xxh3_64_intdigest(self._encode(msgspec.structs.replace(entry, time_ms=0)))
        sent_ms, sent = self._entries.get(change.id, (-1, -1))
        if time_ms < sent_ms or content == sent:
            return False
        self._entries[change.id] = (time_ms, content)
        self._entries.move_to_end(change.id)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return True

    def _produce(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int | None, headers: Headers
    ) -> None:
        stamp = {} if timestamp_ms is None or timestamp_ms < 0 else {"timestamp": timestamp_ms}
        while True:
            try:
                self._producer.produce(
                    topic, value, key, headers=headers, on_delivery=self._delivered, **stamp
                )
                break
            except BufferError:
                self._producer.poll(_WAIT_S)
        self.sent[topic] += 1

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error.str()}")

    def _raise_if_failed(self) -> None:
        if self._failed:
            raise BrokerRefusedError(
                f"The broker did not take events: {self._failed[0]}.",
                fix="Create the topics with `rillet topics create`, or see whether the broker is up. Nothing is lost: "
                "run it again.",
            )
