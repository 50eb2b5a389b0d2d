"""``rillet inventory``: a cluster with topics of all kinds, seen through every form of the command."""

import importlib.resources
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from jsonschema import Draft201909Validator
from openlineage.client import event_v2, facet_v2
from topic_content import all_of

from schemas import topics
from streams import broker, errors
from streams.cli import run
from streams.inventory import look
from streams.inventory.open_lineage import events
from streams.inventory.page import page
from streams.inventory.sample import MAX_TOPIC_BYTES
from streams.kafka_admin import ensure
from streams.log.mapping import read_mapping
from streams.settings import load

Told = dict[str, Any]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A real broker with foreign topics of every kind and nothing of Rillet on it."""
    try:
        with broker.kafka() as started:
            fill(started.bootstrap_servers)
            yield started.bootstrap_servers
    except errors.BrokerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def foreign(cluster: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", cluster)
    return cluster


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Told]]:
    """Assets by name, as the command tells them in JSON."""

    def tell(*arguments: str) -> dict[str, Told]:
        assert run(["inventory", "--json", *arguments]) == errors.OK
        return {each["asset"]: each for each in json.loads(capsys.readouterr().out)["assets"]}

    return tell


def create(servers: str, *names: str, partitions: int = 2) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    new = [NewTopic(name, partitions, 1, config={"max.message.bytes": "4000000"}) for name in names]
    for future in admin.create_topics(new).values():
        future.result(20)


def ga4(n: int) -> Told:
    return {
        "event_name": "view_item",
        "event_timestamp": (now_ms() - n) * 1_000,
        "user_pseudo_id": f"u{n % 17}",
        "items": [{"item_id": f"i{n % 9}", "price": 9.5, "quantity": 1}],
    }


def flat(n: int) -> Told:
    return {
        "ts": now_ms() - n,
        "visitor_id": f"u{n % 17}",
        "action": ("view", "view", "addtocart", "buy")[n % 4],
        "product_id": f"p{n % 9}",
        "mail": f"u{n}@shop.example" if n % 10 == 0 else None,
    }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fill(servers: str) -> None:
    create(
        servers, "shop.ga4", "shop-flat", "binary", "avro", "log", "huge", "contacts", "counter-n-changelog"
    )
    create(servers, "empty", partitions=3)
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 4_000_000})
    for n in range(100):
        producer.produce("shop.ga4", json.dumps(ga4(n)), f"u{n % 17}")
        producer.produce("shop-flat", json.dumps(flat(n)), f"u{n % 17}")
        producer.produce("binary", bytes([n, 255, 254, 0]))
        producer.produce("avro", b"\0\0\0\0\7" + bytes([n]))
        producer.produce("log", f"INFO line {n}")
        producer.produce("contacts", json.dumps({"id": n, HOSTILE: f"+49 151 {1_000_000 + n}"}), str(n))
    for n in range(12):
        producer.produce("huge", json.dumps({"n": n, "blob": "x" * 3_000_000}), partition=0)
    producer.produce("huge", b"[" * 100_000, partition=1)
    assert producer.flush(60) == 0
    read_some(servers, "counter", "shop-flat")


def read_some(servers: str, group: str, topic: str) -> None:
    """Leave commits of a group that has read a part of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    while (message := consumer.poll(1.0)) is None or message.error():
        pass
    consumer.commit(message, asynchronous=False)
    consumer.close()


def test_a_cluster_with_nothing_of_rillet_is_told_as_it_is(
    foreign: str, told: Callable[..., dict[str, Told]]
) -> None:
    assets = told()
    assert {name: each["content"] for name, each in assets.items()} == {
        "shop.ga4": "json",
        "shop-flat": "json",
        "binary": "binary",
        "avro": "registry",
        "log": "text",
        "huge": "json",
        "contacts": "json",
        "empty": "empty",
        "counter-n-changelog": "empty",
    }
    assert not any(each["known"] for each in assets.values())
    shop = assets["shop-flat"]
    assert (shop["n_partitions"], shop["n_records"], shop["n_sampled"]) == (2, 100, 100)
    assert (shop["key"], shop["time_column"], shop["cleanup"]) == ("visitor_id", "ts", "delete")
    assert shop["size_bytes"] > 0
    assert shop["retention_ms"] == 7 * topics.DAY_MS
    assert 0 <= shop["freshness_s"] < 300
    assert shop["cost"]["bytes_per_day"] >= 100 * shop["record_bytes"] * 0.99
    assert shop["value"] is None
    columns = {each["path"]: each for each in shop["columns"]}
    assert (columns["mail"]["personal"], columns["mail"]["personal_share"]) == ("email", 1.0)
    assert columns["mail"]["null_share"] == 0.9  # 90 of 100
    assert columns["visitor_id"]["n_distinct"] == 17


