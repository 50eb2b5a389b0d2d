"""What brokers tell of topics when asked once, all together: partitions, settings, offsets by time.

What they refuse is noted, never an error: an inventory of what may be seen is better than none.
"""

from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from streams.broker import is_embedded, ping
from streams.settings import KafkaSettings

TIMEOUT_S: Final = 30.0
AT_ONCE: Final = 500
"""Topics whose settings are asked for with one request."""
INTERNAL: Final = "__"
"""Topics of Kafka itself begin so."""

Place = tuple[str, int]


class At(NamedTuple):
    """An offset, and the time of its record where times were asked for."""

    offset: int
    timestamp_ms: int


class Described(NamedTuple):
    """One topic, by its metadata."""

    partitions: tuple[int, ...]
    replication: int


class Cluster:
    """Raises ``BrokerUnreachableError`` where no broker answers."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.id = ping(kafka.client_conf())
        self.embedded = is_embedded(self.id)
        self.notes: list[str] = []
        self._admin = AdminClient({**kafka.client_conf(), "log_level": 0})

    def topics(self) -> dict[str, Described]:
        """All that may be seen, Kafka's own left out."""
        there = self._admin.list_topics(timeout=TIMEOUT_S).topics
        return {
            name: Described(
                tuple(sorted(each.partitions)), max(len(one.replicas) for one in each.partitions.values())
            )
            for name, each in sorted(there.items())
            if not name.startswith(INTERNAL) and each.partitions
        }

    def settings(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """Settings of topics by name, empty where they are not told."""
        if self.embedded:
            return {}
        found: dict[str, dict[str, str]] = {}
        for some in _in_parts(names):
            asked = [ConfigResource(ResourceType.TOPIC, name) for name in some]
            answers = self._admin.describe_configs(asked, request_timeout=TIMEOUT_S)
            for resource, future in answers.items():
                told = self._answer(future, f"settings of {resource.name}")
                if told is not None:
                    found[resource.name] = {
                        name: entry.value for name, entry in told.items() if entry.value is not None
                    }
        return found

    def oldest(self, places: Collection[Place]) -> dict[Place, At]:
        """The first offset that is there."""
        return self._offsets(places, OffsetSpec.earliest())

    def ends(self, places: Collection[Place]) -> dict[Place, At]:
        """The next offset to be written."""
        return self._offsets(places, OffsetSpec.latest())

    def since(self, places: Collection[Place], time_ms: int) -> dict[Place, At]:
        """The first record that is not older, none where all are older, or the broker knows no times."""
        if self.embedded:
            return {}
        found = self._offsets(places, OffsetSpec.for_timestamp(time_ms))
        return {place: at for place, at in found.items() if at.offset >= 0}

    def groups(self) -> dict[str, tuple[str, set[Place]]]:
        """State of each consumer group, and the partitions that its members read now."""
        if self.embedded:
            return {}
        listed = self._answer(
            self._admin.list_consumer_groups(request_timeout=TIMEOUT_S), "the consumer groups"
        )
        names = [each.group_id for each in listed.valid] if listed else []
        if not names:
            return {}
        found: dict[str, tuple[str, set[Place]]] = {}
        for name, future in self._admin.describe_consumer_groups(names, request_timeout=TIMEOUT_S).items():
            told = self._answer(future, f"the consumer group {name}")
            if told is not None:
                assigned = {
                    (each.topic, each.partition)
                    for member in told.members
                    for each in member.assignment.topic_partitions
                }
                found[name] = (told.state.name.lower(), assigned)
        return found

    def _offsets(self, places: Collection[Place], spec: OffsetSpec) -> dict[Place, At]:
        if not places:
            return {}
        asked = {TopicPartition(topic, partition): spec for topic, partition in places}
        found: dict[Place, At] = {}
        for place, future in self._admin.list_offsets(asked, request_timeout=TIMEOUT_S).items():
            told = self._answer(future, f"offsets of {place.topic}")
            if told is not None:
                found[place.topic, place.partition] = At(int(told.offset), int(told.timestamp))
        return found

    def _answer(self, future: Any, what: str) -> Any:
        """What was answered, None where it was refused."""
        try:
            return future.result(TIMEOUT_S)
        except KafkaException as error:
            self.note(f"{what}: {error.args[0].str()}")
            return None

    def note(self, text: str) -> None:
        """Keep what could not be seen, each once."""
        if text not in self.notes:
            self.notes.append(text)


def matching(pattern: str | None) -> Callable[[str], bool]:
    """Whether a name is meant: by a pattern as of a shell, or all."""
    return (lambda name: fnmatchcase(name, pattern)) if pattern else (lambda _: True)


def _in_parts(names: Iterable[str]) -> Iterable[list[str]]:
    each = list(names)
    return (each[start : start + AT_ONCE] for start in range(0, len(each), AT_ONCE))
