"""What consumer groups have committed, and what partitions take on the disks of the brokers.

Asked by aiokafka: confluent-kafka has no request for sizes, and its group offsets have crashed the interpreter.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

from streams.inventory.cluster import TIMEOUT_S, Place
from streams.settings import KafkaSettings

_TEXT: Final = String("utf-8")
log = logging.getLogger(__name__)


class _LogDirs_v1(Response):  # type: ignore[misc]  # noqa: N801
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("log_dir", _TEXT),
                (
                    "topics",
                    Array(
                        ("name", _TEXT),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _DescribeLogDirs_v1(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _LogDirs_v1
    SCHEMA = Schema(("topics", Array(("topic", _TEXT), ("partitions", Array(Int32)))))


class _DescribeLogDirs(Request[_DescribeLogDirs_v1]):  # type: ignore[misc]
    """All partitions of one broker, as KIP-113 has it; since Kafka 2.0."""

    API_KEY = 35

    def build(self, request_struct_class: type) -> Any:
        return request_struct_class(None)


class Told(NamedTuple):
    """Offsets by group and partition, bytes by topic (None where it may not be seen), and what was refused."""

    committed: dict[str, dict[Place, int]]
    size_bytes: dict[str, int] | None
    notes: list[str]


def ask(kafka: KafkaSettings, groups: Collection[str]) -> Told:
    """What brokers tell of these consumer groups and of their disks."""
    return asyncio.run(_ask(kafka, groups))


async def _ask(kafka: KafkaSettings, groups: Collection[str]) -> Told:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=kafka.bootstrap_servers,
        request_timeout_ms=int(TIMEOUT_S * 1000),
        security_protocol=kafka.security_protocol,
        ssl_context=kafka.ssl_context() if kafka.uses_tls else None,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_plain_username=kafka.sasl_username,
        sasl_plain_password=kafka.sasl_password and kafka.sasl_password.get_secret_value(),
    )
    notes: list[str] = []
    committed: dict[str, dict[Place, int]] = {}
    size_bytes = None
    try:
        await admin.start()
        for group in sorted(groups):
            try:
                offsets = await admin.list_consumer_group_offsets(group)
            except KafkaError as error:
                notes.append(f"commits of the consumer group {group}: {type(error).__name__}")
                continue
            committed[group] = {
                (each.topic, each.partition): at.offset for each, at in offsets.items() if at.offset >= 0
            }
        size_bytes = await _sizes(admin)
    except (KafkaError, OSError, TimeoutError) as error:
        notes.append(f"sizes on disk: {type(error).__name__}")
    finally:
        await admin.close()
    return Told(committed, size_bytes, notes)


async def _sizes(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Bytes of each topic, all copies on all brokers together."""
    found: Counter[str] = Counter()
    client = admin._client
    for broker in client.cluster.brokers():
        await client.ready(broker.nodeId)
        answer = await client.send(broker.nodeId, _DescribeLogDirs())
        for _, _, topics in answer.log_dirs:
            for name, partitions in topics:
                found[name] += sum(size for _, size, _, is_future in partitions if not is_future)
    return dict(found)
