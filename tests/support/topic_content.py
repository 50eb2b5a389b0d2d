"""What a topic holds now."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.follow import FollowedRecord


def all_of(servers: str, topic: str) -> list[FollowedRecord]:
    """All records of all partitions, up to the ends that they have now."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "all", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    records, ended = [], 0
    while ended < len(partitions):
        for message in consumer.consume(1_000, 0.2):
            if message.error():
                ended += 1
            else:
                records.append(FollowedRecord.of(message))
    consumer.close()
    return records
