"""A Faust table used by whole micro-batches: bulk reads, one write a key, changelog through the outbox.

Faust keeps what it is good at: the changelog topic, recovery, standbys, partitions and their RocksDB files.
"""

from collections.abc import Sequence
from typing import Final

import faust
from faust.types import TP
from rocksdict import WriteBatch

from streams.engine.outbox import Parcel

MIB = 1024 * 1024

OFFSET_KEY: Final = b"__faust\0offset__"
"""Under this key Faust keeps how far the changelog is in RocksDB, among the values of the table."""


class StateTable:
    """Values as bytes by key and partition.

    RocksDB is written first, then the changelog; a crash in between is mended by the offset stamps in the values,
    which make the redelivered records write the same values again.
    """

    def __init__(self, app: faust.App, name: str, partitions: int) -> None:
        self._table = app.Table(
            name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            options={
                "block_cache_size": 16 * MIB,
                "write_buffer_size": 8 * MIB,
                "max_write_buffer_number": 2,
                "max_open_files": 256,
                "bloom_filter_size": 10,
            },
        )
        self.changelog = self._table.changelog_topic.get_topic_name()

    def load(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values (n,) of ``keys`` (n,) in one partition."""
        return list(self._db(partition).get([_free(key) for key in keys]))

    def store(self, partition: int, items: Sequence[tuple[bytes, bytes]], parcel: Parcel) -> None:
        """Write ``items`` and send them to the changelog."""
        batch = WriteBatch(raw_mode=True)
        items = [(_free(key), value) for key, value in items]
        for key, value in items:
            batch.put(key, value)
        self._db(partition).write(batch)
        parcel.add_changelog(self.changelog, partition, items)

    def persisted(self, partition: int, offset: int) -> None:
        """Remember that RocksDB holds the changelog up to ``offset``: recovery starts behind it."""
        self._table.data.set_persisted_offset(TP(self.changelog, partition), offset)

    def _db(self, partition: int):  # type: ignore[no-untyped-def]
        return self._table.data._db_for_partition(partition)


def _free(key: bytes) -> bytes:
    """``key``, or one more zero byte before Faust's own key and any zero bytes: a user may be called so."""
    return b"\0" + key if key.endswith(OFFSET_KEY) and not key[: -len(OFFSET_KEY)].strip(b"\0") else key
