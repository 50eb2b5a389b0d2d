"""Decisions of a person about which snapshot serves: told to all workers and written to the audit log."""

from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from schemas import topics
from schemas.audit import AuditEntry
from schemas.snapshots import EMBEDDING, Announced, Promoted
from streams.errors import BrokerRefusedError, InputError
from streams.interest_states import Changelog
from streams.settings import Settings
from streams.snapshots.versions import VersionRecord, Versions

ACTOR: Final = "rillet models"
TIMEOUT_S: Final = 30.0


def versions(settings: Settings, model: str = EMBEDDING) -> Versions:
    """What ``models.versions`` holds now."""
    found = Versions(model)
    with Changelog(settings, topics.VERSIONS) as records:
        for record in records.read():
            found.hear(record.key, record.value)
    return found


def announced(found: Versions, version: str) -> Announced:
    """The announcement of ``version``, or of the one that serves if that is empty.

    Raises:
        InputError: it was not announced, or none serves.
    """
    if version:
        return found.announcement(version)
    if found.promoted is None:
        raise InputError("No version serves yet.", fix="Name one, or let one serve: `rillet models promote`.")
    return found.announcement(found.promoted.version)


def audit_entry(promoted: Promoted, action: str) -> AuditEntry:
    """What the audit log says of a ``promotion`` or ``rollback``."""
    after = f" after {promoted.previous[0]}" if promoted.previous and action == "promotion" else ""
    pinned = ", pinned" if promoted.pinned else ""
    return AuditEntry(
        time_ms=promoted.time_ms,
        actor=promoted.actor,
        action=action,
        subject=promoted.model,
        detail=f"{promoted.version}{after}{pinned}: {promoted.detail}",
    )


def decide(settings: Settings, promoted: Promoted, action: str) -> None:
    """Let ``promoted`` serve everywhere. ``action`` is ``promotion`` or ``rollback``.

    Raises:
        BrokerRefusedError: the broker did not take it.
    """
    producer = Producer({**settings.kafka.producer(), "log_level": 0})
    failures: list[str] = []

    def told(error: KafkaError | None, _: Message) -> None:
        failures.extend([error.str()] if error else [])

    record, entry = VersionRecord.of(promoted), audit_entry(promoted, action)
    producer.produce(record.topic, record.value, record.key, on_delivery=told)
    producer.produce(topics.AUDIT, msgspec.json.encode(entry), entry.subject.encode(), on_delivery=told)
    if producer.flush(TIMEOUT_S) or failures:
        raise BrokerRefusedError(
            f"The broker did not take the decision: {', '.join(failures) or 'no answer'}.",
            fix=f"Grant the user Write on {topics.VERSIONS} and {topics.AUDIT}, and try again.",
        )
