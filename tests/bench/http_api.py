"""The HTTP API beside a worker on real Kafka: slates read, events posted, how soon one shows in the other, streams.

    PYTHONPATH=tests/support python tests/bench/http_api.py --seconds 30

Everything shares the machine: broker, worker, API and the clients, which are one process. In the open loop requests are
due at fixed times whether or not others are answered, and latency counts from when a request was due.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import deque
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
import uvloop
from api_process import System
from bench_result import quantiles, write
from chaos import WorkerProcess, shop_events, wait_for
from confluent_kafka import Producer

from schemas import topics
from schemas.events import Browse
from streams.broker import kafka
from streams.settings import KafkaSettings

N_USERS = 5_000
CONNECTIONS = 16
POOL = 128
READ_TIMEOUT_S = 30.0


class Client(asyncio.Protocol):
    """One kept connection, one request at a time; answers are told by their length."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._answer is None:
            return
        start = self._buffer.find(b"Content-Length: ", 0, head)
        size = int(self._buffer[start + 16 : self._buffer.find(b"\r", start)]) if start >= 0 else 0
        if len(self._buffer) >= head + 4 + size:
            status, body = int(self._buffer[9:12]), bytes(self._buffer[head + 4 : head + 4 + size])
            del self._buffer[: head + 4 + size]
            self._answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


