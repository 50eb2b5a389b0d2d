"""Asks a broker again while it settles: leaders and coordinators are unknown for a moment after topics were made,
brokers started or elections held."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

T = TypeVar("T")

PATIENCE_S: Final = 15.0
PAUSE_S: Final = 0.1

SETTLING: Final = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._WAIT_COORD,
)


def patiently(ask: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What the broker answers once it has settled; its last refusal when that takes too long."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in SETTLING or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)


def edges(consumer: Consumer, topic: str, partition: int, timeout_s: float) -> tuple[int, int]:
    """The oldest offset that is there, and the next one."""
    place = TopicPartition(topic, partition)
    low, high = patiently(lambda: consumer.get_watermark_offsets(place, timeout=timeout_s))
    return int(low), int(high)
