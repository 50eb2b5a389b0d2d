"""One partitioner everywhere: a user's events, state and slates must meet in one partition."""

import random
from collections.abc import Callable

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Consumer, Producer, TopicPartition

from streams import broker
from streams.settings import load

PARTITIONS = 12
KEYS = [
    *(f"user-{number}".encode() for number in range(1_000)),
    *(random.Random(length).randbytes(length) for length in range(1, 257)),
    *("Übergröße 日本 🛒".encode()[:size] for size in range(1, 20)),
]


def partitions_of_keys(address: str, topic: str) -> dict[bytes, int]:
    """Where records lie, as a reader finds them."""
    conf = {"bootstrap.servers": address, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(conf)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    try:
        messages = consumer.consume(len(set(KEYS)), timeout=30)
        return {message.key(): message.partition() for message in messages}
    finally:
        consumer.close()


def send(conf: dict[str, str | int | bool], topic: str) -> None:
    producer = Producer(conf)
    for key in set(KEYS):
        producer.produce(topic, b"", key)
    assert producer.flush(30) == 0


def test_our_producers_partition_as_aiokafka_and_java_do(
    kafka: broker.KafkaBroker, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=PARTITIONS)
    send(load(environ={"RILLET_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}).kafka.producer(), topic)
    every = list(range(PARTITIONS))
    expected = {key: DefaultPartitioner()(key, every, every) for key in KEYS}
    assert partitions_of_keys(kafka.bootstrap_servers, topic) == expected


def test_the_default_of_librdkafka_would_part_them(
    kafka: broker.KafkaBroker, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=PARTITIONS)
    send({"bootstrap.servers": kafka.bootstrap_servers}, topic)
    every = list(range(PARTITIONS))
    found = partitions_of_keys(kafka.bootstrap_servers, topic)
    assert any(found[key] != DefaultPartitioner()(key, every, every) for key in KEYS)


@pytest.mark.parametrize(
    ("key", "hash_"),
    # murmur2 of Kafka's own org.apache.kafka.common.utils.UtilsTest#testMurmur2
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_aiokafka_hashes_as_kafka_does(key: bytes, hash_: int) -> None:
    every = list(range(1_000_003))
    assert DefaultPartitioner()(key, every, every) == (hash_ & 0x7FFFFFFF) % len(every)
