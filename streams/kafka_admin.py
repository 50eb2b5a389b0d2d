"""The topics of the catalogue on a broker: create what is missing, compare what is there.

Never deletes, never changes a topic that exists. Which topics there are is said in ``schemas.topics``.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, NoReturn

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType, TopicMetadata

from schemas.topics import Topic, catalogue, changelogs
from streams.broker import CONNECT_TIMEOUT_S, EMBEDDED_PARTITIONS, is_embedded, ping
from streams.errors import BrokerRefusedError, SettingsError
from streams.settings import Settings, TopicsSettings

TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.05

_FIXES: Final = {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "Grant the user Create on the cluster or on the topics, or let "
    "an administrator run `rillet topics create`.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Grant the user Create, Describe and DescribeConfigs on them.",
    KafkaError.INVALID_REPLICATION_FACTOR: "Set topics.replication to at most the number of brokers.",
    KafkaError.POLICY_VIOLATION: "The broker has a policy on new topics: follow it in [topics], or create "
    "them by hand as `rillet topics describe` shows them.",
}


class Difference(NamedTuple):
    """A property that is not as the catalogue has it; ``found`` is ``-`` where the topic is missing."""

    topic: str
    what: str
    wanted: str
    found: str


def wanted(settings: Settings) -> tuple[Topic, ...]:
    """The catalogue and the changelogs, as these settings want them."""
    partitions = settings.topics.partitions
    return (*catalogue(partitions), *changelogs(settings.worker.app_id, partitions))


def topic_config(topic: Topic, settings: TopicsSettings) -> dict[str, str]:
    """Settings of the topic as Kafka names them."""
    return {**topic.config(), "min.insync.replicas": str(settings.min_insync)}


def ensure(settings: Settings, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Create the topics that are missing, wait until every one has its leaders, and name the new ones.

    On the embedded broker, where a topic appears on first use, each is touched.

    Raises:
        BrokerUnreachableError: no Kafka answered.
        BrokerRefusedError: it would not create a topic, or not within ``timeout_s``.
        SettingsError: topics have another number of partitions than the settings say.
    """
    embedded = is_embedded(ping(settings.kafka.client_conf(), min(timeout_s, CONNECT_TIMEOUT_S)))
    if embedded and settings.topics.partitions != EMBEDDED_PARTITIONS:
        _refuse_partitions("Topics of the embedded broker have", EMBEDDED_PARTITIONS, settings)
    admin = _admin(settings)
    topics = wanted(settings)
    there = admin.list_topics(timeout=timeout_s).topics
    missing = [topic for topic in topics if topic.name not in there]
    if embedded:
        for topic in missing:
            admin.list_topics(topic.name, timeout=timeout_s)
        return [topic.name for topic in missing]
    for topic in topics:
        if topic.name in there and len(there[topic.name].partitions) != topic.partitions:
            _refuse_partitions(f"{topic.name} has", len(there[topic.name].partitions), settings)
    _create(admin, missing, settings.topics)
    _wait_for_leaders(admin, topics, timeout_s)
    return [topic.name for topic in missing]


def differences(settings: Settings, timeout_s: float = TIMEOUT_S) -> list[Difference]:
    """What on the broker is not as the catalogue has it, in the catalogue's order.

    The embedded broker knows no settings of topics: there, only missing ones are told.
    """
    embedded = is_embedded(ping(settings.kafka.client_conf(), min(timeout_s, CONNECT_TIMEOUT_S)))
    admin = _admin(settings)
    there = admin.list_topics(timeout=timeout_s).topics
    topics = wanted(settings)
    known = [topic.name for topic in topics if topic.name in there]
    configs = {} if embedded else _describe_configs(admin, known, timeout_s)
    found: list[Difference] = []
    for topic in topics:
        if topic.name in there:
            if not embedded:
                found += _compare(topic, there[topic.name], configs[topic.name], settings.topics)
        else:
            found.append(Difference(topic.name, "topic", "present", "-"))
    return found


def _compare(
    topic: Topic, there: TopicMetadata, config: dict[str, str], settings: TopicsSettings
) -> Iterator[Difference]:
    if len(there.partitions) != topic.partitions:
        yield Difference(topic.name, "partitions", str(topic.partitions), str(len(there.partitions)))
    replicas = min(len(partition.replicas) for partition in there.partitions.values())
    if replicas != settings.replication:
        yield Difference(topic.name, "replication", str(settings.replication), str(replicas))
    for name, value in topic_config(topic, settings).items():
        if config.get(name) != value:
            yield Difference(topic.name, name, value, config.get(name, "-"))


def _create(admin: AdminClient, topics: Iterable[Topic], settings: TopicsSettings) -> None:
    new = [
        NewTopic(topic.name, topic.partitions, settings.replication, config=topic_config(topic, settings))
        for topic in topics
    ]
    if not new:
        return
    for name, future in admin.create_topics(new, operation_timeout=TIMEOUT_S).items():
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            # two workers that start together both find it missing
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                _refused(f"create the topic {name}", error)


def _wait_for_leaders(admin: AdminClient, topics: Iterable[Topic], timeout_s: float) -> None:
    """Creation answers before every broker knows the topic."""
    deadline = time.monotonic() + timeout_s
    waiting = {topic.name for topic in topics}
    while waiting:
        there = admin.list_topics(timeout=timeout_s).topics
        waiting = {name for name in waiting if name not in there or not _has_leaders(there[name])}
        if waiting and time.monotonic() > deadline:
            raise BrokerRefusedError(
                f"Without a leader after {timeout_s:g} s: {', '.join(sorted(waiting))}.",
                fix="See in the brokers' logs why partitions are not assigned; too few brokers may be up.",
            )
        if waiting:
            time.sleep(_POLL_S)


def _has_leaders(topic: TopicMetadata) -> bool:
    partitions = topic.partitions.values()
    return bool(partitions) and all(partition.leader >= 0 for partition in partitions)


def _describe_configs(admin: AdminClient, names: list[str], timeout_s: float) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    try:
        return {
            resource.name: {entry.name: entry.value for entry in future.result(timeout_s).values()}
            for resource, future in answers.items()
        }
    except KafkaException as error:
        _refused("describe the topics", error)


def _admin(settings: Settings) -> AdminClient:
    return AdminClient({**settings.kafka.client_conf(), "log_level": 0})


def _refused(what: str, error: KafkaException) -> NoReturn:
    kafka_error = error.args[0]
    fix = _FIXES.get(
        kafka_error.code(), "The broker's message names the cause; `rillet topics diff` compares."
    )
    raise BrokerRefusedError(f"Kafka would not {what}: {kafka_error.str()}", fix=fix) from error


def _refuse_partitions(subject: str, found: int, settings: Settings) -> NoReturn:
    raise SettingsError(
        f"{subject} {found} partitions, and topics.partitions is {settings.topics.partitions}.",
        fix=f"Set topics.partitions = {found} (RILLET_TOPICS__PARTITIONS={found}). The number of an existing "
        "topic cannot change without moving users away from their state.",
    )
