"""The process of the shadow learners: a cross-check of what sources are worth, which holds no event back.

::

    events.* ──► Slice ──► Shadows ──► metrics.value

All that it knows is in memory: started again it begins anew. What it learns of a past is not counted.
"""

import logging
import signal
import time
from threading import Event
from typing import Any, Final

import msgspec
from confluent_kafka import Producer

from models.evaluate.apart import apart
from models.evaluate.of_path import OfPath
from models.path import Path
from models.value.latest import Latest
from models.value.shadows import ALL, Shadows
from schemas import topics
from streams.broker_log import BrokerLog
from streams.broker_wait import wait_for_broker
from streams.settings import Settings
from streams.slice import Slice

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
BATCH: Final = 8
"""Events of different users that are learned together."""
FLUSH_S: Final = 10.0


def run(settings: Settings, since_ms: int | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code is returned."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(BrokerLog(settings.kafka.bootstrap_servers))
    wait_for_broker(settings)
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    process = ShadowProcess(settings, since_ms)
    log.info("shadows_started share=%g", settings.value.shadow_share)
    try:
        while not stopped.is_set():
            process.turn(stopped)
    finally:
        process.close()
    return 0


class ShadowProcess:
    """What runs."""

    def __init__(self, settings: Settings, since_ms: int | None) -> None:
        users = settings.value.shadow_users
        whole = OfPath(Path(settings.path()), ALL, Latest(users))
        self.shadows = Shadows(whole, settings.value.k, users)
        self._slice = Slice(settings, since_ms)
        self._producer = Producer({**settings.kafka.producer(), "logger": log})
        self._worker, self._report_s = settings.worker.id, settings.value.report_s
        self._due_s = time.monotonic() + self._report_s

    def turn(self, stopped: Event) -> None:
        """Take what has come; returns early when it is to stop."""
        counts = self._slice.caught_up
        for batch in apart(self._slice.due(), BATCH):
            self.shadows.take(batch, counts=counts)
            self._publish_when_due()
            if stopped.is_set():
                return
        self._publish_when_due()
        if self._slice.caught_up and not counts:
            log.info("shadows_caught_up sources=%s", ",".join(self.shadows.sources))

    def close(self) -> None:
        """Tell of the window under way, and end."""
        self._publish()
        self._slice.close()
        self._producer.flush(FLUSH_S)

    def _publish_when_due(self) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + self._report_s
            self._publish()

    def _publish(self) -> None:
        told = self.shadows.taken(self._worker)
        if told is not None:
            self._producer.produce(topics.VALUE, _encode(told), told.of.encode(), on_delivery=_delivered)
        self._producer.poll(0)


def _delivered(error: Any, _: object) -> None:
    if error is not None:
        log.error("shadows_window_lost: %s", error)
