"""A million spoiled records through ingest: each must end as exactly one of accepted and rejected.

``python tests/bench/fuzz_ingest.py [n] [seed]`` writes ``tests/bench/results/fuzz_ingest.json``. The suite
runs the same mutators on fewer records.
"""

import gzip
import json
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from models.ingest import Ingest
from models.ingest.record import Ingested
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.rejections import UNREADABLE_HEADER

RESULTS = Path(__file__).parent / "results" / "fuzz_ingest.json"
NOW_MS = 1_732_270_000_000
BATCH = 1_000

Headers = tuple[tuple[str, bytes | None], ...]


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def _canonical() -> dict[str, list[dict[str, Any]]]:
    base = {"event_id": "e1", "user_id": "u1", "time_ms": NOW_MS, "session_id": "s1", "platform": "web"}
    one = {**base, "item_id": "i1", "slate_id": "browse-0-1", "position": 3}
    line = {"item_id": "i1", "quantity": 2, "price": 9.5, "category": "shoes", "promotion_id": "p1"}
    return {
        topics.BROWSE: [{**one, "category": "shoes", "brand": "Acmé", "price": 9.5, "dwell_ms": 100}],
        topics.SEARCH: [{**base, "query": "red shoes", "results": ["i1", "i2"]}],
        topics.PURCHASE: [{**base, "order_id": "o1", "currency": "EUR", "lines": [line, line]}],
        topics.FEEDBACK: [
            {**base, "kind": "impression", "item_ids": ["i1", "i2"]},
            {**one, "kind": "cart", "quantity": 2, "price": 9.5},
            {**one, "kind": "rating", "rating": 0.8},
            {**one, "kind": "dwell", "dwell_ms": 100},
            *({**one, "kind": kind} for kind in ("click", "wishlist", "dismiss")),
        ],
    }


def _foreign() -> dict[str, list[dict[str, Any]]]:
    ga4 = {"event_timestamp": NOW_MS * 1000, "user_pseudo_id": "u1"}
    item = {"item_id": "i1", "item_brand": "Acme", "price": "9.50", "quantity": 1}
    track = {"type": "track", "messageId": "m1", "userId": "u1", "timestamp": "2024-11-22T10:06:40Z"}
    params = [{"key": "search_term", "value": {"string_value": "shoe"}}]
    return {
        topics.BROWSE: [
            {**ga4, "event_name": "view_item", "items": [item]},
            {**track, "event": "Product Viewed", "properties": {"product_id": "i1", "price": 9.5}},
        ],
        topics.SEARCH: [{**ga4, "event_name": "search", "event_params": params}],
        topics.PURCHASE: [{**ga4, "event_name": "purchase", "transaction_id": "o1", "items": [item, item]}],
        topics.FEEDBACK: [{**ga4, "event_name": "add_to_cart", "items": [item]}],
    }


def seeds() -> list[Record]:
    """Sound records of every topic and kind, in every vocabulary and envelope."""
    made: list[Record] = []
    for shapes in (_canonical(), _foreign()):
        for topic, events in shapes.items():
            for event in events:
                made += _enveloped(topic, event)
    return made


def _enveloped(topic: str, event: dict[str, Any]) -> Iterator[Record]:
    body = msgspec.json.encode(event)
    attributes = {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "shop.event", "data": event}
    binary = (("ce_specversion", b"1.0"), ("ce_id", b"c1"), ("ce_time", b"2024-11-22T10:06:40Z"))
    for value, headers in (
        (body, ()),
        (body, ()),
        (json.dumps(event).encode(), binary),
        (msgspec.json.encode(attributes), (("content-type", b"application/cloudevents+json"),)),
        (gzip.compress(body), (("content-encoding", b"gzip"),)),
    ):
        yield Record(topic, 0, 0, NOW_MS, b"u1", value, headers)


RAW = [
    *(
        b"null",
        b"true",
        b'""',
        b'" "',
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff"',
        b"[]",
        b"{}",
    ),
    *(
        b"0",
        b"-1",
        b"1e999",
        b"-1e999",
        b"NaN",
        b"Infinity",
        b"1e308",
        b"-0.0",
        b"0.1",
        b"9" * 19,
        b"9" * 400,
    ),
    *(b"9" * 5000, b"1." + b"0" * 5000, b'"' + b"x" * 300 + b'"', b'"' + "ü".encode() * 200 + b'"'),
    *(
        b"[" * 300 + b"]" * 300,
        b"[" * 2000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'["i1",["i2"]]',
        b'[{"item_id":1}]',
    ),
    *(
        b'"2024-11-22T10:06:40Z"',
        b'"1732270000000000"',
        b"1732270000000",
        b"1.732270000000e12",
        b'"click"',
        b'"u1"',
    ),
]
JUNK_HEADERS: list[tuple[str, bytes | None]] = [
    *(("content-encoding", each) for each in (b"gzip", b"br", b"", b"\xff", None)),
    *(("content-type", each) for each in (b"application/cloudevents+json", b"text/plain", b"\xff", None)),
    *(("content-type", each) for each in (b"application/vnd.ga4+json", b"application/vnd.segment+json")),
    *(("ce_specversion", each) for each in (b"1.0", b"2.0", b"", None)),
    *(("ce_time", each) for each in (b"2024-11-22T10:06:40Z", b"0001-01-01T00:00:00+23:59", b"now", None)),
    *(("ce_id", each) for each in (b"c1", b"\xff", b" " * 300, None)),
    *(("ce_type", each) for each in (b"ga4.view_item", b"segment.track", b"\x00")),
    *(("traceparent", each) for each in (b"00-0-0-00", None)),
    *((UNREADABLE_HEADER, each) for each in (b"checksum does not match", b"\xff", None)),
    ("", b""),
]
KEYS = [None, b"", b"u2", b"\xff", b"u1\x00", b'"u1"']
TOO_LARGE = b" " * (topics.MIB + 1)
STAMPS = [-1, 0, NOW_MS - 10**10, NOW_MS + 10**10, 2**63 - 1, NOW_MS + 300_000, NOW_MS - 604_800_000]

