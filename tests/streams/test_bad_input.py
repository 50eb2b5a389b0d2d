"""Whatever bytes come, the worker goes on: what it refuses lies verbatim in the dead letters, the rest in the state."""

import asyncio
import gzip
import json
import os
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from chaos import Oracle, WorkerProcess, read_all, wait_for
from confluent_kafka import Message, Producer

from models.interest.codec import decode
from schemas import headers, topics
from schemas.events import Browse
from schemas.rejections import Reason
from streams.broker import KafkaBroker

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Bad(NamedTuple):
    """A record that must be refused, and why."""

    reason: Reason
    value: bytes | None
    key: bytes | None = b"u1"
    own: Sequence[tuple[str, bytes | None]] = ()
    topic: str = topics.BROWSE
    kept: bytes | None = None
    """What the dead letter holds of the value, when that is not all of it."""


def browse(**changed: Any) -> bytes:
    event = {"event_id": "x", "user_id": "u1", "time_ms": int(time.time() * 1000), "item_id": "i1"}
    return json.dumps(event | changed).encode()


def good(i: int) -> Browse:
    return Browse(event_id=f"good-{i}", user_id="u1", time_ms=int(time.time() * 1000), item_id=f"i{i}")


def bad_records() -> list[Bad]:
    now_ms = int(time.time() * 1000)
    huge = browse(item_id="i" * 3_000_000)
    return [
        Bad(Reason.BROKEN_JSON, b"{"),
        Bad(Reason.OUT_OF_RANGE, browse()[:-1] + b', "price": NaN}'),
        Bad(Reason.BROKEN_JSON, b"\x00\x01\x02"),
        Bad(Reason.WRONG_TYPE, b"[1]"),
        Bad(Reason.WRONG_TYPE, browse(item_id=7)),
        Bad(Reason.WRONG_TYPE, browse(time_ms="today")),
        Bad(Reason.MISSING_FIELD, b"{}"),
        Bad(Reason.OUT_OF_RANGE, browse(price=-1.0)),
        Bad(Reason.BAD_ID, browse(item_id="")),
        Bad(Reason.BAD_ID, browse(item_id="i" * 257)),
        Bad(Reason.TOO_LARGE, browse(page="x" * (topics.MIB + 1))),
        Bad(Reason.TOO_LARGE, huge, kept=huge[:1_000_000]),
        Bad(Reason.TOO_DEEP, b"[" * 100_000),
        Bad(Reason.BROKEN_UTF8, browse(item_id="?").replace(b"?", b"\xff\xfe")),
        Bad(Reason.FROM_THE_FUTURE, browse(time_ms=now_ms + 60 * MINUTE_MS)),
        Bad(Reason.TOO_LATE, browse(time_ms=now_ms - 365 * DAY_MS)),
        Bad(Reason.UNKNOWN_KIND, browse(kind="levitate"), topic=topics.FEEDBACK),
        Bad(Reason.KEY_MISMATCH, browse(), key=b"somebody-else"),
        Bad(Reason.KEY_MISMATCH, browse(), key=None),
        Bad(Reason.EMPTY, None),
        Bad(Reason.EMPTY, b""),
        Bad(Reason.UNKNOWN_COMPRESSION, browse(), own=[(headers.CONTENT_ENCODING, b"br")]),
        Bad(Reason.BROKEN_COMPRESSION, b"no gzip", own=[(headers.CONTENT_ENCODING, b"gzip")]),
        Bad(Reason.TOO_LARGE, gzip.compress(b" " * 50_000_000), own=[(headers.CONTENT_ENCODING, b"gzip")]),
        Bad(Reason.BROKEN_JSON, b"?", own=[("trace", b"t"), ("null", None), (headers.ATTEMPT, b"x")]),
    ]


@pytest.fixture
def worker(own_kafka: KafkaBroker, tmp_path: Path) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(own_kafka.bootstrap_servers, "bad", "w1", tmp_path).start()
    wait_for(worker.ready, "the worker is ready", worker=worker)
    yield worker
    if worker.running:
        worker.kill()


