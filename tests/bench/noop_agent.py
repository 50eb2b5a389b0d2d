"""A batched agent against a stock Faust agent, both only decoding JSON, on the same topic of a real Kafka.

    PYTHONPATH=tests/support python tests/bench/noop_agent.py

Runs are interleaved; each figure is records a second from the first record seen to the last.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
from bench_result import quantiles, write
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.progress import track

from streams.broker import kafka

EVENT = (
    b'{"event_id":"e%09d","user_id":"u%06d","time_ms":1732278704123,"item_id":"i123456","category":"shoes > running",'
    b'"brand":"acme","price":79.9,"session_id":"s8273648273","platform":"web","dwell_ms":3200}'
)
N_STOCK, N_BATCHED = 60_000, 600_000


def agent(kind: str, servers: str, topic: str, n: int, datadir: str) -> None:
    """Runs in a process of its own: one agent that decodes ``n`` records and prints its rate."""
    import faust

    from streams.engine.transport import BatchTransport, RecordBatchSchema

    decode = msgspec.json.Decoder().decode
    app = faust.App(
        f"noop-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{servers}",
        store="memory://",
        datadir=datadir,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    source: Any
    if kind == "batched":
        app.transport = BatchTransport(
            app.conf.broker, app, batched_topics=frozenset([topic]), max_batch_records=5_000
        )
        source = app.topic(topic, schema=RecordBatchSchema())
    else:
        source = app.topic(
            topic, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw"
        )
    seen, started = 0, 0.0

    async def count(stream: Any) -> None:
        nonlocal seen, started
        async for value in stream:
            started = started or time.perf_counter()
            batches = value.batches if kind == "batched" else []
            values = [record.value for batch in batches for record in batch.records] or [value]
            for each in values:
                decode(each)
            seen += len(values)
            if seen >= n:
                os.write(3, f"{seen / (time.perf_counter() - started):.0f}".encode())
                os._exit(0)

    app.agent(source)(count)
    faust.Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()


def measure(kind: str, servers: str, topic: str, n: int) -> float:
    read, answer = os.pipe()
    with tempfile.TemporaryDirectory() as datadir:
        command = f"import os; os.dup2({answer}, 3); import noop_agent; noop_agent.agent"
        subprocess.run(
            [sys.executable, "-c", f"{command}({kind!r}, {servers!r}, {topic!r}, {n}, {datadir!r})"],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=(answer,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
    os.close(answer)
    with os.fdopen(read) as pipe:
        return float(pipe.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    n_runs = parser.parse_args().runs
    rates: dict[str, list[float]] = {"stock": [], "batched": []}
    with kafka() as broker:
        topic = "noop"
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(30)
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "compression.type": "lz4", "linger.ms": 20}
        )
        for i in range(N_BATCHED):
            producer.produce(topic, EVENT % (i, i % 50_000), b"u%06d" % (i % 50_000))
            if i % 10_000 == 0:
                producer.poll(0.05)
        producer.flush()
        for _ in track(range(n_runs), description="stock and batched, in turn"):
            rates["stock"].append(measure("stock", broker.bootstrap_servers, topic, N_STOCK))
            rates["batched"].append(measure("batched", broker.bootstrap_servers, topic, N_BATCHED))
    ratios = [b / s for s, b in zip(rates["stock"], rates["batched"], strict=True)]
    figures = {kind: quantiles(rate, "records_per_s") for kind, rate in rates.items()}
    write("noop_agent", figures | {"ratio": quantiles(ratios, "times")})


if __name__ == "__main__":
    main()
