"""One embedded broker, one worker and one API for the tests of this folder that need them."""

from collections.abc import Iterator

import pytest
from api_process import System
from chaos import WorkerProcess, wait_for

from streams import broker


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    quick = {"RILLET_PUBLISH__TRENDING_INTERVAL_S": "0.5", "RILLET_PUBLISH__RELATED_INTERVAL_S": "0.5"}
    with broker.embedded() as servers, WorkerProcess(servers, "rillet", "w", folder, quick).start() as worker:
        wait_for(worker.ready, "the worker", worker=worker)
        made = System(servers, worker, None, folder)  # type: ignore[arg-type]
        with made.another_api("api", RILLET_API__PING_S="0.5").start() as api:
            made.api = api
            wait_for(api.ready, "the API", worker=api)
            yield made
