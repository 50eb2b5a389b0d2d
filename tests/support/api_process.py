"""``rillet api`` as a real process, and how tests and benches ask it."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chaos import WorkerProcess, wait_for


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api(WorkerProcess):
    """A ``rillet api``."""

    command: str = "api"

    def health(self) -> str | None:
        lines = [line for line in self.log_path.read_text().splitlines() if "api_started" in line]
        return lines[-1].rpartition("http=")[2] if lines else None

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        return self.ask(
            "POST", path, json.dumps(value).encode(), {"Content-Type": "application/json", **headers}
        )

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        request = urllib.request.Request(f"{self.health()}{path}", data=body, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())


@dataclass
class System:
    """A broker, a worker, an API."""

    servers: str
    worker: WorkerProcess
    api: Api
    folder: Path
    n_events: int = field(default=0)

    def event(self, user: str, **fields: Any) -> dict[str, Any]:
        self.n_events += 1
        head = {"event_id": f"e{self.n_events}", "user_id": user, "time_ms": time.time_ns() // 1_000_000}
        return head | fields

    def send(self, user: str, **fields: Any) -> dict[str, Any]:
        """Post an event; the answer of the API."""
        answer = self.api.post("/v1/events", self.event(user, **fields))
        assert answer.status == 202, answer.body
        return answer.json

    def slate(self, user: str) -> Any:
        """The slate of a user who has one."""
        return wait_for(
            lambda: (found := self.api.get(f"/v1/users/{user}/slate").json)["cold_start"] is False and found,
            f"a slate of {user}",
        )

    def another_api(self, name: str, **extra: str) -> Api:
        return Api(
            self.servers,
            "rillet",
            name,
            self.folder,
            {
                "RILLET_API__PORT": "0",
                "RILLET_API__DATADIR": str(self.folder / name),
                "RILLET_API__WORKERS": json.dumps([self.worker.health()]),
                **extra,
            },
        )
