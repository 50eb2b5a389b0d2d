"""Asks workers, one after the other, until the one answers whose user it is."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from schemas.explain import Explanation
from streams.errors import InputError
from streams.settings import WorkerSettings

TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 16 * 1024 * 1024

_NOT_FOUND: Final = 404


def default_url(worker: WorkerSettings) -> str:
    """Where the worker of these settings is asked from the same host."""
    if worker.web_port == 0:
        raise InputError(
            "The settings leave the worker's port open (worker.web_port = 0).",
            fix="Name it: --worker http://127.0.0.1:PORT, as the worker's log says (worker_started ... health=).",
        )
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(worker.web_host, worker.web_host)
    return f"http://{host}:{worker.web_port}"


def ask(workers: Sequence[str], user_id: str, item_id: str | None) -> Explanation | None:
    """The explanation of whichever worker has the user; None where that worker remembers nothing."""
    query = urlencode({"user": user_id} | ({} if item_id is None else {"item": item_id}))
    told = []
    for worker in map(_address, workers):
        status, body = _get(f"{worker}/explain?{query}")
        if status == 200:
            return _decoded(worker, body)
        if status == _NOT_FOUND and b'"error"' in body:
            return None
        told.append(f"{worker}: {_reason(status, body)}")
    raise InputError(
        "No worker could tell.\n  " + "\n  ".join(told),
        fix="Name all workers, as in --worker http://host-1:6066 --worker http://host-2:6066. Without one, explain "
        "from a log: --log events.jsonl.",
    )


def _address(worker: str) -> str:
    url = worker if "://" in worker else f"http://{worker}"
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise InputError(f"--worker {worker} is no address.", fix="Write it as http://127.0.0.1:6066.")
    return url.rstrip("/")


def _get(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 where nobody answered, and why as the body."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return int(answer.status), answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MAX_BYTES)
    except OSError as error:
        return 0, str(getattr(error, "reason", error)).encode()


def _reason(status: int, body: bytes) -> str:
    if status == 0:
        return f"does not answer ({body.decode(errors='replace')})"
    try:
        told: Any = json.loads(body)
        return str(told["error"])
    except (ValueError, KeyError, TypeError):
        return f"answers {status}: is it a worker of this release?"


def _decoded(worker: str, body: bytes) -> Explanation:
    try:
        return msgspec.json.decode(body, type=Explanation)
    except msgspec.MsgspecError as error:
        raise InputError(
            f"{worker} answers something else than an explanation: {error}.",
            fix="Use the release of the worker, and name the port of its health endpoint.",
        ) from error
