"""A topic of a shop's own reaches the topics of Rillet, on a real Kafka whatever is killed."""

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from topic_content import all_of

from models.ingest.dead_letter import exhume
from schemas import topics
from schemas.catalog import Item
from schemas.rejections import Rejection
from streams import broker, cli, kafka_admin
from streams.connect.run import BATCH
from streams.errors import InputError
from streams.log.presets import preset
from streams.log.records import Records
from streams.partitioner import partition_of
from streams.settings import KafkaSettings, Settings

FIXTURES = Path(__file__).with_name("fixtures")
N = 6_000
N_PARTITIONS = 3
RECENT_MS = time.time_ns() // 1_000_000 - 60_000
"""What lies on a real Kafka must not be so old that it is deleted."""


def records_of(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())["records"]
    return found


def produce(servers: str, topic: str, each: dict[str, Any], timestamp_ms: int = 1_795_168_800_000) -> None:
    """All to one partition, so that their order is known."""
    own = Producer({"bootstrap.servers": servers})
    value = each["text"] if "text" in each else json.dumps(each["value"])
    headers = [(name, text.encode()) for name, text in each.get("headers", {}).items()]
    own.produce(topic, value.encode(), b"one", headers=headers, timestamp=timestamp_ms)
    own.flush(20)


@pytest.fixture
def servers(embedded: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    return embedded


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def entries(servers: str) -> list[Item | None]:
    return [
        None if each.value is None else msgspec.json.decode(each.value, type=Item)
        for each in sorted(all_of(servers, topics.ITEMS), key=lambda each: (each.partition, each.offset))
    ]


def test_a_look_tells_what_a_topic_is_shows_before_and_after_and_writes_the_mapping(
    servers: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for each in records_of("segment"):
        produce(servers, "shop", each)
    assert cli.run(["connect", "shop", "--json"]) == 0
    found = said(capsys)
    assert found["families"] == {"Segment calls": 9}
    assert (found["mapping"], found["outcome"]) == ("segment", {"carried": 8, "left out": 1})
    assert found["events"] == {
        "events.browse": 1, "events.feedback": 5, "events.purchase": 1, "events.search": 1, "catalog.items": 1,
    }  # fmt: skip
    order = next(each for each in found["examples"] if each["becomes"][0][0] == "events.purchase")
    assert [row["price"] for row in order["read"]] == ["19", "3"]
    assert [line["price"] for line in order["becomes"][0][1]["lines"]] == [19.0, 3.0]

    assert cli.run(["connect", "shop", "--write", str(tmp_path / "shop.toml")]) == 0
    text = capsys.readouterr().out
    assert "shop: Segment calls 9" in text
    assert "becomes  events.purchase" in text
    assert "ann@example.com" not in text
    assert tomllib.loads((tmp_path / "shop.toml").read_text())["columns"]["user"] == "userId | anonymousId"
    assert cli.run(["connect", "shop", "--write", str(tmp_path / "shop.toml")]) == 2  # never overwritten


def test_flat_and_nested_events_of_a_shop_s_own_are_guessed(
    servers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(10):
        value = {
            "data": {"at": 1_795_168_800_000 + n, "visitor": {"visitor_id": f"v{n % 3}"}, "action": "addtocart",
                     "basket": [{"product_id": f"p{n}", "price": 3}, {"product_id": "p99", "price": 4}]},
            "specversion": "1.0", "id": f"ce-{n}", "type": "shop.cart", "source": "/shop",
            "time": "2026-11-20T10:00:00Z",
        }  # fmt: skip
        produce(servers, "own", {"value": value})
    assert cli.run(["connect", "own", "--json"]) == 0
    found = said(capsys)
    assert found["families"] == {"JSON of its own, in CloudEvents": 10}
    columns = tomllib.loads(found["toml"])["columns"]
    assert (columns["user"], columns["item"]) == ("visitor.visitor_id", "basket[].product_id")
    assert found["events"] == {"events.feedback": 20}
    first, second = [event["event_id"] for _, event in found["examples"][0]["becomes"]]
    assert first in {f"ce-{n}" for n in range(10)}
    assert second == f"{first}#1"


def test_a_topic_that_nothing_fits_is_said_to_be_so(servers: str, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ({"temperature": 21.5}, {"temperature": 22.0}, {"temperature": 22.5}):
        produce(servers, "sensors", {"value": value})
    assert cli.run(["connect", "sensors"]) == 0
    assert "nothing in it becomes an event" in capsys.readouterr().out
    assert cli.run(["connect", "sensors", "--write", "never.toml"]) == 2
    assert cli.run(["connect", "events.browse"]) == 2
    assert "is a topic of Rillet" in capsys.readouterr().err


def test_bad_rows_of_snowplow_are_called_by_their_name(
    servers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in records_of("snowplow")[-1:] * 3:
        produce(servers, "bad", each)
    assert cli.run(["connect", "bad"]) == 0
    text = capsys.readouterr().out
    assert "not readable: a bad row of Snowplow, schema_violations" in text


def test_to_carry_for_good_a_mapping_must_be_named(servers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["connect", "shop", "--run"]) == 2
    assert "--write shop.toml" in capsys.readouterr().err


def test_products_of_a_shop_become_the_catalogue_and_an_unchanged_one_is_not_sent_again(
    servers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    update, delete = records_of("shopify-webhooks")[2], records_of("shopify-webhooks")[4]
    renamed = {**update, "value": {**update["value"], "title": "Renamed"}}
    for each in (update, update, renamed, {**delete, "value": {"id": 632910392}}):
        produce(servers, "shop", each)
    assert cli.run(["connect", "shop", "--mapping", "shopify-webhooks", "--run", "--once", "--json"]) == 0
    assert said(capsys)["records"] == 4
    assert {each.key for each in all_of(servers, topics.ITEMS)} == {b"632910392"}
    titles = [entry.title if entry else None for entry in entries(servers)]
    assert titles == ["Example T-Shirt", "Renamed", None]


def test_a_mapping_of_files_that_are_no_json_is_refused() -> None:
    with pytest.raises(InputError, match=r"is of csv files.*"):
        Records(preset("rees46-sample"), Settings().ingest)


def test_a_topic_of_another_cluster_is_carried_from_a_time_on_and_never_twice(
    kafka: broker.KafkaBroker,
    make_topic: Callable[..., str],
    servers: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOURCE_RILLET_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    topic = make_topic("ga4", retention_ms="-1")
    old, new = records_of("ga4")[:5], records_of("ga4")[5:7]
    for each in old:
        produce(kafka.bootstrap_servers, topic, each)
    for each in new:
        produce(kafka.bootstrap_servers, topic, each, time.time_ns() // 1_000_000)

    def carry(*options: str) -> dict[str, Any]:
        assert cli.run(["connect", topic, "--mapping", "ga4", "--run", "--once", "--json", *options]) == 0
        return said(capsys)

    assert carry("--since", "1h")["records"] == 2
    assert carry("--since", "1h")["records"] == 0
    whole = carry("--group", topic, "--no-catalog")
    assert whole["records"] == 7
    assert topics.ITEMS not in whole["sent"]
    assert b"1234567890.1795168000" in {each.key for each in all_of(servers, topics.PURCHASE)}


@pytest.fixture
def settings(own_kafka: broker.KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", own_kafka.bootstrap_servers)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=own_kafka.bootstrap_servers))
    kafka_admin.ensure(settings)
    admin = AdminClient(settings.kafka.client_conf())
    admin.create_topics([NewTopic("shop", N_PARTITIONS, 1)])["shop"].result(20)
    return settings


@contextmanager
def connecting() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "streams.cli", "connect", "shop", "--mapping", "ga4", "--run", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as running:
        try:
            yield running
        finally:
            running.kill()


def a_cart(n: int) -> dict[str, Any]:
    """Two items a record; every hundredth has a price that is none, every tenth is a page view."""
    items = [
        {"item_id": f"i{n % 50}", "price": "none" if n % 100 == 7 else 1.5},
        {"item_id": "i99", "price": 2},
    ]
    return {
        "event_name": "page_view" if n % 10 == 3 else "add_to_cart",
        "event_params": [
            {"key": "page_location", "value": {"string_value": "https://shop/?mail=ann@example.com"}}
        ],
        "event_timestamp": str(1_000 * (RECENT_MS + n)),
        "user_pseudo_id": f"u{n % 40}",
        "items": items,
    }


def committed(settings: Settings) -> int:
    """Records of ``shop`` that are done; 0 while the broker does not know yet."""
    consumer = Consumer({**settings.kafka.consumer(), "group.id": "rillet-connect-shop"})
    places = [TopicPartition("shop", partition) for partition in range(N_PARTITIONS)]
    try:
        return sum(max(0, each.offset) for each in consumer.committed(places, timeout=20))
    except KafkaException:
        return 0
    finally:
        consumer.close()


def carried(settings: Settings) -> list[tuple[str, str, int]]:
    """Id, user and partition of every event of feedback."""
    found = []
    for record in all_of(settings.kafka.bootstrap_servers, topics.FEEDBACK):
        assert record.value is not None
        event = msgspec.json.decode(record.value)
        assert record.key == event["user_id"].encode()
        assert record.timestamp == RECENT_MS  # the source record's own
        found.append((event["event_id"], event["user_id"], record.partition))
    return found


def produce_carts(settings: Settings, numbers: range) -> None:
    producer = Producer(settings.kafka.producer())
    for n in numbers:
        key = f"k{n}".encode()
        producer.produce("shop", json.dumps(a_cart(n)).encode(), key, timestamp=RECENT_MS)
        producer.poll(0)
    if numbers.start == 0:
        producer.produce("shop", b"{", b"ann@example.com", timestamp=RECENT_MS)
    assert producer.flush(60) == 0


@pytest.mark.timeout(300)
def test_on_real_kafka_nothing_is_lost_when_it_or_the_broker_is_killed_and_little_comes_twice(
    own_kafka: broker.KafkaBroker, settings: Settings, wait_until: Callable[..., None]
) -> None:
    half = N // 2
    produce_carts(settings, range(half))
    with connecting() as running:
        wait_until(lambda: committed(settings), 90.0)
        running.kill()
    with connecting() as running:
        wait_until(lambda: committed(settings) == half + 1, 90.0)
        own_kafka.kill()
        own_kafka.start()
        produce_carts(settings, range(half, N))
        wait_until(lambda: committed(settings) > half + 1, 90.0)
        running.kill()
    with connecting() as running:
        wait_until(lambda: committed(settings) == N + 1, 90.0)
        running.terminate()
        summary = json.loads(running.communicate(timeout=60)[0])
        assert running.returncode == 0
    assert summary["lag"] == 0

    expected = set()
    shop = all_of(settings.kafka.bootstrap_servers, "shop")
    for record in shop:
        n = int(record.key[1:]) if record.key and record.key.startswith(b"k") else 7
        if n % 100 != 7 and n % 10 != 3:
            origin = f"shop-{record.partition}-{record.offset}"
            expected |= {origin, f"{origin}#1"}
    events = carried(settings)
    assert {event_id for event_id, _, _ in events} == expected
    assert len(events) - len(expected) <= 2 * BATCH * 3
    assert all(place == partition_of(user.encode(), 4) for _, user, place in events)

    letters = [exhume(each) for each in all_of(settings.kafka.bootstrap_servers, topics.DEAD_LETTER)]
    told = {(each.partition, each.offset, each.reason) for each in letters if not isinstance(each, Rejection)}
    assert len(told) == N // 100 + 1
    broken = next(each for each in shop if each.value == b"{")
    assert (broken.partition, broken.offset, "broken_json") in told
    assert {reason for _, _, reason in told} == {"broken_json", "wrong_type"}
    for each in letters:
        assert not isinstance(each, Rejection)
        assert each.topic == "shop"
        assert b"ann@example.com" not in (each.value or b"") + (each.key or b"")