def test_groups_lag_and_their_tables_are_part_of_it(
    foreign: str, told: Callable[..., dict[str, Told]]
) -> None:
    assets = told()
    (reader,) = assets["shop-flat"]["readers"]
    assert (reader["group"], reader["state"]) == ("counter", "empty")
    assert 0 < reader["lag"] < 100
    assert assets["shop-flat"]["cost"]["lag_share"] == 1.0
    assert assets["shop-flat"]["downstream"] == ["counter-n-changelog"]
    assert assets["counter-n-changelog"]["kind"] == "table"
    assert assets["counter-n-changelog"]["upstream"] == ["shop-flat"]


def test_foreign_events_come_with_a_way_to_become_events_of_rillet(
    foreign: str, told: Callable[..., dict[str, Told]], tmp_path: Path
) -> None:
    assets = told()
    assert {name for name, each in assets.items() if each["proposal"]} == {"shop.ga4", "shop-flat"}
    assert assets["shop.ga4"]["proposal"] == {
        "vocabulary": "ga4",
        "mapping": None,
        "events": {"events.browse": 100},
        "n_refused": 0,
    }
    proposal = assets["shop-flat"]["proposal"]
    assert proposal["events"] == {"events.browse": 50, "events.feedback": 25, "events.purchase": 25}
    (tmp_path / "shop.toml").write_text(proposal["mapping"])
    mapping = read_mapping(tmp_path / "shop.toml")
    assert (mapping.columns.user, mapping.columns.item, mapping.time.format) == (
        "visitor_id",
        "product_id",
        "ms",
    )


def test_huge_messages_are_sampled_within_bounds_the_newest_of_them(
    foreign: str, told: Callable[..., dict[str, Told]]
) -> None:
    huge = told("--topic", "huge")["huge"]
    assert 0 < huge["n_sampled"] * 3_000_000 <= 2 * MAX_TOPIC_BYTES
    assert huge["n_unreadable"] == 1
    assert [each["path"] for each in huge["columns"]] == ["n", "blob"]


def test_only_what_is_asked_for_is_looked_at(foreign: str, told: Callable[..., dict[str, Told]]) -> None:
    assert set(told("--topic", "shop*")) == {"shop.ga4", "shop-flat"}
    (one,) = told("--topic", "log", "--sample", "0").values()
    assert (one["content"], one["n_sampled"], one["n_records"]) == ("unknown", 0, 100)
    (one,) = told("--topic", "log", "--sample", "3").values()
    assert one["n_sampled"] <= 6


def test_nothing_is_committed_and_no_group_is_left(
    foreign: str, told: Callable[..., dict[str, Told]]
) -> None:
    told()
    admin = AdminClient({"bootstrap.servers": foreign})
    groups = admin.list_consumer_groups().result(10).valid
    assert {each.group_id for each in groups} == {"counter"}


def test_contracts_are_valid_by_the_standard(foreign: str, tmp_path: Path) -> None:
    assert run(["inventory", "--odcs", str(tmp_path / "contracts")]) == errors.OK
    schema = importlib.resources.files("open_data_contract_standard").joinpath("schema.json").read_text()
    validator = Draft201909Validator(json.loads(schema))
    paths = sorted((tmp_path / "contracts").glob("*.odcs.yaml"))
    assert len(paths) == 9
    for path in paths:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert [error.message for error in validator.iter_errors(document)] == [], path.name
        assert document["apiVersion"] == "v3.1.0"
    ga4_contract = yaml.safe_load((tmp_path / "contracts" / "shop.ga4.odcs.yaml").read_text())
    (table,) = ga4_contract["schema"]
    properties = {each["name"]: each for each in table["properties"]}
    assert properties["user_pseudo_id"]["primaryKey"]
    inside = properties["items"]["items"]["properties"]
    assert [each["name"] for each in inside] == ["item_id", "price", "quantity"]


def test_a_contract_keeps_its_id(foreign: str, tmp_path: Path) -> None:
    ids = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert run(["inventory", "--topic", "log", "--odcs", str(folder)]) == errors.OK
        ids.append(yaml.safe_load((folder / "log.odcs.yaml").read_text())["id"])
    assert ids[0] == ids[1]


