"""One worker process: settings in, a running flow, health and metrics, a graceful end.

Whatever goes wrong inside ends the process with ``EX_SOFTWARE`` at once: nothing more is written or committed, and the
supervisor's restart continues from the last commit.
"""

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Final

import faust
from confluent_kafka import KafkaException

from models.path import warm_up
from streams import kafka_admin
from streams.broker import ping
from streams.errors import BrokerUnreachableError, RilletError, SettingsError
from streams.flow import Flow
from streams.health import Health
from streams.settings import Settings, WorkerSettings

log = logging.getLogger("rillet")

EX_SOFTWARE: Final = 70
RETRY_S: Final = 5.0
STOP_TIMEOUT_S: Final = 30.0

GC_THRESHOLD: Final = (100_000, 20, 1_000)
"""Slates are trees without cycles; at Python's thresholds the collector took half of the time (measured)."""


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is returned."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("faust", "mode", "streams.engine.transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    _check_address(settings.worker)
    started = time.monotonic()
    warm_up(settings.path())
    log.info("kernels_ready seconds=%.1f", time.monotonic() - started)
    _wait_for_broker(settings)
    kafka_admin.ensure(settings)
    settings.worker.state_dir.mkdir(parents=True, exist_ok=True)
    flow = Flow(settings, _crash)
    health = Health(flow.missing, flow.refresh_gauges)

    @flow.app.task  # type: ignore[untyped-decorator]
    async def serve_health() -> None:
        port = await health.start(settings.worker.web_host, settings.worker.web_port)
        log.info(
            "worker_started id=%s health=http://%s:%d", settings.worker.id, settings.worker.web_host, port
        )

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    worker = TimedWorker(flow.app, loglevel="WARNING", quiet=True, override_logging=False)
    try:
        worker.execute_from_commandline()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    finally:
        flow.close()
    return 0


class TimedWorker(faust.Worker):  # type: ignore[misc]
    """Faust's worker, which ends even when the broker it wants to say good-bye to is gone."""

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        watchdog = threading.Timer(
            STOP_TIMEOUT_S, _crash, [TimeoutError(f"no orderly end in {STOP_TIMEOUT_S:g} s")]
        )
        watchdog.daemon = True
        watchdog.start()
        super()._schedule_shutdown(number)


def _check_address(worker: WorkerSettings) -> None:
    try:
        with socket.create_server((worker.web_host, worker.web_port)):
            pass
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on {worker.web_host}:{worker.web_port}: {error.strerror}.",
            fix="Set worker.web_port (RILLET_WORKER__WEB_PORT) to a free port, 0 for any; two workers on one "
            "host need different ones.",
        ) from error


def _wait_for_broker(settings: Settings) -> None:
    while True:
        try:
            ping(settings.kafka.client_conf(), timeout_s=RETRY_S)
            return
        except (BrokerUnreachableError, KafkaException) as error:
            log.warning(
                "broker_away address=%s retry_s=%g: %s", settings.kafka.bootstrap_servers, RETRY_S, error
            )
            time.sleep(RETRY_S)


def _crash(error: BaseException) -> None:
    message = str(error) if isinstance(error, RilletError) else f"{type(error).__name__}: {error}"
    log.critical("worker_stops exit=%d: %s", EX_SOFTWARE, message)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EX_SOFTWARE)
