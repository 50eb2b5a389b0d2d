"""Runs what ``docker-compose.yml`` runs, without containers: the same commands, environment and health checks.

What containers would keep apart is mapped: names of hosts to this machine, ports to free ones, folders below
``/var/lib`` to one of the test's.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "rillet" and "profiles" not in each}
LISTENING = {"worker": ("RILLET_WORKER__WEB_PORT", 6066), "trainer": ("RILLET_TRAINER__WEB_PORT", 6067)}
LISTENING["api"] = ("RILLET_API__PORT", 8080)
"""By command: the setting of its port, and the port in its container."""
NOT_MAPPED = {"PATH", "NUMBA_CACHE_DIR"}
"""Of the image: what is compiled already on this machine is used here."""


class Compose:
    """Processes by the names of their services."""

    def __init__(self, bootstrap_servers: str, folder: Path, extra: dict[str, str]) -> None:
        self._servers = bootstrap_servers
        self._folder = folder
        self._extra = extra
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = [name for name, each in OURS.items() if each["command"][0] in LISTENING]
        with ExitStack() as held:
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
            self.ports = {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}

    def start(self, name: str) -> None:
        """As its container would be started."""
        with self.log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-c", "from streams.cli import main; main()", *OURS[name]["command"]],
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def run(self, name: str) -> int:
        """Start, and wait for the end."""
        self.start(name)
        return self._processes[name].wait(timeout=120)

    def ready(self, name: str) -> bool:
        """Whether it says so itself."""
        assert self._processes[name].poll() is None, self.log(name).read_text()[-4000:]
        try:
            return urllib.request.urlopen(f"{self.address(name)}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        kind, command, *arguments = OURS[name]["healthcheck"]["test"]
        assert (kind, command) == ("CMD", "python")
        mapped = [self.mapped(each, name) for each in arguments]
        return subprocess.run([sys.executable, *mapped], capture_output=True, timeout=20).returncode == 0

    def stop(self, *names: str) -> dict[str, int]:
        """As ``docker compose stop``: exit codes by name."""
        for name in names:
            self._processes[name].send_signal(signal.SIGTERM)
        grace_s = {name: int(OURS[name]["stop_grace_period"].removesuffix("s")) for name in names}
        return {name: self._processes[name].wait(timeout=grace_s[name]) for name in names}

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def log(self, name: str) -> Path:
        """What it wrote."""
        return self._folder / f"{name}.log"

    def address(self, name: str) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def environment(self, name: str) -> dict[str, str]:
        """The image's and the service's, over this machine's."""
        given = _of_image() | {key: str(each) for key, each in OURS[name]["environment"].items()}
        mapped = {key: self.mapped(each, name) for key, each in given.items() if key not in NOT_MAPPED}
        if name in self.ports:
            mapped[LISTENING[OURS[name]["command"][0]][0]] = str(self.ports[name])
        outer = {key: each for key, each in os.environ.items() if not key.startswith("RILLET_")}
        return outer | mapped | self._extra

    def mapped(self, text: str, name: str = "") -> str:
        """``text`` as it is right on this machine, and for one service."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("kafka:19092", self._servers)
        for other, port in self.ports.items():
            inner = LISTENING[OURS[other]["command"][0]][1]
            text = text.replace(f"{other}:{inner}", f"127.0.0.1:{port}")
            if other == name:
                text = text.replace(f"127.0.0.1:{inner}", f"127.0.0.1:{port}")
        return text.replace("/var/lib/", f"{self._folder}/")


def _of_image() -> dict[str, str]:
    """What the Dockerfile's last stages set."""
    _, _, runtime = (ROOT / "deploy" / "Dockerfile").read_text().partition(" AS runtime\n")
    (lines,) = re.findall(r"^ENV ((?:.+\\\n)*.+)$", runtime, re.MULTILINE)
    return dict(each.split("=", 1) for each in lines.replace("\\\n", " ").split())


@contextmanager
def compose(bootstrap_servers: str, folder: Path, extra: dict[str, str]) -> Iterator[Compose]:
    """Nothing started yet; what is started in it is ended."""
    there = Compose(bootstrap_servers, folder, extra)
    try:
        yield there
    finally:
        there.end()
