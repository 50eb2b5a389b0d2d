"""The worker that the demo runs: a process of its own, with its own folder, that must stay alive.

It is configured by the environment only, so that no settings file lying about changes what the demo shows.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.errors import RilletError

READY_S: Final = 60.0
STOP_S: Final = 10.0
POLL_S: Final = 0.1
TAIL_LINES: Final = 25
_HEALTH = re.compile(r"health=(http://\S+)")
_SAMPLE = re.compile(r"^rillet_records_total\{.*\} (\S+)$", re.MULTILINE)

_COMMAND: Final = [sys.executable, "-c", "from streams.cli import main; main()", "worker"]
_SETTINGS: Final = {
    "RILLET_WORKER_ID": "demo",
    "RILLET_WORKER__WEB_PORT": "0",
    "RILLET_QUALITY__WINDOW_S": "10",
    "RILLET_QUALITY__ALLOWED_LATENESS_S": "2",
    "RILLET_QUALITY__QUIET_S": "3",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Short windows of quality, so that a minute shows some."""


class WorkerDiedError(RilletError):
    """The demo's worker ended, or did not come up."""


class DemoWorker:
    """A running ``rillet worker``."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log
        self._health: str | None = None

    def check(self) -> None:
        """Raise when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise WorkerDiedError(
                f"The worker ended with exit code {code}. The end of its log:\n{self.log_tail()}",
                fix="The last lines name the cause. Once it is mended, run the demo again.",
            )

    def wait_until_ready(self, tell: Callable[[str], None]) -> None:
        """Return when ``/readyz`` says so; ``tell`` hears what is still missing."""
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            self.check()
            missing = self._missing()
            if not missing:
                return
            tell(", ".join(missing))
            time.sleep(POLL_S)
        raise WorkerDiedError(
            f"The worker was not ready after {READY_S:g} s. The end of its log:\n{self.log_tail()}",
            fix="Give the machine less else to do and run the demo again.",
        )

    def n_records(self) -> int | None:
        """Events that it has taken so far, by its own count; None when it does not answer."""
        text = self._get("/metrics")
        return None if text is None else int(sum(float(value) for value in _SAMPLE.findall(text)))

    def log_tail(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])

    def stop(self) -> None:
        """End it in order; killed when it does not listen."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _missing(self) -> list[str]:
        text = self._get("/readyz")
        if text is None:
            return ["a sign of life"]
        return [str(each) for each in json.loads(text)["missing"]]

    def _get(self, path: str) -> str | None:
        if self._health is None:
            found = _HEALTH.search(self._log.read_text(errors="replace"))
            if found is None:
                return None
            self._health = found[1]
        try:
            with urllib.request.urlopen(self._health + path, timeout=1.0) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as not_ready:
            return str(not_ready.read().decode())
        except OSError:
            return None


@contextmanager
def running_worker(bootstrap_servers: str, folder: Path) -> Iterator[DemoWorker]:
    """A worker on a broker, its state and log in ``folder``; stopped on leaving."""
    log = folder / "worker.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RILLET_")}
    environment |= _SETTINGS
    environment |= {"RILLET_BOOTSTRAP_SERVERS": bootstrap_servers, "RILLET_DATADIR": str(folder / "state")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            _COMMAND,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = DemoWorker(process, log)
    try:
        yield worker
    finally:
        worker.stop()
