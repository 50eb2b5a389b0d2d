import struct

import pytest
from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from schemas.rejections import UNREADABLE_HEADER
from streams.engine.unreadable import RawMemoryRecords, TolerantPartitionRecords

ATTRIBUTES, CRC = 21, 17
"""Byte positions in a record batch of format 2: base offset 8, length 4, leader epoch 4, magic 1, then these."""


def batch(base_offset: int, *values: bytes) -> bytearray:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for i, value in enumerate(values):
        builder.append(i, 1_000 + i, b"key", value, [])
    raw = bytearray(builder.build())
    raw[:8] = struct.pack(">q", base_offset)
    return raw


def with_unknown_codec(raw: bytearray) -> bytearray:
    raw = bytearray(raw)
    raw[ATTRIBUTES + 1] |= 7
    raw[CRC : CRC + 4] = struct.pack(">I", calc_crc32c(bytes(raw[ATTRIBUTES:])))
    return raw


def corrupted(raw: bytearray) -> bytearray:
    raw = bytearray(raw)
    raw[-1] ^= 0xFF
    return raw


def unpacked(*batches: bytearray, at: int = 0) -> tuple[list, int]:
    records = TolerantPartitionRecords(
        TopicPartition("events.browse", 0),
        RawMemoryRecords(b"".join(bytes(b) for b in batches)),
        [],
        at,
        None,
        None,
        True,
        0,
    )
    return list(records), records.next_fetch_offset


def test_readable_batches_come_through_as_they_are():
    records, following = unpacked(batch(0, b"a", b"b"), batch(2, b"c"))
    assert [(r.offset, r.value, r.headers) for r in records] == [(0, b"a", ()), (1, b"b", ()), (2, b"c", ())]
    assert following == 3


@pytest.mark.parametrize(("spoil", "why"), [(with_unknown_codec, b"0x07"), (corrupted, b"checksum")])
def test_a_batch_that_cannot_be_unpacked_leaves_a_stand_in_for_each_offset_and_the_next_is_read(spoil, why):
    bad = spoil(batch(2, b"lost", b"too"))
    records, following = unpacked(batch(0, b"a", b"b"), bad, batch(4, b"c"))
    assert [r.offset for r in records] == [0, 1, 2, 3, 4]
    assert following == 5
    first, second = records[2:4]
    assert first.value == bytes(bad)
    assert second.value == b""
    assert {name for record in (first, second) for name, _ in record.headers} == {UNREADABLE_HEADER}
    assert why in first.headers[0][1]
    assert records[4].value == b"c"


def test_records_below_the_fetch_offset_are_left_out():
    records, _ = unpacked(batch(0, b"a", b"b", b"c"), at=2)
    assert [r.offset for r in records] == [2]
