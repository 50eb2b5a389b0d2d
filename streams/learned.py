"""What all workers have learned, as ``knowledge.parameters`` holds it, and decisions that a person makes about it."""

import time
from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from models.learn.learning import Learning
from models.path import Path as PurePath
from schemas import topics
from schemas.audit import AuditEntry
from streams.errors import BrokerRefusedError, InputError
from streams.interest_states import Changelog
from streams.settings import Settings

ACTOR: Final = "rillet model"
TIMEOUT_S: Final = 30.0


def learned(settings: Settings) -> Learning:
    """The scorers as a worker that starts now would have them.

    Raises:
        InputError: the settings switch learning off.
    """
    learning = PurePath(settings.path()).learning
    if learning is None:
        raise InputError(
            "Nothing is learned: learn.enabled is false.", fix="Set it to true, here and for the workers."
        )
    with Changelog(settings, topics.PARAMETERS) as records:
        for record in records.read():
            if record.value is not None:
                learning.heard(record.key, record.value)
    return learning


def decide(settings: Settings, learning: Learning, action: str, scorer: str) -> None:
    """Tell all workers what was decided in ``learning``, and write it to the audit log."""
    producer = Producer({**settings.kafka.producer(), "log_level": 0})
    failures: list[str] = []

    def told(error: KafkaError | None, _: Message) -> None:
        failures.extend([error.str()] if error else [])

    for key, value in learning.records():
        producer.produce(topics.PARAMETERS, value, key, on_delivery=told)
    entry = AuditEntry(
        time_ms=time.time_ns() // 1_000_000, actor=ACTOR, action=action, subject=scorer, detail="by hand"
    )
    producer.produce(topics.AUDIT, msgspec.json.encode(entry), scorer.encode())
    if producer.flush(TIMEOUT_S) or failures:
        raise BrokerRefusedError(
            f"The broker did not take the decision: {', '.join(failures) or 'no answer'}.",
            fix=f"Grant the user Write on {topics.PARAMETERS} and {topics.AUDIT}, and try again.",
        )


def known_scorer(learning: Learning, name: str) -> str:
    """The name, if there is such a scorer.

    Raises:
        InputError: there is none.
    """
    if name not in learning.estimators:
        raise InputError(
            f"No scorer is called {name!r}, there are: {', '.join(learning.estimators)}.",
            fix="learn.champion and learn.challengers name those that learn.",
        )
    return name