class Bench:
    """Clients of one API."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "", parts.port or 0
        self._numbers = count()

    async def client(self) -> Client:
        _, client = await asyncio.get_running_loop().create_connection(Client, self.host, self.port)
        return client

    def get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def slate(self) -> bytes:
        return self.get(f"/v1/users/u{next(self._numbers) * 7919 % N_USERS}/slate")

    def event(self, user: str | None = None) -> tuple[str, bytes]:
        n = next(self._numbers)
        event_id = f"http-{time.time_ns()}-{n}"
        body = json.dumps(
            {
                "event_id": event_id,
                "user_id": user or f"u{n * 7919 % N_USERS}",
                "time_ms": time.time_ns() // 1_000_000,
                "item_id": f"i{n % 500}",
            }
        )
        head = "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return event_id, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    async def closed(self, request: Callable[[], bytes], seconds: float, status: int) -> dict[str, Any]:
        """``CONNECTIONS`` clients that ask again as soon as they are answered."""
        took: list[float] = []
        ends_s = time.perf_counter() + seconds

        async def ask() -> None:
            client = await self.client()
            while (began_s := time.perf_counter()) < ends_s:
                answered, body = await client.ask(request())
                assert answered == status, (answered, body)
                took.append((time.perf_counter() - began_s) * 1000)
            client.close()

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
        return {"per_s": round(len(took) / seconds, 1), "connections": CONNECTIONS} | quantiles(took, "ms")

    async def opened(self, rate: float, seconds: float) -> dict[str, Any]:
        """Slates asked for at a fixed rate, whatever becomes of them."""
        idle = deque([await self.client() for _ in range(POOL)])
        took: list[float] = []
        under_way: set[asyncio.Task[None]] = set()

        async def ask(due_s: float) -> None:
            client = idle.popleft() if idle else await self.client()
            status, _ = await client.ask(self.slate())
            assert status == 200, status
            took.append((time.perf_counter() - due_s) * 1000)
            idle.append(client)

        began_s = time.perf_counter()
        for n in range(int(rate * seconds)):
            due_s = began_s + n / rate
            if (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(ask(due_s))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        lasted_s = time.perf_counter() - began_s
        for client in idle:
            client.close()
        return {"asked_per_s": rate, "answered_per_s": round(len(took) / lasted_s, 1)} | quantiles(took, "ms")

    async def freshness(self, n: int) -> dict[str, Any]:
        """From an event posted to the first GET whose slate was caused by it, one after the other."""
        client, took = await self.client(), []
        for each in range(n):
            user = f"u{each * 31 % N_USERS}"
            event_id, request = self.event(user)
            began_s = time.perf_counter()
            status, body = await client.ask(request)
            assert status == 202, body
            while True:
                _, body = await client.ask(self.get(f"/v1/users/{user}/slate"))
                if json.loads(body)["event_id"] == event_id:
                    break
                await asyncio.sleep(0.001)
            took.append((time.perf_counter() - began_s) * 1000)
        client.close()
        return quantiles(took, "ms")

    async def idle_streams(self, n: int, api: psutil.Process, rate: float, seconds: float) -> dict[str, Any]:
        """Memory of ``n`` open streams of slates, how soon a changed slate comes on one, and slates beside them."""
        before = api.memory_info().rss
        streams = [await self._stream(f"u{user}") for user in range(n)]
        after = api.memory_info().rss
        cpu_s = sum(api.cpu_times()[:2])
        await asyncio.sleep(seconds)
        idle_cpu = (sum(api.cpu_times()[:2]) - cpu_s) / seconds
        client, took = await self.client(), []
        for user in range(0, n, max(1, n // 50)):
            event_id, request = self.event(f"u{user}")
            began_s = time.perf_counter()
            status, body = await client.ask(request)
            assert status == 202, body
            await self._until(streams[user][0], event_id)
            took.append((time.perf_counter() - began_s) * 1000)
        beside = await self.opened(rate, seconds)
        for _, writer in streams:
            writer.close()
        return {
            "n": n,
            "bytes_each": round((after - before) / n),
            "cpu_share_idle": round(idle_cpu, 4),
            "posted_to_received": quantiles(took, "ms"),
            "slates_beside": beside,
        }

    async def _stream(self, user: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        writer.write(self.get(f"/v1/users/{user}/slate/stream"))
        await self._until(reader, "")
        return reader, writer

    async def _until(self, reader: asyncio.StreamReader, event_id: str) -> None:
        """Read to the slate that an event caused."""
        async with asyncio.timeout(READ_TIMEOUT_S):
            while True:
                line = await reader.readline()
                if line.startswith(b"data: ") and event_id in json.loads(line[6:])["event_id"]:
                    return


def fill(servers: str) -> None:
    """Give every user a slate, and the worker something to know."""
    producer = Producer(dict(KafkaSettings(bootstrap_servers=servers).producer()))
    start_ms = time.time_ns() // 1_000_000 - 60_000
    looks = (
        (
            topics.BROWSE,
            Browse(event_id=f"l{n}", user_id=f"u{n}", time_ms=start_ms + n, item_id=f"i{n % 500}"),
        )
        for n in range(N_USERS)
    )
    for topic, event in chain(shop_events(4 * N_USERS, N_USERS, 5, start_ms), looks):
        key = event.user_id.encode()
        producer.produce(topic, msgspec.json.encode(event), key, timestamp=event.time_ms)
        producer.poll(0)
    assert producer.flush(60) == 0


async def measure(system: System, seconds: float, n_streams: int) -> dict[str, Any]:
    """All parts, one after the other."""
    address = system.api.health()
    assert address is not None
    assert system.api.process is not None
    bench, process = Bench(address), psutil.Process(system.api.process.pid)
    await bench.closed(bench.slate, min(3.0, seconds), 200)  # warm
    figures: dict[str, Any] = {"slates_closed_loop": await bench.closed(bench.slate, seconds, 200)}
    figures["slates_at_1000_per_s"] = await bench.opened(1_000.0, seconds)
    figures["events_posted_closed_loop"] = await bench.closed(lambda: bench.event()[1], seconds, 202)
    await asyncio.to_thread(settle, system)
    figures["posted_to_visible"] = await bench.freshness(300)
    figures["idle_streams"] = await bench.idle_streams(n_streams, process, 1_000.0, min(10.0, seconds))
    figures["memory_mib"] = round(process.memory_info().rss / 2**20, 1)
    return figures


def settle(system: System) -> None:
    """Wait until the worker has taken all that was posted."""
    wait_for(lambda: lag(system) == 0, "the worker to catch up", timeout_s=300)


def lag(system: System) -> float:
    """Records that the worker has yet to take; one when it is too busy to tell."""
    try:
        told = system.worker.metrics()
    except OSError:
        return 1.0
    return sum(value for name, value in told.items() if name.startswith("rillet_lag_records"))


def main() -> None:
    """Start it all, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rillet-http-") as name, kafka() as started:
        folder, servers = Path(name), started.bootstrap_servers
        with WorkerProcess(servers, "rillet", "w", folder).start() as worker:
            wait_for(worker.ready, "the worker", worker=worker)
            system = System(servers, worker, None, folder)  # type: ignore[arg-type]
            rates = {"RILLET_API__RATE_PER_S": "1e9", "RILLET_API__BURST": "1000000000"}
            with system.another_api("api", **rates).start() as api:
                system.api = api
                wait_for(api.ready, "the API", worker=api)
                fill(servers)
                settle(system)
                wait_for(
                    lambda: (
                        api.metrics().get('rillet_api_records_total{topic="recommendations.user"}', 0)
                        >= N_USERS
                    ),
                    "slates in the read model",
                )
                write("http_api", uvloop.run(measure(system, options.seconds, options.streams)))


if __name__ == "__main__":
    main()
