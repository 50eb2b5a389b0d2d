"""Follows what Rillet publishes into the store, and tells the hub.

No consumer group: each replica reads all partitions, from where its own store says. The newest record of a key holds; a
null value removes it; a slate whose id is held already is a repeat. Reports and dead letters are kept by time.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, Final

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException

from models.ingest.catalog import IngestCatalog
from models.ingest.dead_letter import exhume
from schemas import headers, topics
from schemas.api import DeadLetterSummary, TopicStanding
from schemas.outputs import Related, Trending
from schemas.rejections import Rejection
from streams.api import metrics
from streams.api.live import Hub
from streams.api.settings import ApiSettings
from streams.api.store import LATEST, LOGS, Changes, Held, Store, StoreError
from streams.follow import FollowedRecord, Follower
from streams.patience import edges
from streams.settings import Settings

log = logging.getLogger(__name__)

MAX_BATCH: Final = 200
"""Records applied between two turns of the event loop."""
SWEPT: Final = 200
"""Keys looked at between two turns of the event loop."""
SWEEP_EVERY_S: Final = 0.05
REST_S: Final = 60.0
"""Between two rounds."""
CATALOGUE: Final = (topics.ITEMS, topics.PROMOTIONS)
TIMEOUT_S: Final = 30.0
DETAIL: Final = 500
GONE: Final = (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000

_encode = msgspec.json.Encoder().encode
_is_json = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_TYPED: Final[dict[str, Callable[[bytes], object]]] = {
    topics.TRENDING: msgspec.json.Decoder(Trending).decode,
    topics.RELATED: msgspec.json.Decoder(Related).decode,
}
"""Of topics whose values are decoded when they are asked for; of the others it is enough to be JSON."""


class ReadModel:
    """Started and read on the event loop."""

    def __init__(
        self, settings: Settings, store: Store, hub: Hub, crash: Callable[[BaseException], None]
    ) -> None:
        self._conf = settings.kafka.client_conf()
        self._settings = settings.api
        self._store = store
        self._hub = hub
        self._catalog = IngestCatalog(settings.ingest)
        self._crash = crash
        self._follower: Follower | None = None
        self._newest_ms: dict[str, int] = {}
        self._reached = store.offsets()

    async def start(self) -> None:
        """Begin reading behind what the store holds; what it holds of a topic that was made anew goes."""
        names = [*LATEST, *LOGS]
        if self._missed_removals():
            log.warning("read_model_outdated: removals were missed, it is made anew")
            for topic in LATEST:
                self._store.forget(topic)
        for topic in await asyncio.to_thread(_made_anew, self._conf, self._store.offsets()):
            log.warning("topic_made_anew topic=%s", topic)
            self._store.forget(topic)
        self._reached = self._store.offsets()
        self._follower = Follower(
            self._conf,
            names,
            self.apply,
            self._crash,
            starts=self._store.offsets(),
            max_batch=MAX_BATCH,
            prompt=True,
        )
        self._follower.start()

    def stop(self) -> None:
        """End reading."""
        if self._follower:
            self._follower.stop()

    @property
    def caught_up(self) -> bool:
        """Whether all that was on the topics at the start is held."""
        return self._follower is not None and self._follower.caught_up.done()

    def apply(self, records: Sequence[FollowedRecord]) -> None:
        """Take a batch: written as one, then told.

        Raises:
            StoreError: the disk would not, or a topic was made anew.
        """
        self._check_places(records)
        changes, told = self._store.changes(), list[tuple[FollowedRecord, bytes, bytes | None]]()
        by_topic: defaultdict[str, list[FollowedRecord]] = defaultdict(list)
        for record in records:
            by_topic[record.topic].append(record)
            changes.reached(record.topic, record.partition, record.offset + 1)
        for topic, mine in by_topic.items():
            take = self._reports if topic in LOGS else self._latest
            told += take(topic, mine, changes)
        changes.write()
        self._reached |= {(record.topic, record.partition): record.offset + 1 for record in records}
        for record, id_, body in told:
            self._hub.add(record, body)
            if record.topic == topics.SLATES and body is not None:
                self._hub.slate(record.key or b"", id_, body)
        self._count(by_topic)

    def _missed_removals(self) -> bool:
        """Whether the topics were not followed for longer than they keep removals of keys."""
        followed_ms = self._store.followed_ms()
        now_ms = time.time_ns() // 1_000_000
        return followed_ms is not None and now_ms - followed_ms > topics.TOMBSTONE_RETENTION_MS

    def _check_places(self, records: Sequence[FollowedRecord]) -> None:
        """A topic that begins again was made anew: all partitions are read from the beginning, by another start."""
        for record in records:
            if record.offset < self._reached.get((record.topic, record.partition), 0):
                self._store.forget(record.topic)
                raise StoreError(
                    f"{record.topic} was made anew: what was held of it is dropped.",
                    fix="Start again: it is read from its beginning.",
                )

    def standing(self) -> list[TopicStanding]:
        """How far each topic was read since the start of this process."""
        offsets: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (topic, partition), offset in self._store.offsets().items():
            offsets[topic][str(partition)] = offset
        return [
            TopicStanding(topic=topic, newest_ms=self._newest_ms.get(topic), offsets=offsets[topic])
            for topic in (*LATEST, *LOGS)
        ]

    def _latest(
        self, topic: str, records: Sequence[FollowedRecord], changes: Changes
    ) -> list[tuple[FollowedRecord, bytes, bytes | None]]:
        """The newest record of each key; those that are held already are left out."""
        bodies = self._bodies(topic, records)
        newest = {
            record.key or b"": record for record in records if record.offset in bodies[record.partition]
        }
        held = self._store.ids(topic, list(newest)) if topic == topics.SLATES else [None] * len(newest)
        told = []
        for (key, record), known in zip(newest.items(), held, strict=True):
            body, id_ = bodies[record.partition][record.offset], _id(record)
            if id_ and id_ == known:
                metrics.REPEATS.labels(topic).inc()
                continue
            if body is None:
                changes.remove(topic, [key])
            else:
                changes.put(topic, key, Held(record.timestamp, id_, body))
            told.append((record, id_, body))
        return told

    def _bodies(self, topic: str, records: Sequence[FollowedRecord]) -> Mapping[int, dict[int, bytes | None]]:
        """What is held of each record, by partition and offset; those that cannot be read are left out."""
        found: defaultdict[int, dict[int, bytes | None]] = defaultdict(dict)
        if topic not in CATALOGUE:
            decode = _TYPED.get(topic, _is_json)
            for record in records:
                if record.value is None or _reads(decode, record.value):
                    found[record.partition][record.offset] = record.value
                else:
                    metrics.UNREADABLE.labels(topic).inc()
            return found
        for partition in {record.partition for record in records}:
            mine = [record for record in records if record.partition == partition]
            ingested = self._catalog(mine)
            for change in ingested.changes:
                found[partition][change.offset] = None if change.entry is None else _encode(change.entry)
            metrics.UNREADABLE.labels(topic).inc(len(ingested.rejected))
        return found

    def _reports(
        self, topic: str, records: Sequence[FollowedRecord], changes: Changes
    ) -> list[tuple[FollowedRecord, bytes, bytes | None]]:
        told: list[tuple[FollowedRecord, bytes, bytes | None]] = []
        for record in records:
            body = _report(record)
            if body is None:
                metrics.UNREADABLE.labels(topic).inc()
                continue
            key = (record.key or b"")[: 2 * DETAIL]
            changes.add(topic, record.partition, record.offset, record.timestamp, key, body)
            told.append((record, b"", body))
        return told

    def _count(self, by_topic: Mapping[str, Sequence[FollowedRecord]]) -> None:
        for topic, records in by_topic.items():
            metrics.READ.labels(topic).inc(len(records))
            self._newest_ms[topic] = records[-1].timestamp
            metrics.NEWEST.labels(topic).set(records[-1].timestamp / 1000.0)
        if self.caught_up and (slates := by_topic.get(topics.SLATES)):
            made = np.array([record.timestamp for record in slates]) / 1000.0
            metrics.VISIBLE.observe(np.maximum(time.time() - made, 0.0))


def _made_anew(conf: Mapping[str, Any], offsets: Mapping[tuple[str, int], int]) -> list[str]:
    """Topics that are shorter than what was read of them."""
    consumer = Consumer({**conf, "group.id": "rillet-api", "logger": log})
    try:
        shorter = (topic for (topic, p), at in offsets.items() if at > _end(consumer, topic, p))
        return list(dict.fromkeys(shorter))
    finally:
        consumer.close()


def _end(consumer: Consumer, topic: str, partition: int) -> int:
    """The next offset of a partition, 0 of one that is no more."""
    try:
        return edges(consumer, topic, partition, TIMEOUT_S)[1]
    except KafkaException as error:
        if error.args[0].code() not in GONE:
            raise
        return 0


def _reads(decode: Callable[[bytes], object], value: bytes) -> bool:
    try:
        decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _id(record: FollowedRecord) -> bytes:
    """What names a slate; other values have no id."""
    if record.topic != topics.SLATES:
        return b""
    return next((value for name, value in record.headers if name == headers.SLATE_ID), b"")


def _report(record: FollowedRecord) -> bytes | None:
    """What is held of a record of a log, None where it cannot be read."""
    if record.topic == topics.DEAD_LETTER:
        return _encode(summary(record))
    try:
        fields = _is_json(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _encode({name: raw for name, raw in fields.items() if name != "sketches"})


def summary(record: FollowedRecord) -> DeadLetterSummary:
    """A dead letter without its bytes."""
    letter = exhume(record)
    told = DeadLetterSummary(
        partition=record.partition,
        offset=record.offset,
        refused_ms=record.timestamp,
        reason="-",
        detail=letter.detail[:DETAIL],
        attempt=0,
        key=None if record.key is None else record.key[:DETAIL].decode(errors="backslashreplace"),
        size_bytes=len(record.value or b""),
    )
    if isinstance(letter, Rejection):
        return told
    return msgspec.structs.replace(
        told,
        topic=letter.topic,
        source_partition=letter.partition,
        source_offset=letter.offset,
        reason=letter.reason,
        attempt=letter.attempt,
    )


class Sweeper:
    """Drops what is too old or too much, a few keys at a time, round after round.

    A round counts the ages of all keys by the minute; where there are more than ``max_entries``, the next round drops
    those of older minutes than so many are of, and of that minute what is too much. In between there may be more.
    """

    def __init__(self, store: Store, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._horizon: dict[str, tuple[int, int]] = {}
        """By topic: the minute before which entries go, and how many of that minute itself."""
        self._cut: dict[str, tuple[int, int]] = {}
        """By topic: when its log was cut, and how many records had been read."""

    async def run(self) -> None:
        """Sweep for ever, while the topics are followed."""
        while True:
            self._store.changes().followed(time.time_ns() // 1_000_000).write()
            for topic in LATEST:
                await self.sweep(topic)
            for topic in LOGS:
                await self.cut(topic)
            await asyncio.sleep(REST_S)

    async def sweep(self, topic: str, pause_s: float = SWEEP_EVERY_S) -> int:
        """One round over the keys of a topic; how many are left."""
        settings, key, ages = self._settings, b"", Counter[int]()
        ttl_ms = settings.slate_ttl_s * 1000.0 if topic == topics.SLATES else float("inf")
        horizon, too_many = self._horizon.get(topic, (0, 0))
        quota = repeat(True, too_many)
        while True:
            found = list(islice(self._store.ages(topic, key), SWEPT))
            oldest_ms = time.time_ns() // 1_000_000 - ttl_ms
            minutes = {each: time_ms // MINUTE_MS for each, time_ms in found if time_ms >= oldest_ms}
            expired = [each for each, _ in found if each not in minutes]
            excess = [
                each
                for each, minute in minutes.items()
                if minute < horizon or (minute == horizon and next(quota, False))
            ]
            self._store.changes().remove(topic, [*expired, *excess]).write()
            metrics.DROPPED.labels(topic, "age").inc(len(expired))
            metrics.DROPPED.labels(topic, "number").inc(len(excess))
            ages.update(minutes.values())
            ages.subtract(minutes[each] for each in excess)
            if len(found) < SWEPT:
                break
            key = found[-1][0]
            await asyncio.sleep(pause_s)
        self._horizon[topic] = _horizon(ages, settings.max_entries)
        metrics.ENTRIES.labels(topic).set(ages.total())
        return ages.total()

    async def cut(self, topic: str, pause_s: float = SWEEP_EVERY_S) -> None:
        """One round over a log, from its newest record: those beyond ``max_reports`` go, and those that are too old.

        Each day, or when a tenth of so many has come: it reads all that is held.
        """
        settings, before, n = self._settings, None, 0
        now_ms = time.time_ns() // 1_000_000
        n_read = sum(at for (name, _), at in self._store.offsets().items() if name == topic)
        last_ms, n_before = self._cut.get(topic, (0, 0))
        if now_ms - last_ms < DAY_MS and n_read - n_before < settings.max_reports // 10:
            return
        self._cut[topic] = now_ms, n_read
        since_ms = now_ms - int(settings.history_days * DAY_MS)
        while found := list(islice(self._store.newest(topic, before), SWEPT)):
            fresh = [each.place for each in found if each.time_ms >= since_ms]
            excess = fresh[max(settings.max_reports - n, 0) :]
            expired = [each.place for each in found[len(fresh) :]]
            self._store.changes().cut(topic, [*excess, *expired]).write()
            metrics.DROPPED.labels(topic, "age").inc(len(expired))
            metrics.DROPPED.labels(topic, "number").inc(len(excess))
            before, n = found[-1].place, n + len(found)
            await asyncio.sleep(pause_s)


def _horizon(ages: Counter[int], max_entries: int) -> tuple[int, int]:
    """The minute before which entries go, and how many of that minute, so that ``max_entries`` are left at most."""
    left = max_entries
    for minute in sorted(ages, reverse=True):
        if ages[minute] > left:
            return minute, ages[minute] - left
        left -= ages[minute]
    return 0, 0
