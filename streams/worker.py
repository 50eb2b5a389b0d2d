"""One worker process: settings in, a running flow, health and metrics, a graceful end.

Whatever goes wrong inside ends the process with ``EX_SOFTWARE`` at once: nothing more is written or committed, and the
supervisor's restart continues from the last commit.
"""

import gc
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import faust

from models.path import warm_up
from streams.broker_log import BrokerLog
from streams.broker_wait import wait_for_broker
from streams.errors import RilletError, SettingsError
from streams.flow import Flow
from streams.health import Health, check_address
from streams.settings import Settings

log = logging.getLogger("rillet")

EX_SOFTWARE: Final = 70
STOP_TIMEOUT_S: Final = 30.0

GC_THRESHOLD: Final = (100_000, 20, 1_000)
"""Slates are trees without cycles; at Python's thresholds the collector took half of the time (measured)."""


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit code is returned."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("faust", "mode", "streams.engine.transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(BrokerLog(settings.kafka.bootstrap_servers))
    check_address(settings.worker.web_host, settings.worker.web_port, "worker")
    _check_state_dir(settings.worker.state_dir)
    started = time.monotonic()
    warm_up(settings.path())
    log.info("kernels_ready seconds=%.1f", time.monotonic() - started)
    wait_for_broker(settings)
    flow = Flow(settings, _crash)
    health = Health(flow.missing, flow.refresh_gauges, flow.explain)

    async def serve_health() -> None:
        port = await health.start(settings.worker.web_host, settings.worker.web_port)
        log.info(
            "worker_started id=%s health=http://%s:%d", settings.worker.id, settings.worker.web_host, port
        )

    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    worker = TimedWorker(
        flow.drain,
        serve_health,
        health.stop,
        flow.app,
        loglevel="WARNING",
        quiet=True,
        override_logging=False,
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    finally:
        flow.close()
    return 0


class TimedWorker(faust.Worker):  # type: ignore[misc]
    """Faust's worker without the spinner, which ends even when the broker it wants to say good-bye to is gone.

    ``on_begin`` is called before any service starts, so that health is served while tables recover, ``on_signal`` when
    it is told to stop, ``on_end`` when all services have stopped.
    """

    def __init__(
        self,
        on_signal: Callable[[], None],
        on_begin: Callable[[], Awaitable[None]],
        on_end: Callable[[], Awaitable[None]],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.spinner = None
        self._on_signal = on_signal
        self._on_begin = on_begin
        self._on_end = on_end

    async def on_first_start(self) -> None:
        """Called first."""
        await super().on_first_start()
        await self._on_begin()

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        self._on_signal()
        watchdog = threading.Timer(
            STOP_TIMEOUT_S, _crash, [TimeoutError(f"no orderly end in {STOP_TIMEOUT_S:g} s")]
        )
        watchdog.daemon = True
        watchdog.start()
        super()._schedule_shutdown(number)

    async def on_shutdown(self) -> None:
        """Called last."""
        await super().on_shutdown()
        await self._on_end()


def _check_state_dir(path: Path) -> None:
    probe = path / f".probe-{uuid.uuid4().hex}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"1")
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"Nothing can be written to the state directory {path}: {error.strerror}.",
            fix="Make it writable, make room there, or name another with worker.datadir (RILLET_DATADIR).",
        ) from error


def _crash(error: BaseException) -> None:
    message = str(error) if isinstance(error, RilletError) else f"{type(error).__name__}: {error}"
    log.critical("worker_stops exit=%d: %s", EX_SOFTWARE, message)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EX_SOFTWARE)
