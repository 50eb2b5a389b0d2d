import json
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    Consumer,
    Message,
    Producer,
    TopicPartition,
)

from models.simulate.settings import FaultSettings, SimulateSettings
from models.simulate.shop import Shop
from schemas import topics
from schemas.events import Browse
from schemas.outputs import Slate, SlateItem
from streams import cli
from streams.broker import embedded
from streams.errors import BrokerRefusedError, InputError
from streams.settings import KafkaSettings
from streams.simulate import (
    Arrived,
    Sender,
    drive,
    fault_settings,
    publish_catalogue,
    shop_settings,
    slate_tail,
)

READY_S = 20.0


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaSettings]:
    with embedded() as bootstrap_servers:
        yield KafkaSettings(bootstrap_servers=bootstrap_servers)


def small_shop(**others: float) -> Shop:
    settings = SimulateSettings(
        n_items=200, n_categories=8, n_shoppers=200, events_per_s=200.0, gap_s=0.2, look_share=1.0, **others
    )
    return Shop(settings, np.random.default_rng(1), int(time.time() * 1000))


def records(kafka: KafkaSettings, topic: str, n: int) -> list[Message]:
    consumer = Consumer(kafka.consumer())
    consumer.list_topics(topic, timeout=READY_S)
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(topics.PARTITIONS)])
    found: list[Message] = []
    deadline = time.monotonic() + READY_S
    while len(found) < n and time.monotonic() < deadline:
        found += [message for message in consumer.consume(1_000, 0.1) if not message.error()]
    consumer.close()
    return found


def a_slate(user_id: str, item_ids: list[str]) -> bytes:
    slate = Slate(
        slate_id=f"events.browse-0-{user_id}",
        user_id=user_id,
        items=[SlateItem(item_id, 1.0, []) for item_id in item_ids],
        event_id="e",
        event_time_ms=1,
        processed_ms=2,
        model_version="v",
    )
    return msgspec.json.encode(slate)


def test_events_arrive_keyed_by_user_and_stamped_with_their_own_time(kafka: KafkaSettings) -> None:
    before_ms = int(time.time() * 1000)
    sender = Sender(kafka.producer())
    ticks = list(drive(small_shop(), sender, list, count=300, fast=True))
    sender.flush()
    sent = Counter(topic for tick in ticks for topic in tick.batch.topics)
    assert sent.total() == 300
    found = records(kafka, topics.BROWSE, sent[topics.BROWSE])
    assert len(found) == sent[topics.BROWSE]
    for message in found:
        event = msgspec.json.decode(message.value(), type=Browse)
        assert message.key().decode() == event.user_id
        assert message.timestamp() == (TIMESTAMP_CREATE_TIME, event.time_ms)
        assert before_ms <= event.time_ms <= int(time.time() * 1000)


def test_users_hash_to_partitions_as_java_clients_do(kafka: KafkaSettings) -> None:
    # Java's DefaultPartitioner, by aiokafka's port of it.
    from aiokafka.partitioner import murmur2

    sender = Sender(kafka.producer())
    keys = [f"u{n:06d}".encode() for n in range(50)]
    sender.send([topics.SEARCH] * 50, keys, [b"{}"] * 50, [1] * 50)
    sender.flush()
    found = records(kafka, topics.SEARCH, 50)
    assert {m.key(): m.partition() for m in found if m.value() == b"{}"} == {
        key: (murmur2(key) & 0x7FFFFFFF) % topics.PARTITIONS for key in keys
    }


def test_the_catalogue_is_published_with_titles(kafka: KafkaSettings) -> None:
    shop = small_shop()
    titles = publish_catalogue(shop, Sender(kafka.producer()), 1_700_000_000_000)
    # A tenth of the 200 items is launched later.
    assert len(titles) == 180
    assert len(records(kafka, topics.ITEMS, 180)) == 180


def test_slates_of_now_are_read_and_older_ones_are_not(kafka: KafkaSettings) -> None:
    producer = Producer(kafka.producer())
    producer.produce(topics.SLATES, a_slate("old", ["i1"]), b"old")
    producer.flush()
    with slate_tail(kafka.consumer()) as reader:
        arrived: list[Arrived] = []
        deadline = time.monotonic() + READY_S
        while not arrived and time.monotonic() < deadline:
            producer.produce(topics.SLATES, a_slate("new", ["i1", "i2"]), b"new")
            producer.flush()
            arrived = reader.take()
    assert {each.slate.user_id for each in arrived} == {"new"}


def test_shoppers_react_to_their_slates(kafka: KafkaSettings) -> None:
    shop = small_shop()
    sender = Sender(kafka.producer())
    waiting: list[Arrived] = []
    decode = msgspec.json.Decoder(Slate).decode

    def take() -> list[Arrived]:
        taken, waiting[:] = waiting[:], []
        return taken

    clicks = impressions = 0
    for tick in drive(shop, sender, take, count=4_000, fast=True):
        impressions += tick.reactions.n_impressions
        clicks += tick.reactions.n_clicks
        users = sorted(
            {key.decode() for key, kind in zip(tick.batch.keys, tick.batch.truth.kind, strict=True) if kind}
        )
        waiting += [Arrived(decode(a_slate(user, shop.best(user, 5))), 0.0) for user in users]
    assert impressions > 100
    assert 0 < clicks < impressions


def test_a_refused_record_is_an_error_with_a_way_out(kafka: KafkaSettings) -> None:
    sender = Sender({**kafka.producer(), "message.timeout.ms": 300, "bootstrap.servers": "127.0.0.1:1"})
    sender.send([topics.BROWSE], [b"k"], [b"v"], [1])
    with pytest.raises(BrokerRefusedError, match="rillet topics create"):
        sender.flush()


def test_the_gap_fits_the_number_of_shoppers() -> None:
    wide = shop_settings(rate=500.0, shoppers=5_000, faults=FaultSettings())
    narrow = shop_settings(rate=5_000.0, shoppers=500, faults=FaultSettings())
    assert wide.gap_s > narrow.gap_s
    assert narrow.busy_shoppers == pytest.approx(0.25 * 500, rel=0.01)


def test_impossible_settings_name_the_way_out() -> None:
    with pytest.raises(InputError, match="n_items to at least 160"):
        shop_settings(rate=500.0, shoppers=5_000, faults=FaultSettings(), n_items=50)


def test_faults_are_spread_and_single_ones_win() -> None:
    rates = fault_settings(0.1, ["broken-json=0.3"]).rates()
    assert rates["broken_json"] == 0.3
    assert rates["late"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("single", "says"), [("late", "NAME=RATE"), ("odd=0.1", "no fault 'odd'"), ("late=2", "less")]
)
def test_faults_that_make_no_sense_are_refused(single: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        fault_settings(0.0, [single])


def test_the_command_reports_in_json(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    assert cli.run(["simulate", "--fast", "--count", "500", "--faults", "0.2", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["simulation"] is True
    assert summary["events"] == 500
    assert sum(summary["by_topic"].values()) == 500
    assert 50 < sum(summary["by_fault"].values()) < 150
