"""The catalogue on a real broker: created once, compared, and never changed behind anyone's back."""

from collections.abc import Callable

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas import topics
from streams import broker
from streams.errors import BrokerRefusedError, BrokerUnreachableError, SettingsError
from streams.kafka_admin import Difference, differences, ensure, wanted
from streams.settings import Settings, load

Unique = Callable[[str], str]


def settings(address: str, **more: str) -> Settings:
    return load(environ={"RILLET_BOOTSTRAP_SERVERS": address, **more})


@pytest.fixture
def own_app(kafka: broker.KafkaBroker, unique: Unique) -> Settings:
    """The shared catalogue, there already, and changelogs of an application that is not."""
    ensure(settings(kafka.bootstrap_servers))
    return settings(kafka.bootstrap_servers, RILLET_APP_ID=unique("app"))


def test_every_topic_is_created_with_its_partitions(own_app: Settings) -> None:
    ensure(own_app)
    there = AdminClient(own_app.kafka.client_conf()).list_topics(timeout=10).topics
    assert {topic.name: len(there[topic.name].partitions) for topic in wanted(own_app)} == {
        topic.name: topic.partitions for topic in wanted(own_app)
    }


def test_only_what_is_missing_is_created(own_app: Settings) -> None:
    changelogs = [topic.name for topic in topics.changelogs(own_app.worker.app_id)]
    assert [difference.topic for difference in differences(own_app)] == changelogs
    assert ensure(own_app) == changelogs
    assert differences(own_app) == []
    assert ensure(own_app) == []


def test_a_changed_topic_is_told_and_left_alone(own_app: Settings, wait_until: Callable[..., None]) -> None:
    ensure(own_app)
    changelog = topics.changelogs(own_app.worker.app_id)[0].name
    shortened = ConfigResource(
        ResourceType.TOPIC,
        changelog,
        incremental_configs=[
            ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient(own_app.kafka.client_conf())
    admin.incremental_alter_configs([shortened])[shortened].result(10)
    told = [Difference(changelog, "retention.ms", "-1", "1000")]
    wait_until(lambda: differences(own_app) == told)
    assert ensure(own_app) == []
    assert differences(own_app) == told


def test_another_number_of_partitions_is_refused(own_app: Settings) -> None:
    eight = settings(
        own_app.kafka.bootstrap_servers, RILLET_APP_ID=own_app.worker.app_id, RILLET_TOPICS__PARTITIONS="8"
    )
    with pytest.raises(SettingsError, match=r"has 4 partitions.*is 8(?s:.*)RILLET_TOPICS__PARTITIONS=4"):
        ensure(eight)
    assert Difference(topics.BROWSE, "partitions", "8", "4") in differences(eight)


def test_more_replicas_than_brokers_are_refused(own_app: Settings) -> None:
    three = settings(
        own_app.kafka.bootstrap_servers, RILLET_APP_ID=own_app.worker.app_id, RILLET_TOPICS__REPLICATION="3"
    )
    with pytest.raises(BrokerRefusedError, match=r"changelog(?s:.*)fix: Set topics\.replication"):
        ensure(three)


def test_a_broker_that_is_away_is_named() -> None:
    with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1"):
        ensure(settings("127.0.0.1:1"), timeout_s=0.2)


def test_topics_of_the_embedded_broker_are_touched(embedded: str) -> None:
    local = settings(embedded)
    assert ensure(local) == [topic.name for topic in wanted(local)]
    assert ensure(local) == []
    assert differences(local) == []


def test_the_embedded_broker_has_one_number_of_partitions(embedded: str) -> None:
    with pytest.raises(SettingsError, match="embedded broker have 4 partitions"):
        ensure(settings(embedded, RILLET_TOPICS__PARTITIONS="8"))