def test_events_are_what_the_classes_of_openlineage_write(
    foreign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = "[{do: normalise, fields: [category], sources: [events.browse]}]"
    (tmp_path / "recipe.yaml").write_text(f"{{version: '7', steps: {steps}}}")
    monkeypatch.setenv("RILLET_CLEAN__RECIPE", str(tmp_path / "recipe.yaml"))
    written = list(events(look(load())))
    assert {each["schemaURL"].rpartition("/")[2] for each in written} == {"DatasetEvent", "JobEvent"}
    for event in written:
        name = event["schemaURL"].rpartition("/")[2]
        official = getattr(event_v2, name)
        assert official._get_schema() == event["schemaURL"]
        assert event.keys() <= fields(official)
        for facet in (event.get("dataset") or event["job"])["facets"].values():
            check_facet(facet)


def check_facet(facet: Told) -> None:
    name = facet["_schemaURL"].rpartition("/")[2]
    modules = [each for each in vars(facet_v2).values() if hasattr(each, name)]
    official = getattr(modules[0], name)
    assert official._get_schema() == facet["_schemaURL"]
    content = {key: value for key, value in facet.items() if not key.startswith("_")}
    assert content.keys() <= fields(official)
    official(**content)


def fields(official: Any) -> set[str]:
    return {each.name for each in official.__attrs_attrs__}


def test_the_page_is_whole_and_harmless(foreign: str, tmp_path: Path) -> None:
    assert run(["inventory", "--html", str(tmp_path / "page.html")]) == errors.OK
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert text.count("<script>") == 1
    assert not re.search(r"(src|href)=|url\(|@import", text)
    assert "<svg" in text
    assert 'values = { view = "view", addtocart = "cart", buy = "purchase" }' in text.replace("&quot;", '"')
    for name in ("shop.ga4", "contacts", "empty"):
        assert f'data-by="{name}"' in text


def test_the_table_names_what_is_unknown_and_whose_data_it_is(
    foreign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inventory"]) == errors.OK
    text = capsys.readouterr().out
    assert "8 topics, 1 table" in text
    assert "shop-flat is not in the catalogue" in text
    assert "100 of 100 sampled records become events" in text
    assert "visitor_id (pseudonym)" in text
    assert "u1@shop.example" not in text


def test_the_embedded_broker_is_enough(
    embedded: str, monkeypatch: pytest.MonkeyPatch, told: Callable[..., dict[str, Told]]
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    assert told() == {}
    producer = Producer({"bootstrap.servers": embedded})
    for n in range(40):
        producer.produce("clicks", json.dumps(flat(n)), b"k")
    assert producer.flush(10) == 0
    clicks = told()["clicks"]
    assert (clicks["n_records"], clicks["n_sampled"], clicks["readers"]) == (40, 40, [])
    assert clicks["size_bytes"] is clicks["cleanup"] is clicks["retention_ms"] is None


def test_publishing_remembers_and_forgets(
    own_kafka: broker.KafkaBroker,
    monkeypatch: pytest.MonkeyPatch,
    told: Callable[..., dict[str, Told]],
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    servers = own_kafka.bootstrap_servers
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", servers)
    create(servers, "passing")
    assert run(["inventory", "--publish"]) == errors.USAGE
    assert "rillet topics create" in capsys.readouterr().err

    ensure(load())
    first = told("--publish")["passing"]
    second = told("--publish")
    assert second["passing"]["first_seen_ms"] == first["first_seen_ms"]
    assert second["passing"]["last_seen_ms"] > first["last_seen_ms"]
    assert second[topics.ASSETS]["known"]
    assert second[topics.BROWSE]["contract"] == "urn:rillet:schema:browse"
    assert second[topics.BROWSE]["reaches"] == [topics.RELATED, topics.TRENDING, topics.SLATES]

    admin = AdminClient({"bootstrap.servers": servers})
    admin.delete_topics(["passing"])["passing"].result(10)
    wait_until(lambda: "passing" not in admin.list_topics(timeout=5).topics)
    told("--publish", "--topic", "events.*")
    assert newest(servers)["passing"]["present"], "what was not looked at is not gone"
    told("--publish")
    gone = newest(servers)["passing"]
    assert (gone["present"], gone["last_seen_ms"]) == (False, second["passing"]["last_seen_ms"])
    wait_until(lambda: now_ms() - gone["last_seen_ms"] > 1_000)
    told("--publish", "--forget-after", "1s")
    assert newest(servers)["passing"] is None


def newest(servers: str) -> dict[str, Any]:
    """The newest value of each asset on the topic, None for a tombstone."""
    return {
        (record.key or b"").decode(): json.loads(record.value) if record.value else None
        for record in all_of(servers, topics.ASSETS)
    }


@pytest.mark.parametrize(
    "arguments", [["--every", "3x"], ["--every", "0s"], ["--forget-after", "soon"], ["--sample", "-1"]]
)
def test_nonsense_is_refused_before_anything_is_asked(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(["inventory", *arguments]) == errors.USAGE
    assert capsys.readouterr().out == ""


def test_a_broker_that_is_away_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(["inventory"]) == errors.BROKER
    assert "fix:" in capsys.readouterr().err


def test_it_looks_again_until_it_is_stopped(embedded: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli", "inventory", "--json", "--every", "1s"]
    process = subprocess.Popen(
        command,
        env={"RILLET_BOOTSTRAP_SERVERS": embedded, "PATH": "", "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        looks = 0
        for line in process.stdout:
            looks += '"cluster"' in line
            if looks == 2:
                break
        process.send_signal(2)
        process.stdout.read()
    assert process.returncode == errors.OK


def test_equal_inventories_give_equal_pages(foreign: str) -> None:
    found = look(load(), pattern="shop*")
    assert page(found) == page(found)
