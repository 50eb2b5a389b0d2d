"""What a check finds, and what checks look at."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from streams.broker import is_embedded
from streams.patience import edges
from streams.settings import Settings

TIMEOUT_S = 15.0


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``remedy`` is empty where nothing is amiss."""

    check: str
    severity: Severity
    what: str
    remedy: str = ""


def ok(check: str, what: str) -> Finding:
    """Nothing is amiss."""
    return Finding(check, Severity.OK, what)


def warn(check: str, what: str, remedy: str) -> Finding:
    """It works, and may not for long, or not as well as it could."""
    return Finding(check, Severity.WARN, what, remedy)


def fail(check: str, what: str, remedy: str) -> Finding:
    """It does not work, or wrongly."""
    return Finding(check, Severity.FAIL, what, remedy)


class Patient:
    """The settings and the broker they name, asked once for what several checks need."""

    def __init__(self, settings: Settings, *, wait_s: float) -> None:
        self.settings = settings
        self.wait_s = wait_s
        """How long a commit may stand still before it counts as stuck."""

    @cached_property
    def admin(self) -> AdminClient:
        """Asked for metadata and settings only: its group offsets have crashed the interpreter."""
        return AdminClient({**self.settings.kafka.client_conf(), "log_level": 0})

    @cached_property
    def cluster(self) -> ClusterMetadata:
        """Brokers and topics as they were when first asked for."""
        return self.admin.list_topics(timeout=TIMEOUT_S)

    @property
    def embedded(self) -> bool:
        """Whether the broker is one for trying out."""
        return is_embedded(str(self.cluster.cluster_id))

    def consumer(self, group: str = "rillet-doctor") -> Consumer:
        """One that never subscribes: it can read, and see a group's commits, without joining it."""
        conf = {**self.settings.kafka.consumer(), "group.id": group, "enable.partition.eof": True}
        return Consumer({**conf, "log_level": 0})

    def edges(self, consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
        """The oldest offset that is there, and the next one."""
        return edges(consumer, topic, partition, TIMEOUT_S)

    def partitions(self, topic: str) -> list[int]:
        """Those of a topic; none when it is missing."""
        there = self.cluster.topics.get(topic)
        return sorted(there.partitions) if there else []
