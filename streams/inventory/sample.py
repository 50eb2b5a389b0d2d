"""The newest records of each partition, topic by topic, through one consumer that joins no group and commits nothing.

Some partitions are read at a time, so that what is held stays small: of a topic at most ``MAX_TOPIC_BYTES``, of which
each partition has its part. A partition that falls silent is given up, with what it had sent.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from models.inventory.asset import size_bytes
from streams.follow import FINAL_ERRORS, FollowedRecord
from streams.inventory.cluster import Place
from streams.settings import KafkaSettings

MAX_TOPIC_BYTES: Final = 16 << 20
MAX_PARTITIONS: Final = 32
"""Read at a time."""
PATIENCE_S: Final = 15.0
_BATCH: Final = 2_000

Edges = Mapping[Place, tuple[int, int]]
"""The oldest offset and the end of each partition."""


def samples(
    kafka: KafkaSettings,
    partitions: Mapping[str, Sequence[int]],
    edges: Edges,
    n: int,
    note: Callable[[str], None],
    record_bytes: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[tuple[str, list[FollowedRecord]]]:
    """Name and newest records of each topic, in order; of each partition at most ``n``.

    Where records are known to be large, by ``record_bytes``, reading begins later, so that the newest are still read.
    """
    consumer = Consumer(
        {
            **kafka.consumer(),
            "group.id": "rillet-inventory",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 16_384,
            "log_level": 0,
        }
    )
    try:
        for names in _together(partitions):
            some = {name: partitions[name] for name in names}
            most = {name: _most(n, record_bytes.get(name), len(each)) for name, each in some.items()}
            yield from _read(consumer, some, edges, most, note).items()
    finally:
        consumer.close()


def _together(partitions: Mapping[str, Sequence[int]]) -> Iterator[list[str]]:
    """Topics in groups of at most ``MAX_PARTITIONS`` partitions, unless one alone has more."""
    group: list[str] = []
    n = 0
    for name, each in partitions.items():
        if group and n + len(each) > MAX_PARTITIONS:
            yield group
            group, n = [], 0
        group.append(name)
        n += len(each)
    if group:
        yield group


def _most(n: int, record_bytes: float | None, n_partitions: int) -> int:
    """Records of a partition for which there is room, at most ``n``."""
    if not record_bytes:
        return n
    return min(n, max(1, int(MAX_TOPIC_BYTES / n_partitions / record_bytes)))


def _read(
    consumer: Consumer,
    partitions: Mapping[str, Sequence[int]],
    edges: Edges,
    most: Mapping[str, int],
    note: Callable[[str], None],
) -> dict[str, list[FollowedRecord]]:
    found: dict[str, list[FollowedRecord]] = {name: [] for name in partitions}
    starts, ends = [], {}
    for name, each in partitions.items():
        for partition in each:
            low, high = edges.get((name, partition), (0, 0))
            if high > low and most[name] > 0:
                starts.append(TopicPartition(name, partition, max(low, high - most[name])))
                ends[name, partition] = high
    if not starts:
        return found
    room = {place: MAX_TOPIC_BYTES // len(partitions[place[0]]) for place in ends}
    consumer.assign(starts)
    heard = time.monotonic()
    while ends:
        messages = consumer.consume(_BATCH, 0.2)
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > PATIENCE_S:
            note(f"no answer for {PATIENCE_S:g} s from {', '.join(f'{t}/{p}' for t, p in islice(ends, 5))}")
            break
        for message in messages:
            place = (message.topic(), message.partition())
            if place not in ends:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    del ends[place]
                elif error.code() in FINAL_ERRORS or error.fatal():
                    note(f"records of {place[0]}: {error.str()}")
                    del ends[place]
                continue
            record = FollowedRecord.of(message)
            if record.offset < ends[place]:
                found[place[0]].append(record)
                room[place] -= size_bytes(record)
            if record.offset + 1 >= ends[place]:
                del ends[place]
            elif room[place] <= 0:
                del ends[place]
                consumer.pause([TopicPartition(*place)])
    consumer.unassign()
    return found
