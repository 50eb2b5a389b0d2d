"""One broker, worker, simulated shop and API for all tests of the page, and one Chromium.

Without Chromium or Node they are skipped, except under ``CI=true``, where they fail.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_process import System
from chaos import WorkerProcess, wait_for
from live_page import CHROMIUM, FLAGS, PAGE, free_port, running_shop
from needed import needed
from node import node_modules
from playwright.sync_api import Browser, sync_playwright

from streams import broker


@pytest.fixture(scope="session", name="node_modules")
def installed() -> Path:
    """What package-lock.json names, installed."""
    return node_modules(PAGE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        needed("Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an API on a broker with nothing on it, and no worker."""
    folder = tmp_path_factory.mktemp("empty")
    nobody = WorkerProcess("", "rillet", "nobody", folder)
    nobody.log_path.write_text(f"worker_started health=http://127.0.0.1:{free_port()}\n")
    with broker.embedded() as servers:
        made = System(servers, nobody, None, folder)  # type: ignore[arg-type]
        with made.another_api("api").start() as api:
            wait_for(api.ready, "the API", worker=api)
            yield str(api.health())
