"""Seconds for an inventory of 100 topics with 1,000 sampled records each, on a real Kafka:
``python tests/bench/inventory.py``.

Each topic has 4 partitions of 500 records like those of a shop, of which the newest 250 are sampled. Beside the whole,
its parts: asking and sampling, inference, the page and the exports; the processor time of one, and the most memory that
was held."""

import json
import os
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_result import write
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from models.inventory.asset import infer
from models.inventory.content import contents
from streams import broker
from streams.inventory import look, odcs
from streams.inventory.cluster import Cluster
from streams.inventory.open_lineage import lines
from streams.inventory.page import page
from streams.inventory.sample import samples
from streams.settings import KafkaSettings, Settings

N_TOPICS = 100
N_PARTITIONS = 4
N_RECORDS = 500
N_SAMPLED = 250
RUNS = 3


def event(rng: random.Random, n: int) -> dict[str, Any]:
    """A flat event with a list inside, about 300 bytes."""
    return {
        "event_id": f"{rng.getrandbits(64):016x}",
        "ts": 1_795_353_422_000 + n,
        "visitor_id": f"u{rng.randrange(5_000)}",
        "session": f"s{rng.randrange(20_000)}",
        "action": rng.choice(("view", "view", "view", "addtocart", "buy")),
        "product_id": f"p{rng.randrange(2_000)}",
        "price": round(rng.random() * 100, 2),
        "currency": "EUR",
        "email": f"u{n}@shop.example" if n % 10 == 0 else None,
        "lines": [{"sku": f"p{rng.randrange(2_000)}", "quantity": rng.randrange(1, 4)} for _ in range(2)],
    }


def fill(servers: str) -> None:
    """The topics, and what is in them."""
    names = [f"shop-{n:03}" for n in range(N_TOPICS)]
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(name, N_PARTITIONS, 1) for name in names]).values():
        future.result(60)
    rng = random.Random(7)
    values = [json.dumps(event(rng, n)).encode() for n in range(N_RECORDS)]
    producer = Producer({"bootstrap.servers": servers, "queue.buffering.max.messages": 1_000_000})
    for name in names:
        for partition in range(N_PARTITIONS):
            for n, value in enumerate(values):
                producer.produce(name, value, str(n), partition=partition)
        producer.flush()


def seconds(work: Any) -> tuple[float, Any]:
    """How long it takes, and what it gives."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def parts(settings: Settings) -> dict[str, float]:
    """Sampling and inference apart, without proposals."""
    cluster = Cluster(settings.kafka)
    partitions = {name: each.partitions for name, each in cluster.topics().items()}
    places = [(name, each) for name, some in partitions.items() for each in some]
    asked_s, (low, high) = seconds(lambda: (cluster.oldest(places), cluster.ends(places)))
    edges = {place: (low[place].offset, high[place].offset) for place in places}
    sampled_s, found = seconds(lambda: list(samples(settings.kafka, partitions, edges, N_SAMPLED, print)))

    def inferred() -> None:
        for _, records in found:
            looked_into = contents([each.value for each in records])
            infer(records, looked_into, len(records), None, timely_ms=30_000, future_ms=300_000)

    return {"offsets_s": asked_s, "sampling_s": sampled_s, "inference_s": seconds(inferred)[0]}


def main() -> None:
    """Measure, print and write."""
    with broker.kafka() as kafka, tempfile.TemporaryDirectory() as folder:
        settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
        fill(kafka.bootstrap_servers)
        began_cpu_s = time.process_time()
        whole = [seconds(lambda: look(settings, n_sampled=N_SAMPLED)) for _ in range(RUNS)]
        cpu_s = (time.process_time() - began_cpu_s) / RUNS
        found = whole[0][1]
        assert len(found.assets) == N_TOPICS
        assert {each.n_sampled for each in found.assets} == {N_PARTITIONS * N_SAMPLED}
        assert all(each.proposal for each in found.assets)
        figures = {
            "topics": N_TOPICS,
            "sampled_of_each": N_PARTITIONS * N_SAMPLED,
            "runs": RUNS,
            "median_s": round(statistics.median(each for each, _ in whole), 2),
            "best_s": round(min(each for each, _ in whole), 2),
            "worst_s": round(max(each for each, _ in whole), 2),
            "processor_s": round(cpu_s, 2),
            "load_1min": round(os.getloadavg()[0], 2),
            "parts": {name: round(value, 2) for name, value in parts(settings).items()},
            "page_s": round(seconds(lambda: page(found))[0], 2),
            "contracts_s": round(seconds(lambda: odcs.write(found, Path(folder)))[0], 2),
            "openlineage_s": round(seconds(lambda: list(lines(found)))[0], 2),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    write("inventory", figures)


if __name__ == "__main__":
    main()
