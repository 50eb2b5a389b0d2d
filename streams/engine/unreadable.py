"""Record batches that cannot be unpacked (unknown compression, corrupt bytes) become records that say so.

aiokafka raises and would fetch the same batch for ever. Here each offset of such a batch becomes a record with the
header ``UNREADABLE_HEADER``, the first one holding the batch's raw bytes, so that ingest can refuse it and the dead
letters keep it. Not for transactional topics: source topics are not.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords

from schemas.rejections import UNREADABLE_HEADER

_BATCH_HEAD: Final = struct.Struct(">qi")


class RawMemoryRecords(MemoryRecords):  # type: ignore[misc]
    """``MemoryRecords`` that remembers the bytes it was made from."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


class TolerantPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """``PartitionRecords`` that survives a batch it cannot unpack."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        raw, at = self._records.raw, 0
        while self._records.has_next():
            _, length = _BATCH_HEAD.unpack_from(raw, at)
            start, at = at, at + _BATCH_HEAD.size + length
            batch = self._records.next_batch()
            if not batch.is_control_batch:
                for record in self._unpacked(batch, raw[start:at]):
                    if record.offset >= self.next_fetch_offset:
                        self.next_fetch_offset = record.offset + 1
                        yield record
            self.next_fetch_offset = batch.next_offset

    def _unpacked(self, batch: Any, raw: bytes) -> list[ConsumerRecord]:
        try:
            if not batch.validate_crc():
                return self._stand_ins(batch, raw, "checksum does not match")
            return [self._consumer_record(self._tp, record) for record in batch]
        except (KafkaError, ValueError, RuntimeError) as error:
            return self._stand_ins(batch, raw, f"{type(error).__name__}: {error}")

    def _stand_ins(self, batch: Any, raw: bytes, why: str) -> list[ConsumerRecord]:
        headers = ((UNREADABLE_HEADER, why.encode()),)
        return [
            ConsumerRecord(
                self._tp.topic,
                self._tp.partition,
                offset,
                batch.max_timestamp,
                0,
                None,
                bytes(raw) if offset == batch.base_offset else b"",
                None,
                -1,
                len(raw),
                headers,
            )
            for offset in range(batch.base_offset, batch.next_offset)
        ]


def tolerate_unreadable_batches() -> None:
    """Make aiokafka's fetcher use the classes above; changes nothing for readable batches."""
    fetcher.PartitionRecords = TolerantPartitionRecords
    fetcher.MemoryRecords = RawMemoryRecords