def rillet(servers: str, *arguments: str) -> Any:
    """The answer of ``rillet … --json``, run as a command."""
    done = subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments, "--json"],
        env={**os.environ, "RILLET_BOOTSTRAP_SERVERS": servers},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def letters(servers: str) -> list[Message]:
    return read_all(servers, topics.DEAD_LETTER)


def header(message: Message, name: str) -> str:
    return dict(message.headers())[name].decode()


def n_events(servers: str, user: str) -> int:
    states = [m for m in read_all(servers, "bad-interest-changelog") if m.key() == user.encode()]
    return decode(states[-1].value()).n_events if states else 0


def test_every_kind_of_refused_record_lies_once_and_verbatim_in_the_dead_letters(
    worker: WorkerProcess,
) -> None:
    servers = worker.bootstrap_servers
    sent: dict[tuple[str, int, int], Bad] = {}
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": 4 * topics.MIB,
            "compression.type": "gzip",
        }
    )
    oracle = Oracle(servers)
    for i, bad in enumerate(bad_records()):
        oracle.send(topics.BROWSE, good(i))
        producer.produce(
            bad.topic,
            bad.value,
            bad.key,
            headers=list(bad.own),
            on_delivery=lambda error, m, bad=bad: sent.update(
                {(m.topic(), m.partition(), m.offset()): bad} if error is None else {("", 0, 0): error}
            ),
        )
        assert producer.flush(20) == 0
    strange = msgspec.json.encode(
        {
            "event_id": "s",
            "user_id": "u1",
            "time_ms": int(time.time() * 1000),
            "item_id": "i",
            "weather": "fair",
        }
    )
    producer.produce(topics.BROWSE, strange, b"u1")
    assert producer.flush(20) == 0
    oracle.flush()
    assert len(sent) == len(bad_records())
    wait_for(lambda: oracle.settled("bad"), "all is committed", worker=worker)
    wait_for(lambda: len(letters(servers)) >= len(sent), "all is buried", worker=worker)
    n_good = len(oracle.sent) + 1
    wait_for(lambda: n_events(servers, "u1") == n_good, "all valid events are in the state", worker=worker)

    found = {
        (
            header(m, headers.ERROR_TOPIC),
            int(header(m, headers.ERROR_PARTITION)),
            int(header(m, headers.ERROR_OFFSET)),
        ): m
        for m in letters(servers)
    }
    assert len(letters(servers)) == len(found), "each once"
    assert found.keys() == sent.keys()
    for place, bad in sent.items():
        letter = found[place]
        assert header(letter, headers.REASON) == bad.reason, (bad.value or b"")[:80]
        assert (letter.key(), letter.value()) == (bad.key, bad.value if bad.kept is None else bad.kept)
        assert (headers.CUT_FROM_BYTES in dict(letter.headers())) == (bad.kept is not None)
        assert all(own in letter.headers() for own in bad.own if own[0] != headers.ATTEMPT)

    metrics = worker.metrics()
    assert metrics[f'rillet_unknown_fields_total{{topic="{topics.BROWSE}"}}'] == 1
    reasons = Counter((bad.topic, bad.reason.value) for bad in sent.values())
    for (topic, reason), n in reasons.items():
        assert metrics[f'rillet_rejected_total{{reason="{reason}",topic="{topic}"}}'] == n

    listed = rillet(servers, "dead-letter", "list")
    assert listed["by_reason"] == Counter(bad.reason.value for bad in sent.values())
    assert worker.stop() == 0
    assert "Traceback" not in worker.log_path.read_text()


