"""Asks the worker that owns a user's partition: by what was learned of who owns it, else one after the other."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from schemas.api import WorkerStanding
from streams.api.problems import AwayError, BadRequestError, NotFoundError, TooLargeError
from streams.partitioner import partition_of

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
RESOLVED_S: Final = 15
"""Seconds for which the addresses of a name are believed."""
_OTHERS: Final = 421
_NOT_READY: Final = 503


class Workers:
    """Their addresses, and which of them had which partition last."""

    def __init__(self, addresses: Sequence[str], partitions: int) -> None:
        self._addresses = [
            each.rstrip("/") if "://" in each else f"http://{each}".rstrip("/") for each in addresses
        ]
        self._partitions = partitions
        self._owners: dict[int, str] = {}
        self._resolved: list[str] = []
        self._look_again_s = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Be ready to ask."""
        connector = aiohttp.TCPConnector(limit=64, ttl_dns_cache=RESOLVED_S)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False
        )

    async def stop(self) -> None:
        """Let go of the connections."""
        if self._session:
            await self._session.close()

    async def get(self, path: str, user: str, **query: str) -> bytes:
        """The answer of the worker that owns the user, to a question about them."""
        return await self._ask("GET", path, user, params={"user": user, **query})

    async def post(self, path: str, user: str, body: Any) -> bytes:
        """Likewise, asked with a body."""
        return await self._ask(
            "POST", path, user, data=msgspec.json.encode(body), headers={"Content-Type": "application/json"}
        )

    async def standing(self) -> list[WorkerStanding]:
        """Every worker as it answers now."""
        return list(await asyncio.gather(*(self._stands(each) for each in await self._known())))

    async def texts(self, path: str) -> dict[str, str]:
        """What every worker answers there, by its address; nothing of one that does not."""
        known = await self._known()
        answers = await asyncio.gather(*(self._request("GET", f"{each}{path}") for each in known))
        return {
            address: body.decode(errors="replace") if status == 200 else ""
            for address, (status, body) in zip(known, answers, strict=True)
        }

    async def _ask(self, method: str, path: str, user: str, **how: Any) -> bytes:
        partition = partition_of(user.encode(), self._partitions)
        known = await self._known()
        first = self._owners.get(partition)
        told = []
        for address in sorted(known, key=lambda each: each != first):
            status, body = await self._request(method, f"{address}{path}", **how)
            if status == 200:
                self._owners[partition] = address
                return body
            if status not in (0, _OTHERS, _NOT_READY):
                raise _refused(status, body)
            told.append(f"{address}: {_reason(status, body)}")
        raise AwayError(
            "No worker could tell. " + "; ".join(told),
            fix="Start the workers, and name them all in api.workers (RILLET_API__WORKERS).",
            retry_s=2,
        )

    async def _request(self, method: str, url: str, **how: Any) -> tuple[int, bytes]:
        assert self._session is not None, "it was started"
        try:
            async with self._session.request(method, url, allow_redirects=False, **how) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, (str(error) or type(error).__name__).encode()

    async def _stands(self, address: str) -> WorkerStanding:
        status, body = await self._request("GET", f"{address}/readyz")
        try:
            missing = msgspec.json.decode(body, type=dict[str, Any])["missing"] if status else [body.decode()]
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
            missing = [f"answers {status}"]
        return WorkerStanding(address=address, ready=status == 200, missing=missing)

    async def _known(self) -> list[str]:
        """Addresses, those of a name that stands for several each; looked up anew now and then."""
        if time.monotonic() >= self._look_again_s:
            found = [each for address in self._addresses for each in await _resolved(address)]
            self._resolved = list(dict.fromkeys(found))
            self._look_again_s = time.monotonic() + RESOLVED_S
        return self._resolved


async def _resolved(address: str) -> list[str]:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "https":
        return [address]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    except OSError:
        return [address]
    hosts = dict.fromkeys(f"[{each[4][0]}]" if ":" in str(each[4][0]) else str(each[4][0]) for each in found)
    return [f"http://{each}:{port}" for each in hosts] if len(hosts) > 1 else [address]


def _refused(status: int, body: bytes) -> Exception:
    """What the worker says is wrong with the question."""
    if status == 413:
        return TooLargeError("A worker takes questions of up to 1 MiB.", fix="Ask about less.")
    try:
        told = msgspec.json.decode(body, type=dict[str, str])
        error, fix = told["error"], told["fix"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        return AwayError(f"A worker answers {status}.", fix="Use one release for all.", retry_s=5)
    if status == 404:
        return NotFoundError(error, fix=fix)
    return BadRequestError(error, fix=fix) if status < 500 else AwayError(error, fix=fix, retry_s=2)


def _reason(status: int, body: bytes) -> str:
    if status == 0:
        return f"does not answer ({body.decode(errors='replace')})"
    try:
        return msgspec.json.decode(body, type=dict[str, str])["error"]
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        return f"answers {status}"
