"""Checks of the brokers: which they are, and whether their clocks agree with ours."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from streams.doctor.finding import TIMEOUT_S, Finding, Patient, fail, ok, warn
from streams.patience import patiently
from streams.settings import KafkaSettings

FETCH: Final = 1
RELEASES: Final = {12: "2.7", 13: "3.1", 14: "3.5", 15: "3.5", 16: "3.7", 17: "3.9", 18: "4.1"}
"""The first Kafka release by the highest version of Fetch that it answers; its protocol tells no other number."""

WRITTEN: Final = (*topics.BEHAVIOUR, topics.SLATES, topics.DEAD_LETTER)
"""Topics whose records carry the clock of the shop or of a worker."""

SKEW_WARN_S: Final = 5.0
SKEW_FAIL_S: Final = 60.0


def reachable(patient: Patient) -> Iterator[Finding]:
    """The cluster that answers. Raises ``BrokerUnreachableError`` when none does."""
    cluster = patient.cluster
    kind = "embedded broker, for trying out" if patient.embedded else _release(patient.settings.kafka)
    yield ok("broker", f"{kind}; {len(cluster.brokers)} brokers, cluster {cluster.cluster_id}")


def dangerous(patient: Patient) -> Iterator[Finding]:
    """Settings that work and should not be used so."""
    settings, n_brokers = patient.settings, len(patient.cluster.brokers)
    replication = settings.topics.replication
    found = []
    if n_brokers > 1 and replication == 1:
        found.append(
            warn(
                "settings",
                f"topics.replication is 1 with {n_brokers} brokers: a broker lost is data lost",
                f"Set topics.replication = {min(3, n_brokers)} and topics.min_insync = 2 before the topics are "
                "created; existing ones: `kafka-reassign-partitions.sh`.",
            )
        )
    if replication > n_brokers:
        found.append(
            fail(
                "settings",
                f"topics.replication is {replication} with {n_brokers} brokers: topics cannot be created",
                f"Set topics.replication to at most {n_brokers}.",
            )
        )
    if replication > 1 and settings.topics.min_insync == replication:
        found.append(
            warn(
                "settings",
                f"topics.min_insync is {replication}, as is topics.replication: one broker away stops all writing",
                f"Set topics.min_insync = {replication - 1}.",
            )
        )
    if settings.kafka.security_protocol == "SASL_PLAINTEXT":
        found.append(
            warn(
                "settings",
                "kafka.security_protocol is SASL_PLAINTEXT: all but the password's proof is readable on the way",
                "Use SASL_SSL.",
            )
        )
    yield from found or [ok("settings", "accepted, none of them dangerous here")]


def clock(patient: Patient) -> Iterator[Finding]:
    """Our clock against the timestamps on the broker: a record from the future shows that two clocks disagree.

    That ours is ahead of all others cannot be seen: old records are no sign of it.
    """
    now_ms = time.time_ns() // 1_000_000
    consumer = patient.consumer()
    try:
        ahead_s = max((_ahead_s(consumer, patient, name, now_ms) for name in WRITTEN), default=0.0)
    finally:
        consumer.close()
    what = f"a record on the broker is {ahead_s:.0f} s ahead of this machine's clock"
    remedy = "Set all clocks by NTP (`timedatectl`): late events are judged by them."
    if ahead_s >= SKEW_FAIL_S:
        yield fail("clock", what, remedy)
    elif ahead_s >= SKEW_WARN_S:
        yield warn("clock", what, remedy)
    else:
        yield ok("clock", f"no record is more than {SKEW_WARN_S:g} s ahead of this machine's clock")


def _ahead_s(consumer: Consumer, patient: Patient, topic: str, now_ms: int) -> float:
    """By how much the first record from the future is ahead of us, 0 without one."""
    later_ms = now_ms + int(SKEW_WARN_S * 1000)
    asked = [TopicPartition(topic, each, later_ms) for each in patient.partitions(topic)]
    if not asked:
        return 0.0
    answer = patiently(lambda: consumer.offsets_for_times(asked, timeout=TIMEOUT_S))
    found = [each for each in answer if each.offset >= 0]
    consumer.assign(found)
    deadline = time.monotonic() + TIMEOUT_S
    ahead_ms = 0
    waiting = {each.partition for each in found}
    while waiting and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None or message.partition() not in waiting:
            continue
        waiting.discard(message.partition())
        if message.error() is None:
            ahead_ms = max(ahead_ms, message.timestamp()[1] - now_ms)
    return ahead_ms / 1000


def _release(kafka: KafkaSettings) -> str:
    try:
        highest = asyncio.run(_highest_fetch(kafka))
    except (KafkaError, OSError, TimeoutError):
        return "Apache Kafka of unknown release"
    known = [release for version, release in RELEASES.items() if version <= highest]
    return f"Apache Kafka {known[-1]} or later" if known else "Apache Kafka before 2.7"


async def _highest_fetch(kafka: KafkaSettings) -> int:
    client = AIOKafkaClient(
        bootstrap_servers=kafka.bootstrap_servers,
        request_timeout_ms=int(TIMEOUT_S * 1000),
        security_protocol=kafka.security_protocol,
        ssl_context=kafka.ssl_context() if kafka.uses_tls else None,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_plain_username=kafka.sasl_username,
        sasl_plain_password=kafka.sasl_password and kafka.sasl_password.get_secret_value(),
    )
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), ApiVersionRequest())
        return max((highest for key, _, highest in answer.api_versions if key == FETCH), default=0)
    finally:
        await client.close()
