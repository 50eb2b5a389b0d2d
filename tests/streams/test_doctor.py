"""``rillet doctor``: each thing that is broken on purpose is found, with its remedy."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from schemas import topics
from schemas.rejections import Reason, Rejection
from streams import broker, errors
from streams.cli import run
from streams.doctor.run import LOCAL, REMOTE
from streams.doctor.workers import Progress
from streams.follow import FollowedRecord
from streams.kafka_admin import ensure
from streams.partitioner import partition_of
from streams.settings import Settings, load

Findings = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module")
def clinic() -> Iterator[str]:
    """A real broker of this file's own: what is broken here is nobody else's trouble."""
    try:
        with broker.kafka() as started:
            yield started.bootstrap_servers
    except errors.BrokerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def settings(clinic: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The catalogue on it, and a group of the test's own."""
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", clinic)
    monkeypatch.setenv("RILLET_APP_ID", unique("app"))
    ensure(load())
    return load()


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str]) -> Callable[..., Findings]:
    """Findings by check, and whether the exit code says the same."""

    def examine(*arguments: str) -> Findings:
        code = run(["doctor", "--json", "--wait", "0.2", *arguments])
        found: Findings = {}
        for each in json.loads(capsys.readouterr().out):
            found.setdefault(each["check"], []).append(each)
        amiss = any(each["severity"] != "ok" for told in found.values() for each in told)
        assert code == (errors.FOUND if amiss else errors.OK)
        assert all(each["remedy"] for told in found.values() for each in told if each["severity"] != "ok")
        return found

    return examine


def send(settings: Settings, topic: str, n: int, **more: Any) -> None:
    producer = Producer(dict(settings.kafka.producer()))
    for i in range(n):
        producer.produce(topic, b"{}", b"user-%d" % i, **more)
    assert producer.flush(20) == 0


def commit(settings: Settings, behind: int = 0) -> None:
    """As workers that are so far behind in each partition."""
    consumer = Consumer({**settings.kafka.consumer(), "group.id": settings.worker.app_id})
    places = []
    for topic in topics.BEHAVIOUR:
        for partition in range(4):
            end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            places.append(TopicPartition(topic, partition, max(0, end - behind)))
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


def test_a_sound_installation_is_told_so(settings: Settings, examined: Callable[..., Findings]) -> None:
    send(settings, topics.BROWSE, 100)
    commit(settings)
    found = examined()
    assert {each["severity"] for told in found.values() for each in told} == {"ok"}
    assert set(found) == {
        "versions",
        "disk",
        "broker",
        "settings",
        "topics",
        "partitioner",
        "clock",
        "lag",
        "dead letters",
    }
    assert f"Apache Kafka {broker.kafka_version()[:3]} or later" in found["broker"][0]["what"]
    assert "100 newest events" in found["partitioner"][0]["what"]


def test_commits_that_stand_still_with_work_to_do_are_found(
    settings: Settings, examined: Callable[..., Findings]
) -> None:
    (never,) = examined()["lag"]
    assert "never committed" in never["what"]
    send(settings, topics.SEARCH, 1, partition=partition_of(b"user-0", 4))
    commit(settings, behind=1)
    stuck = [each["what"] for each in examined()["commits"]]
    assert any(f"events.search/{partition_of(b'user-0', 4)}: 1 events behind" in what for what in stuck)
    commit(settings)
    assert "commits" not in examined()


def test_lag_counts_from_what_is_still_there() -> None:
    assert Progress("t", 0, committed=3, low=0, end=10).lag == 7
    assert Progress("t", 0, committed=3, low=8, end=10).lag == 2  # 3 to 7 have expired
    assert Progress("t", 0, committed=None, low=8, end=10).lag == 2


def test_dead_letters_of_late_are_counted_by_reason(
    settings: Settings, examined: Callable[..., Findings]
) -> None:
    record = FollowedRecord(topics.BROWSE, 0, 1, 0, b"u", b"{", ())
    letter = bury(Rejected(record, Rejection(Reason.BROKEN_JSON, "at byte 1")))
    producer = Producer(dict(settings.kafka.producer()))
    producer.produce(letter.topic, letter.value, letter.key, headers=letter.headers)
    assert producer.flush(20) == 0
    (told,) = examined()["dead letters"]
    assert told["what"] == "1 in the last hour: broken_json 1"
    assert "rillet dead-letter list --since 1h" in told["remedy"]


def test_a_record_from_the_future_shows_that_clocks_disagree(
    settings: Settings, examined: Callable[..., Findings]
) -> None:
    send(settings, topics.FEEDBACK, 1, timestamp=time.time_ns() // 1_000_000 + 600_000)
    (told,) = examined()["clock"]
    assert told["severity"] == "fail"
    assert "s ahead of this machine's clock" in told["what"]
    assert "NTP" in told["remedy"]


def test_a_misplaced_key_is_found_with_the_setting_that_misplaced_it(
    settings: Settings, examined: Callable[..., Findings]
) -> None:
    wrong = (partition_of(b"user-0", 4) + 1) % 4
    send(settings, topics.PURCHASE, 1, partition=wrong)
    (told,) = examined()["partitioner"]
    assert f"'user-0' in {wrong} instead of {partition_of(b'user-0', 4)}" in told["what"]
    assert "partitioner=murmur2_random" in told["remedy"]


def test_a_missing_topic_and_a_wrong_number_of_partitions_are_found(
    settings: Settings, examined: Callable[..., Findings], wait_until: Callable[..., None]
) -> None:
    admin = AdminClient(settings.kafka.client_conf())
    admin.delete_topics([topics.RELATED])[topics.RELATED].result(20)
    admin.create_partitions([NewPartitions(topics.ITEMS, 6)])[topics.ITEMS].result(20)

    def changed() -> bool:
        there = admin.list_topics(timeout=10).topics
        return topics.RELATED not in there and len(there[topics.ITEMS].partitions) == 6

    wait_until(changed)
    found = {each["what"]: each["remedy"] for each in examined()["topics"]}
    assert found[f"{topics.RELATED} is missing"] == "`rillet topics create`"
    assert "cannot change without moving users" in found[f"{topics.ITEMS}: partitions is 6, wanted is 4"]


def test_refused_settings_and_a_broker_that_is_away_are_findings(
    examined: Callable[..., Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert "127.0.0.1:1" in examined()["broker"][0]["what"]
    monkeypatch.setenv("RILLET_WORKER__WEB_PROT", "1")
    (told,) = examined()["settings"]
    assert "worker.web_prot (RILLET_WORKER__WEB_PROT): no such setting" in told["what"]


def test_text_has_a_line_for_each_finding_and_one_for_the_remedy(
    embedded: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    ensure(load())
    assert run(["doctor", "--wait", "0"]) == errors.FOUND  # no worker has ever committed
    text = capsys.readouterr().out
    assert "warn  lag           group rillet has never committed, 0 events wait\n      remedy: Start" in text
    assert "ok    broker        embedded broker" in text


def test_the_page_names_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    assert all(f"\n| {check} |" in page for check in {**LOCAL, **REMOTE})
