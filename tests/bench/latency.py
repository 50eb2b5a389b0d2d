"""From an event produced to its slate readable by a subscriber, at a steady rate, on real Kafka.

    PYTHONPATH=tests/support python tests/bench/latency.py --seconds 60

The clock is one process's: it runs from just before ``produce`` to the moment the subscriber has the slate.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from bench_result import quantiles, write
from chaos import WorkerProcess, wait_for
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from models.simulate.settings import SimulateSettings
from models.simulate.shop import Shop
from schemas import headers, topics
from streams.broker import kafka

WARM_UP_S = 30.0
"""Left out: the virtual machine of a broker just started is still compiling."""
TICK_S = 0.002


class EventId(msgspec.Struct):
    """All that is read of a sent event."""

    event_id: str = ""


class Subscriber(threading.Thread):
    """Notes when each slate could be read, by the id of the event that caused it."""

    def __init__(self, servers: str) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "latency", "fetch.wait.max.ms": 10}
        )
        partitions = self._consumer.list_topics(topics.SLATES, timeout=10).topics[topics.SLATES].partitions
        self._consumer.assign([TopicPartition(topics.SLATES, p, OFFSET_END) for p in partitions])
        self.read_at: dict[str, float] = {}
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and not message.error():
                now = time.perf_counter()
                self.read_at[dict(message.headers())[headers.EVENT_ID].decode()] = now
        self._consumer.close()


def measure(servers: str, rate: float, seconds: float) -> dict[str, Any]:
    """Send ``rate`` events a second for ``seconds`` after the warm-up."""
    settings = SimulateSettings(n_shoppers=20_000, events_per_s=rate, rhythm=0.0)
    shop = Shop(settings, np.random.default_rng(3), int(time.time() * 1000))
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "acks": "all", "linger.ms": 0}
    )
    for entry in shop.catalogue():
        topic, key = (
            (topics.ITEMS, entry.item_id)
            if hasattr(entry, "item_id")
            else (topics.PROMOTIONS, entry.promotion_id)
        )
        producer.produce(topic, msgspec.json.encode(entry), key.encode())
    producer.flush()
    subscriber = Subscriber(servers)
    subscriber.start()
    decode = msgspec.json.Decoder(EventId).decode
    sent_at: dict[str, float] = {}
    started = time.perf_counter()
    while (at := time.perf_counter() - started) < seconds + WARM_UP_S:
        batch = shop.advance(at, int(time.time() * 1000))
        for topic, key, value, time_ms in zip(
            batch.topics, batch.keys, batch.values, batch.time_ms, strict=True
        ):
            if topic in topics.BEHAVIOUR and value is not None and at > WARM_UP_S:
                sent_at[decode(value).event_id] = time.perf_counter()
            producer.produce(topic, value, key, timestamp=time_ms)
        producer.poll(0)
        time.sleep(TICK_S)
    producer.flush()
    wait_for(
        lambda: len(subscriber.read_at) and time.perf_counter() - max(subscriber.read_at.values()) > 1.0,
        "quiet",
    )
    subscriber.stopping.set()
    subscriber.join()
    latencies_ms = [
        (subscriber.read_at[e] - at) * 1000 for e, at in sent_at.items() if e in subscriber.read_at
    ]
    return {
        "events": len(sent_at),
        "events_per_s": round(len(sent_at) / seconds),
        "latency": quantiles(latencies_ms, "ms"),
        "slates_coalesced_or_not_due": len(sent_at) - len(latencies_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rate", type=float, default=540.0, help="records a second, some of them catalogue changes"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    with kafka() as broker, tempfile.TemporaryDirectory() as folder:
        worker = WorkerProcess(broker.bootstrap_servers, "latency", "w1", Path(folder)).start()
        wait_for(worker.ready, "the worker is ready", worker=worker)
        figures = measure(broker.bootstrap_servers, arguments.rate, arguments.seconds)
        stages = worker.metrics()
        figures["records_a_fetch"] = round(
            stages["rillet_batch_records_sum"] / stages["rillet_batch_records_count"], 2
        )
        worker.stop()
    write("latency", figures)


if __name__ == "__main__":
    main()
