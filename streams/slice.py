"""The events of a slice of the users, read beside the workers from all partitions, in the order of their time.

It is in no consumer group and commits nothing. An event waits until every partition has come as far or is read to its
end; when ``MAX_WAITING`` wait, the oldest goes on. Records that are no events are the workers' business.
"""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from models.ingest import Ingest
from models.value.shadows import in_slice
from schemas import topics
from schemas.events import AnyEvent
from streams.follow import FINAL_ERRORS, FollowedRecord
from streams.patience import edges, patiently
from streams.settings import Settings

log = logging.getLogger(__name__)

MAX_BATCH: Final = 500
GATHER_S: Final = 0.2
TIMEOUT_S: Final = 30.0
MAX_WAITING: Final = 20_000

Place = tuple[str, int]
"""Topic and partition."""


class Slice:
    """Begins at ``since_ms``, 0 for the beginning; without it, at what comes next.

    When it has caught up with what was there at its start and falls behind again, by more than ``value.shadow_lag``
    records, it goes on with the newest.
    """

    def __init__(self, settings: Settings, since_ms: int | None = None) -> None:
        self._share, self._max_lag = settings.value.shadow_share, settings.value.shadow_lag
        self._ingest = Ingest(settings.ingest)
        self._consumer = Consumer(
            {
                **settings.kafka.consumer(),
                "group.id": "rillet-shadows",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 16_384,
                "logger": log,
            }
        )
        there = {place: edges(self._consumer, *place, TIMEOUT_S) for place in self._places()}
        self._next = self._starts({place: at[0] for place, at in there.items()}, since_ms)
        """Offset of the record to be read next."""
        for place, (_, end) in there.items():
            self._next.setdefault(place, end)
        self._behind = {place: end for place, (_, end) in there.items() if self._next[place] < end}
        """The end that a partition had at the start, of those that have not come to it."""
        self._waiting: dict[Place, deque[AnyEvent]] = {place: deque() for place in there}
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at its start has been handed out."""
        return not self._behind

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()

    def due(self) -> list[AnyEvent]:
        """What has come and is followed, the oldest first; waits a moment for more."""
        read: dict[Place, list[FollowedRecord]] = {}
        for message in self._consumer.consume(MAX_BATCH, GATHER_S):
            if self._is_followed(message):
                record = FollowedRecord.of(message)
                read.setdefault((record.topic, record.partition), []).append(record)
        for place, records in read.items():
            self._waiting[place].extend(each.event for each in self._ingest(records).accepted)
        events = list(self._in_time())
        self._behind = {
            place: end
            for place, end in self._behind.items()
            if self._next[place] < end or self._waiting[place]
        }
        self._skip_if_behind()
        return events

    def _places(self) -> list[Place]:
        found: list[Place] = []
        for name in topics.BEHAVIOUR:
            topic = self._consumer.list_topics(name, timeout=TIMEOUT_S).topics[name]
            if topic.error is not None:
                raise KafkaException(topic.error)
            found += [(name, partition) for partition in sorted(topic.partitions)]
        return found

    def _starts(self, lows: dict[Place, int], since_ms: int | None) -> dict[Place, int]:
        """Where ``since_ms`` lies, in partitions that have anything since."""
        if since_ms is None or since_ms == 0:
            return dict(lows) if since_ms == 0 else {}
        asked = [TopicPartition(*place, since_ms) for place in lows]
        found = patiently(lambda: self._consumer.offsets_for_times(asked, timeout=TIMEOUT_S))
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def _is_followed(self, message: Message) -> bool:
        place, error = (message.topic(), message.partition()), message.error()
        if error is not None:
            self._heed(place, message, error)
            return False
        self._next[place] = message.offset() + 1
        return message.key() is not None and in_slice(message.key(), self._share)

    def _heed(self, place: Place, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._next[place] = max(self._next[place], message.offset())
        elif error.code() in FINAL_ERRORS or error.fatal():
            raise KafkaException(error)
        else:
            log.warning("shadows_error topic=%s partition=%s: %s", *place, error)

    def _in_time(self) -> Iterator[AnyEvent]:
        """A merge of the partitions, by the event that each begins with."""
        to_come = [place for place, offset in self._next.items() if offset < self._end(place)]
        n_waiting = sum(map(len, self._waiting.values()))
        while heads := [(waiting[0].time_ms, place) for place, waiting in self._waiting.items() if waiting]:
            if n_waiting <= MAX_WAITING and not all(self._waiting[place] for place in to_come):
                return
            yield self._waiting[min(heads)[1]].popleft()
            n_waiting -= 1

    def _skip_if_behind(self) -> None:
        lag = sum(max(0, self._end(place) - offset) for place, offset in self._next.items())
        if not self.caught_up or lag <= self._max_lag:
            return
        log.warning("shadows_skipped records=%d: lower value.shadow_share, or give it a core", lag)
        for place, waiting in self._waiting.items():
            waiting.clear()
            self._next[place] = max(self._next[place], self._end(place))
        self._consumer.assign([TopicPartition(*place, OFFSET_END) for place in self._waiting])

    def _end(self, place: Place) -> int:
        """Of a partition, as far as it is known."""
        known = int(self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)[1])
        return max(known, self._behind.get(place, 0))
