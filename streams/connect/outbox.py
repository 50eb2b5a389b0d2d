"""What carried records become, sent to the topics of Rillet and known to be there before anything is committed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import Message, Producer

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from schemas import topics
from schemas.headers import Headers
from schemas.rejections import Rejection
from streams.connect.catalogue import Catalogue, Sending
from streams.errors import BrokerRefusedError
from streams.follow import FollowedRecord
from streams.log.events import Logged
from streams.log.records import Carried

TRACE: Final = frozenset({"traceparent", "tracestate"})
"""Headers that go on with the event."""
_WAIT_S: Final = 0.1


class Outbox:
    """Sends with the timestamps of the records that events came from, so that ingest judges their age by those."""

    def __init__(self, producer_conf: Mapping[str, Any]) -> None:
        self._producer = Producer({**producer_conf, "log_level": 0})
        self._encode = msgspec.json.Encoder().encode
        self._failed: list[str] = []
        self.catalogue = Catalogue()
        self.sent: Counter[str] = Counter()
        """By topic."""

    def carry(self, record: FollowedRecord, carried: Carried) -> None:
        """Hand over what a record became."""
        trace = [each for each in record.headers if each[0] in TRACE]
        for each in carried.events:
            self._event(each, record.timestamp, trace)
        for change in carried.entries:
            sending = self.catalogue.give(change, record.timestamp)
            if sending is not None:
                self.entry(sending)

    def entry(self, sending: Sending) -> None:
        """Hand over an entry of the catalogue."""
        self._produce(topics.ITEMS, sending.item_id.encode(), sending.value, sending.timestamp_ms, [])

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

    def _delivered(self, error: Any, message: Message) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error.str()}")
        elif message.topic() == topics.ITEMS:
            self.catalogue.delivered((message.key() or b"").decode(), message.offset())

    def _raise_if_failed(self) -> None:
        if self._failed:
            raise BrokerRefusedError(
                f"The broker did not take events: {self._failed[0]}.",
                fix="Create the topics with `rillet topics create`, or see whether the broker is up. Nothing is lost: "
                "run it again.",
            )
