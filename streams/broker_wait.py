"""Waits for the broker at the start of a process, so that the order in which things start does not matter."""

import logging
import threading
from typing import Final

from confluent_kafka import KafkaException

from streams import kafka_admin
from streams.broker import ping
from streams.errors import BrokerUnreachableError
from streams.settings import Settings

log = logging.getLogger("rillet")

RETRY_S: Final = 5.0


def wait_for_broker(settings: Settings, stopping: threading.Event | None = None) -> None:
    """Return when the broker answers and the topics are there, or when it is to stop."""
    told = stopping or threading.Event()
    while not told.is_set():
        try:
            ping(settings.kafka.client_conf(), timeout_s=RETRY_S)
            kafka_admin.ensure(settings)
            return
        except (BrokerUnreachableError, KafkaException) as error:
            log.warning(
                "broker_away address=%s retry_s=%g: %s", settings.kafka.bootstrap_servers, RETRY_S, error
            )
            told.wait(RETRY_S)
