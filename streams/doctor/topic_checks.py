"""Checks of the topics: as the catalogue has them, and their records where the partitioner puts them."""

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from streams.doctor.finding import TIMEOUT_S, Finding, Patient, fail, ok, warn
from streams.kafka_admin import Difference, differences
from streams.partitioner import partition_of

SAMPLED: Final = 200
"""Newest records looked at of each partition."""


def catalogue(patient: Patient) -> Iterator[Finding]:
    """Presence, partitions, replication and settings of every topic."""
    found = differences(patient.settings)
    yield from (_differs(difference) for difference in found)
    if not found:
        yield ok("topics", "as the catalogue has them")


def _differs(difference: Difference) -> Finding:
    topic, what, wanted, found = difference
    if what == "topic":
        return fail("topics", f"{topic} is missing", "`rillet topics create`")
    told = f"{topic}: {what} is {found}, wanted is {wanted}"
    if what == "partitions":
        return fail(
            "topics",
            told,
            f"Set topics.partitions = {found} if all topics by user have so many; the number of an existing topic "
            "cannot change without moving users away from their state, so create it anew otherwise.",
        )
    if what == "replication":
        return warn("topics", told, f"`kafka-reassign-partitions.sh`, or set topics.replication = {found}.")
    alter = (
        f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {what}={wanted}"
    )
    return warn("topics", told, f"`{alter}`")


def partitioner(patient: Patient) -> Iterator[Finding]:
    """Whether the newest events lie where murmur2 puts their keys, which all state depends on."""
    n_looked_at, misplaced = 0, 0
    consumer = patient.consumer()
    try:
        for topic in topics.BEHAVIOUR:
            wrong = []
            for partition, key in _sample(patient, consumer, topic):
                n_looked_at += 1
                if partition_of(key, len(patient.partitions(topic))) != partition:
                    wrong.append((partition, key))
            if wrong:
                misplaced += len(wrong)
                yield _misplaced(topic, wrong, len(patient.partitions(topic)))
    finally:
        consumer.close()
    if not misplaced:
        yield ok("partitioner", f"{n_looked_at} newest events lie where murmur2 puts them")


def _misplaced(topic: str, wrong: list[tuple[int, bytes]], partitions: int) -> Finding:
    partition, key = wrong[0]
    return fail(
        "partitioner",
        f"{topic}: {len(wrong)} of the newest events lie in other partitions than murmur2 puts them, such as key "
        f"{key.decode(errors='backslashreplace')!r} in {partition} instead of {partition_of(key, partitions)}",
        "Set partitioner=murmur2_random in every producer of librdkafka (Python, Go, .NET, Node); Java's default "
        "is right. Send the misplaced events again: their users' state is split until then.",
    )


def _sample(patient: Patient, consumer: Consumer, topic: str) -> Iterator[tuple[int, bytes]]:
    """Partition and key of the newest records."""
    ends = {}
    starts = []
    for each in patient.partitions(topic):
        low, high = patient.edges(consumer, topic, each)
        if high > low:
            ends[each] = high
            starts.append(TopicPartition(topic, each, max(low, high - SAMPLED)))
    consumer.assign(starts)
    deadline = time.monotonic() + TIMEOUT_S
    while ends and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None or message.partition() not in ends:
            continue
        partition = message.partition()
        if message.error() is None and message.key() is not None:
            yield partition, message.key()
        if message.error() is not None or message.offset() + 1 >= ends[partition]:
            del ends[partition]
