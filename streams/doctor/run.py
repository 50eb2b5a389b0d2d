"""All checks, one after the other; one that cannot be made is a finding itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from streams.broker import ping
from streams.doctor import brokers, machine, topic_checks, workers
from streams.doctor.finding import Finding, Patient, fail
from streams.errors import BrokerUnreachableError, RilletError, SettingsError
from streams.settings import load

Check = Callable[[Patient], Iterator[Finding]]

LOCAL: Final[dict[str, Check]] = {"versions": machine.versions, "disk": machine.disk}
REMOTE: Final[dict[str, Check]] = {
    "broker": brokers.reachable,
    "settings": brokers.dangerous,
    "topics": topic_checks.catalogue,
    "partitioner": topic_checks.partitioner,
    "clock": brokers.clock,
    "lag": workers.group,
    "dead letters": workers.dead_letters,
}


def examine(config: Path | None, wait_s: float) -> Iterator[Finding]:
    """What each check finds. Without settings nothing can be checked, without a broker only this machine."""
    try:
        patient = Patient(load(config), wait_s=wait_s)
    except SettingsError as error:
        yield fail("settings", error.problem, error.fix)
        return
    yield from _checked(patient, LOCAL)
    try:
        ping(patient.settings.kafka.client_conf())
    except BrokerUnreachableError as error:
        yield fail("broker", error.problem, error.fix)
        return
    yield from _checked(patient, REMOTE)


def _checked(patient: Patient, checks: dict[str, Check]) -> Iterator[Finding]:
    for name, check in checks.items():
        try:
            yield from check(patient)
        except RilletError as error:
            yield fail(name, f"cannot be checked: {error.problem}", error.fix)
        except KafkaException as error:
            yield fail(
                name,
                f"cannot be checked: {error.args[0].str()}",
                "Mend what is told above first; else grant the user Describe and Read on topics and groups.",
            )