Mutator = Callable[[random.Random, Record], Record]


def _of_value(change: Callable[[random.Random, bytes], bytes]) -> Mutator:
    return lambda rng, record: record._replace(value=change(rng, record.value or b""))


def flip_bits(rng: random.Random, value: bytes) -> bytes:
    spoiled = bytearray(value)
    for _ in range(rng.randint(1, 8)):
        spoiled[int(rng.random() * len(spoiled))] ^= 1 << rng.randint(0, 7)
    return bytes(spoiled)


def cut(rng: random.Random, value: bytes) -> bytes:
    start, end = sorted((int(rng.random() * len(value)), int(rng.random() * len(value))))
    return value[:end] if rng.random() < 0.5 else value[:start] + value[end:]


def insert(rng: random.Random, value: bytes) -> bytes:
    at = int(rng.random() * len(value))
    return value[:at] + rng.randbytes(rng.randint(1, 20)) + value[at:]


def noise(rng: random.Random, _: bytes) -> bytes:
    return rng.randbytes(rng.randint(0, 200))


def swap_value(rng: random.Random, value: bytes) -> bytes:
    """Puts some raw JSON (or what is none) in the place of one value."""
    at = value.find(b":", int(rng.random() * len(value)))
    if at < 0:
        return value
    end = min((found for mark in b",}" if (found := value.find(mark, at)) > 0), default=len(value))
    return value[: at + 1] + rng.choice(RAW) + value[end:]


def add_field(rng: random.Random, value: bytes) -> bytes:
    name = rng.choice((b'"x"', b'"price"', b'"item_id"', b'"\\u0000"', b'"\xff"', b'"kind"', b'"event_name"'))
    return value[:-1] + b"," + name + b":" + rng.choice(RAW) + b"}"


def add_header(rng: random.Random, record: Record) -> Record:
    return record._replace(headers=(*record.headers, rng.choice(JUNK_HEADERS)))


def spoil_key(rng: random.Random, record: Record) -> Record:
    return record._replace(key=rng.choice(KEYS))


def spoil_stamp(rng: random.Random, record: Record) -> Record:
    return record._replace(timestamp=rng.choice(STAMPS))


def move(rng: random.Random, record: Record) -> Record:
    return record._replace(topic=rng.choice(topics.BEHAVIOUR))


def swell(_: random.Random, record: Record) -> Record:
    return record._replace(value=TOO_LARGE)


def leave(_: random.Random, record: Record) -> Record:
    return record


VALUE_MUTATORS = (flip_bits, cut, insert, noise, swap_value, swap_value, swap_value, add_field)
OTHER_MUTATORS: tuple[Mutator, ...] = (add_header, spoil_key, spoil_stamp, move, swell, leave)
MUTATORS: list[Mutator] = [*map(_of_value, VALUE_MUTATORS), *OTHER_MUTATORS]


def batches(n: int, seed: int) -> Iterator[list[Record]]:
    """``n`` spoiled records in batches of one topic each; the same for the same seed."""
    rng, sound = random.Random(seed), seeds()
    waiting: dict[str, list[Record]] = {topic: [] for topic in topics.BEHAVIOUR}
    for offset in range(n):
        record = rng.choice(sound)._replace(offset=offset)
        for _ in range(1 if rng.random() < 0.8 else 2):
            record = rng.choice(MUTATORS)(rng, record) if record.value else record
        batch = waiting[record.topic]
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            waiting[record.topic] = []
    yield from (batch for batch in waiting.values() if batch)


def check(batch: list[Record], ingested: Ingested) -> None:
    """Every record is in exactly one of the two lists, the refused ones the very same objects."""
    taken = [each.offset for each in ingested.accepted]
    refused = [each.record for each in ingested.rejected]
    assert sorted([*taken, *(each.offset for each in refused)]) == [each.offset for each in batch]
    by_offset = {each.offset: each for each in batch}
    assert all(by_offset[each.offset] is each for each in refused)
    assert all(each.rejection.detail for each in ingested.rejected)
    for offset, _, event in ingested.accepted:
        assert event.user_id.encode() == by_offset[offset].key


def run(n: int, seed: int) -> Counter[str]:
    """Counts of outcomes of ``n`` spoiled records."""
    ingest = Ingest(IngestSettings())
    outcomes: Counter[str] = Counter()
    for batch in batches(n, seed):
        ingested = ingest(batch)
        check(batch, ingested)
        outcomes["accepted"] += len(ingested.accepted)
        outcomes.update(each.rejection.reason.value for each in ingested.rejected)
    return outcomes


def main(n: int = 1_000_000, seed: int = 1) -> None:
    """Runs and writes the figures; whatever ingest raises ends the run without any."""
    start = time.perf_counter()
    outcomes = run(n, seed)
    assert outcomes.total() == n
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    figures = {
        "n": n,
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 1),
        "outcomes": dict(outcomes.most_common()),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "versions": {"python": platform.python_version(), "msgspec": msgspec.__version__},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
