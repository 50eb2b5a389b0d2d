"""The TypeScript client, built as its users build it, against a running shop."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_process import Api, System
from chaos import wait_for
from live_page import free_port, running_shop
from node import node_modules

from streams.api.live import CHANNELS, EVENTS

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "streams" / "client" / "typescript"
HERE = Path(__file__).parent
READ, ALL = "0123456789abcdef-read", "0123456789abcdef-all"
TOKENS = {"RILLET_API__TOKENS": f"read:{READ} read+ingest:{ALL}"}


def run(*command: str, folder: Path = CLIENT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what `npm run build` makes."""
    node_modules(CLIENT)
    to = tmp_path_factory.mktemp("sdk")
    made = run("npm", "run", "--silent", "build", "--", "--outDir", str(to / "dist"))
    assert made.returncode == 0, made.stdout + made.stderr
    (to / "package.json").write_text((CLIENT / "package.json").read_text())
    (to / "node_modules").symlink_to(CLIENT / "node_modules")
    return to


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(system: System) -> Iterator[Api]:
    """An API that wants tokens, always under one address."""
    with system.another_api("guarded", RILLET_API__PORT=str(free_port()), **TOKENS).start() as api:
        wait_for(api.ready, "the guarded API", worker=api)
        yield api


def environment(built: Path, api: Api) -> dict[str, str]:
    return {"BUILT": str(built / "dist"), "URL": str(api.health()), "TOKEN": ALL, "READ_TOKEN": READ}


def test_the_sources_and_the_examples_of_the_documents_are_typed(built: Path) -> None:
    checked = run("npm", "run", "--silent", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    examples = re.findall(r"```ts\n(.*?)```", (ROOT / "docs" / "typescript.md").read_text(), re.DOTALL)
    assert len(examples) >= 4
    for n, example in enumerate(examples):
        (built / f"example{n}.ts").write_text(example)
    options = json.loads((CLIENT / "tsconfig.json").read_text())
    del options["compilerOptions"]["rootDir"], options["compilerOptions"]["outDir"]
    options["include"] = ["example*.ts"]
    (built / "tsconfig.json").write_text(json.dumps(options))
    typed = run(str(CLIENT / "node_modules/.bin/tsc"), "--noEmit", folder=built)
    assert typed.returncode == 0, typed.stdout


def test_it_asks_sends_and_follows(built: Path, guarded: Api) -> None:
    tested = run("node", "--test", str(HERE / "sdk.test.mjs"), **environment(built, guarded))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_stream_goes_on_when_the_api_is_killed_and_comes_back(
    built: Path, system: System, guarded: Api
) -> None:
    before = system.send("restless", item_id="i00001")["events"][0]
    wait_for(lambda: system.slate("restless"), "the first slate")
    command = ["node", str(HERE / "follows.mjs"), "restless"]
    of_both = {**os.environ, **environment(built, guarded)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=of_both) as following:
        try:
            assert following.stdout is not None
            assert following.stdout.readline().strip() == slate_id(before)
            guarded.kill()
            after = system.send("restless", item_id="i00002")["events"][0]
            guarded.start()
            assert following.stdout.readline().strip() == slate_id(after)
        finally:
            following.kill()


def slate_id(event: dict[str, object]) -> str:
    return f"{event['topic']}-{event['partition']}-{event['offset']}"


def test_every_channel_has_its_type() -> None:
    source = (CLIENT / "src" / "rillet.ts").read_text()
    declared = re.search(r"export interface Channels \{\n(.*?)\n\}", source, re.DOTALL)
    assert declared is not None
    names = {line.split(":")[0].strip().strip('"') for line in declared[1].splitlines()}
    assert names == {*CHANNELS, EVENTS}


def test_the_lock_file_names_no_host() -> None:
    assert "resolved" not in (CLIENT / "package-lock.json").read_text()
