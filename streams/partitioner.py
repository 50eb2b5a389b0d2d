"""The one partitioner: where a key lies on every topic, as Java, aiokafka and our own producers place it."""

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a record with this key, of so many."""
    hashed: int = murmur2(key) & 0x7FFFFFFF
    return hashed % partitions
