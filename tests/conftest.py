"""Brokers for every test that speaks Kafka.

A test that asks for ``kafka`` runs against a real Apache Kafka, started once a session; one that asks for
``own_kafka`` has one for itself, which it may stop and kill, ``module_kafka`` one for its module. Where Java or Maven
is missing it is skipped, except under ``CI=true``, where it fails.
"""

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from needed import needed

from streams import broker
from streams.errors import BrokerMissingError


def pytest_configure() -> None:
    """What runs in the background of a script ignores Ctrl-C, and so would all that the tests start."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"kafka", "own_kafka", "module_kafka"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def kafka() -> Iterator[broker.KafkaBroker]:
    """A real broker, shared: use ``unique`` names, and leave it running."""
    yield from _started()


@pytest.fixture
def own_kafka() -> Iterator[broker.KafkaBroker]:
    """A real broker of the test's own, with empty topics."""
    yield from _started()


@pytest.fixture(scope="module")
def module_kafka() -> Iterator[broker.KafkaBroker]:
    """A real broker of the module's own, with empty topics."""
    yield from _started()


def _started() -> Iterator[broker.KafkaBroker]:
    with ExitStack() as stack:
        try:
            started = stack.enter_context(broker.kafka())
        except BrokerMissingError as missing:
            needed("Apache Kafka", str(missing))
        yield started


@pytest.fixture
def embedded() -> Iterator[str]:
    """The address of an embedded broker of the test's own."""
    with broker.embedded() as address:
        yield address


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names of topics, groups and applications that no other test uses."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for a condition, and fails when it does not come about in time."""

    def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"the condition did not come about within {timeout_s:g} s")
            time.sleep(0.02)

    return wait


@pytest.fixture
def make_topic(kafka: broker.KafkaBroker, unique: Callable[[str], str]) -> Callable[..., str]:
    """Creates a topic with a unique name on the real broker."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    def make(prefix: str = "test", partitions: int = 4, **config: str) -> str:
        name = unique(prefix)
        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(10)
        return name

    return make