def test_a_refused_record_is_processed_by_a_replay_once_the_cause_is_gone(worker: WorkerProcess) -> None:
    servers = worker.bootstrap_servers
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    # The shop allows its producers 5 minutes of clock error; this one was wrong by an hour and is mended by a setting.
    ahead = browse(event_id="early", user_id="u9", time_ms=int(time.time() * 1000) + 60 * MINUTE_MS)
    producer.produce(topics.BROWSE, ahead, b"u9")
    producer.produce(topics.BROWSE, b"{", b"u9")
    assert producer.flush(20) == 0
    wait_for(lambda: len(letters(servers)) == 2, "both are refused", worker=worker)
    assert worker.stop() == 0
    worker.extra = {"RILLET_INGEST__FUTURE_TOLERANCE_MS": str(120 * MINUTE_MS)}
    worker.start()
    wait_for(worker.ready, "the worker is ready", worker=worker)

    (row,) = [
        row for row in rillet(servers, "dead-letter", "list")["newest"] if row["reason"] == "from_the_future"
    ]
    shown = rillet(servers, "dead-letter", "show", str(row["partition"]), str(row["offset"]))
    assert (shown["key"], shown["value_text"].encode()) == ("u9", ahead)
    outcome = rillet(servers, "dead-letter", "replay", "--yes")
    assert outcome["sent"] == {topics.BROWSE: 2}

    wait_for(lambda: n_events(servers, "u9") == 1, "the event is in the state", worker=worker)
    wait_for(lambda: len(letters(servers)) == 3, "the other is refused again", worker=worker)
    again = max(letters(servers), key=lambda m: int(header(m, headers.ATTEMPT)))
    assert (header(again, headers.REASON), header(again, headers.ATTEMPT)) == ("broken_json", "2")
    assert worker.stop() == 0


PREFIX, ATTRIBUTES, CRC = 16, 21, 17
"""Byte positions in a record batch of format 2; the broker sets base offset and leader epoch, before PREFIX."""


def raw_batch(*values: bytes, codec: int = 0, spoil: bool = False) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for i, value in enumerate(values):
        builder.append(i, int(time.time() * 1000), b"u1", value, [])
    raw = bytearray(builder.build())
    if codec:
        raw[ATTRIBUTES + 1] |= codec
        raw[CRC : CRC + 4] = struct.pack(">I", calc_crc32c(bytes(raw[ATTRIBUTES:])))
    if spoil:
        raw[-1] ^= 0xFF
    return bytes(raw)


async def produce_raw(servers: str, topic: str, partition: int, *batches: bytes) -> list[int]:
    """Send record batches as they are; the error codes."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        codes = []
        for raw in batches:
            request = ProduceRequest(None, -1, 5_000, [(topic, [(partition, raw)])])
            response = await client.send(leader, request)
            codes.append(response.topics[0][1][0][1])
        return codes
    finally:
        await client.close()


def test_a_batch_that_nobody_can_unpack_is_buried_and_the_next_one_read(
    embedded: str, tmp_path: Path
) -> None:
    worker = WorkerProcess(embedded, "bad", "w1", tmp_path).start()
    wait_for(worker.ready, "the worker is ready", worker=worker)
    unknown = raw_batch(browse(event_id="a"), browse(event_id="b"), codec=7)
    damaged = raw_batch(browse(event_id="c"), spoil=True)
    first, last = raw_batch(browse(event_id="d")), raw_batch(browse(event_id="e"))
    codes = asyncio.run(produce_raw(embedded, topics.BROWSE, 2, first, unknown, damaged, last))
    assert codes == [0, 0, 0, 0], "the embedded broker stores what it is given"
    wait_for(lambda: len(letters(embedded)) == 3, "the unreadable records are buried", worker=worker)
    wait_for(lambda: slates_of(embedded, 4), "the record after them is read", worker=worker)
    assert worker.stop() == 0
    found = {int(header(letter, headers.ERROR_OFFSET)): letter for letter in letters(embedded)}
    assert {header(letter, headers.REASON) for letter in found.values()} == {"unreadable_batch"}
    assert {offset: letter.value()[PREFIX:] for offset, letter in found.items()} == {
        1: unknown[PREFIX:],
        2: b"",
        3: damaged[PREFIX:],
    }, "all but what the broker sets"


def slates_of(servers: str, offset: int) -> list[str]:
    ids = (dict(m.headers())[headers.SLATE_ID].decode() for m in read_all(servers, topics.SLATES))
    return [each for each in ids if each.endswith(f"-{offset}")]
