"""The live page with a shop behind it: what its tests and its bench start and look at."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api_process import System
from chaos import WorkerProcess, wait_for

from streams import broker

PAGE = Path(__file__).parents[2] / "streams" / "page"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]
QUICK = {
    "RILLET_QUALITY__WINDOW_S": "2",
    "RILLET_QUALITY__ALLOWED_LATENESS_S": "1",
    "RILLET_QUALITY__QUIET_S": "1",
    "RILLET_PUBLISH__TRENDING_INTERVAL_S": "0.5",
    "RILLET_PUBLISH__RELATED_INTERVAL_S": "0.5",
    "OMP_NUM_THREADS": "1",
}
SHOP = ("--rate", "8", "--shoppers", "40", "--items", "200", "--faults", "0.1", "--day", "60")


@contextmanager
def running_shop(folder: Path, *options: str) -> Iterator[System]:
    """A broker, a worker, an API, and a simulated shop in full swing: events, slates, reports, dead letters."""
    with broker.embedded() as servers, WorkerProcess(servers, "rillet", "w", folder, QUICK).start() as worker:
        wait_for(worker.ready, "the worker", worker=worker)
        made = System(servers, worker, None, folder)  # type: ignore[arg-type]
        with made.another_api("api", RILLET_API__PORT=str(free_port())).start() as api:
            made.api = api
            with simulated(servers, folder, *(options or SHOP)):
                wait_for(api.ready, "the API", worker=api)
                wait_for(
                    lambda: api.get("/v1/reports/model?limit=1").json["items"], "the shop", worker=worker
                )
                yield made


@contextmanager
def simulated(servers: str, folder: Path, *options: str) -> Iterator[None]:
    """``rillet simulate`` until the tests are done."""
    code = "from streams.cli import main; main()"
    environment = {**os.environ, "RILLET_BOOTSTRAP_SERVERS": servers}
    with (folder / "shop.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "simulate", *options], env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
