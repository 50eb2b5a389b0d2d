"""Workers as real processes under a real broker, and an oracle that knows what must come out of them."""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from models.interest.codec import decode, is_older
from models.interest.evidence import touches
from models.interest.fold import fold
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.knowledge import facts
from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.settings import RetrieveSettings
from schemas import topics
from schemas.events import AnyEvent, Browse, Click, Line, Purchase, Search
from schemas.outputs import Slate

Place = tuple[str, int, int]


EVENTS_PER_S = 4_000
"""Pace of the scenarios, so that the kills fall into running work."""


def wait_for(
    condition: Callable[[], Any], what: str, timeout_s: float = 90.0, worker: "WorkerProcess | None" = None
) -> Any:
    """Poll until ``condition`` is true; the value is returned. The worker's log goes into the failure."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s for: {what}\n{worker.tail() if worker else ''}")
        time.sleep(0.05)
    return value


def _die_with_parent() -> None:
    """Linux only: a worker must not outlive a test that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@dataclass
class WorkerProcess:
    """One ``rillet worker``, or another command, with its own folder; its log is kept for the failure message."""

    bootstrap_servers: str
    app_id: str
    worker_id: str
    datadir: Path
    extra: dict[str, str] = field(default_factory=dict)
    command: str = "worker"
    process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        return self.datadir / f"{self.worker_id}.log"

    def start(self) -> "WorkerProcess":
        environment = {
            **os.environ,
            "RILLET_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "RILLET_APP_ID": self.app_id,
            "RILLET_WORKER_ID": self.worker_id,
            "RILLET_DATADIR": str(self.datadir),
            "RILLET_WORKER__WEB_PORT": "0",
            "RILLET_WORKER__SESSION_TIMEOUT_S": "6",
            "RILLET_WORKER__HEARTBEAT_INTERVAL_S": "1",
            **self.extra,
        }
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from streams.cli import main; main()", *self.command.split()],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=60)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def health(self) -> str | None:
        """Base address of the health endpoint of the current run."""
        lines = [line for line in self.log_path.read_text().splitlines() if "worker_started" in line]
        return lines[-1].rpartition("health=")[2] if lines else None

    def ready(self) -> bool:
        if not self.running:
            raise AssertionError(f"worker {self.worker_id} ended\n{self.tail()}")
        address = self.health()
        try:
            return bool(address) and urllib.request.urlopen(f"{address}/readyz", timeout=2).status == 200
        except OSError:
            return False

    def metrics(self) -> dict[str, float]:
        body = urllib.request.urlopen(f"{self.health()}/metrics", timeout=5).read().decode()
        samples = (line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


def shop_events(n: int, n_users: int, seed: int, start_ms: int) -> Iterator[tuple[str, AnyEvent]]:
    """Browse, search, purchase and click events of ``n_users``, one millisecond apart."""
    rng = random.Random(seed)
    for i in range(n):
        user, item = f"u{rng.randrange(n_users)}", f"i{int(rng.paretovariate(1.2)) % 500}"
        head: dict[str, Any] = {"event_id": f"e{seed}-{i}", "user_id": user, "time_ms": start_ms + i}
        draw = rng.random()
        if draw < 0.7:
            yield topics.BROWSE, Browse(**head, item_id=item, category=f"c{len(item)}", price=float(i % 90))
        elif draw < 0.85:
            yield topics.SEARCH, Search(**head, query=f"red {item}")
        elif draw < 0.93:
            yield topics.PURCHASE, Purchase(**head, lines=[Line(item_id=item, price=9.5)])
        else:
            yield topics.FEEDBACK, Click(**head, item_id=item)


class Oracle:
    """Remembers where each event went, and folds them itself to know what every state must be."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._groups: dict[str, Consumer] = {}
        self.sent: dict[Place, AnyEvent] = {}
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 5,
            }
        )

    def send(self, topic: str, event: AnyEvent) -> None:
        def on_delivery(error: Any, message: Message) -> None:
            assert error is None, error
            self.sent[topic, message.partition(), message.offset()] = event

        self._producer.produce(
            topic,
            msgspec.json.encode(event),
            event.user_id.encode(),
            timestamp=event.time_ms,
            on_delivery=on_delivery,
        )
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    def settled(self, app_id: str) -> bool:
        """Whether the group has committed everything that was sent."""
        ends: Counter[tuple[str, int]] = Counter()
        for topic, partition, offset in self.sent:
            ends[topic, partition] = max(ends[topic, partition], offset + 1)
        try:
            committed = self._group(app_id).committed([TopicPartition(*tp) for tp in ends], timeout=10)
        except KafkaException:  # the coordinator moves or loads when a broker has just started
            return False
        return all(p.offset >= ends[p.topic, p.partition] for p in committed)

    def _group(self, app_id: str) -> Consumer:
        """Reads the commits of a group without joining it."""
        if app_id not in self._groups:
            self._groups[app_id] = Consumer({"bootstrap.servers": self._servers, "group.id": app_id})
        return self._groups[app_id]

    def expected_states(self) -> dict[str, State]:
        by_user: dict[str, list[tuple[str, int, int, AnyEvent]]] = defaultdict(list)
        for (topic, partition, offset), event in sorted(self.sent.items(), key=lambda sent: sent[1].time_ms):
            by_user[event.user_id].append((topic, partition, offset, event))
        states = {}
        for user, arrivals in by_user.items():
            states[user] = State()
            fold(states[user], arrivals, InterestSettings())
        return states

    def check(self, app_id: str) -> "Findings":
        """Compare what the workers left in their topics with what was sent."""
        lost, drifted = self._check_states(app_id)
        missing, strange, repeated = self._check_slates()
        return Findings(lost, drifted, missing, strange, self._check_knowledge(), repeated)

    def _check_states(self, app_id: str) -> tuple[int, int]:
        values: dict[str, bytes] = {}
        for message in read_all(self._servers, f"{app_id}-interest-changelog"):
            key, value = message.key().decode(), message.value()
            if value is not None and not (key in values and is_older(value, values[key])):
                values[key] = value  # as recovery does
        stored = {key: decode(value) for key, value in values.items()}
        expected = self.expected_states()
        lost = sum(
            max(0, state.n_events - stored[u].n_events) if u in stored else state.n_events
            for u, state in expected.items()
        )
        drift = sum(
            1 for u, state in expected.items() if u in stored and fingerprint(stored[u]) != fingerprint(state)
        )
        return lost, drift

    def _check_slates(self) -> tuple[int, int, int]:
        ids: Counter[str] = Counter()
        strange = 0
        for message in read_all(self._servers, topics.SLATES):
            slate = msgspec.json.decode(message.value(), type=Slate)
            topic, partition, offset = slate.slate_id.rsplit("-", 2)
            event = self.sent.get((topic, int(partition), int(offset)))
            if event is None:
                continue
            ids[slate.slate_id] += 1
            strange += event.event_id != slate.event_id or event.user_id != slate.user_id
        last: dict[tuple[str, str, int], int] = {}
        for (topic, partition, offset), event in self.sent.items():
            where = (event.user_id, topic, partition)
            last[where] = max(last.get(where, -1), offset)
        due: dict[str, set[str]] = defaultdict(set)
        for (user, topic, partition), offset in last.items():
            due[user].add(f"{topic}-{partition}-{offset}")
        missing = sum(ids.keys().isdisjoint(due_ids) for due_ids in due.values())
        return missing, strange, sum(n - 1 for n in ids.values())

    def _check_knowledge(self) -> int:
        """By how many interactions a fresh reader of the shared knowledge differs from what was sent."""
        knowledge = KnowledgeBase(KnowledgeSettings(max_items=1_000), RetrieveSettings())
        for message in read_all(self._servers, topics.INTERACTIONS):
            knowledge.learn(facts.decode(message.value()))
        sent = sum(len(touches(event, InterestSettings())) for event in self.sent.values())
        return abs(knowledge.n_interactions - sent)


@dataclass(frozen=True)
class Findings:
    """All but ``repeated_slates``, which repeat an id with the same content, must be 0."""

    lost_events: int
    """Events missing from the states."""
    drifted_states: int
    """Users whose state is not what folding their events gives."""
    missing_slates: int
    """Users whose last events, the last of each topic, no slate answers: one slate serves all of one fetch."""
    strange_slates: int
    """Slates whose id names another event than the one that caused them."""
    miscounted_interactions: int
    """Interactions that the shared knowledge has too many or too few."""
    repeated_slates: int

    @property
    def sound(self) -> bool:
        return not any(n for name, n in asdict(self).items() if name != "repeated_slates")


def fingerprint(state: State) -> Any:
    """All of a state that must not depend on how its events arrived."""
    return (
        state.n_events,
        state.latest_ms,
        state.recents.items,
        bytes(state.recents.rows),
        sorted(state.categories.keys),
        sorted(state.terms.keys),
        state.bought,
        [search.text for search in state.searches],
    )


def read_all(bootstrap_servers: str, topic: str) -> list[Message]:
    """Every record of a topic, each partition in order."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "reader", "enable.auto.commit": False}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in partitions}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, high) in ends.items() if high > low])
        waiting = {p for p, (low, high) in ends.items() if high > low}
        messages: list[Message] = []
        while waiting:
            for message in consumer.consume(10_000, 1.0):
                assert message.error() is None, message.error()
                messages.append(message)
                if message.offset() + 1 >= ends[message.partition()][1]:
                    waiting.discard(message.partition())
        return messages
    finally:
        consumer.close()


@dataclass(frozen=True)
class Run:
    """One crash scenario: what was found, and how long the workers took to settle after the last event."""

    findings: Findings
    settle_s: float
    n_events: int
    guard_fired: int


def kill_three_times(servers: str, datadir: Path, n: int, seed: int, wipe: bool = False) -> Run:
    """One worker, killed three times in mid-stream and started again; ``wipe`` deletes its state folder."""
    app_id = f"kill-{seed}"
    oracle = Oracle(servers)
    rng = random.Random(seed)
    kills = sorted(rng.sample(range(n // 10, n * 9 // 10), 3))
    with WorkerProcess(servers, app_id, "w1", datadir) as worker:
        worker.start()
        wait_for(worker.ready, "the worker is ready", worker=worker)
        for i in _sending(oracle, n, seed):
            if i in kills:
                oracle.flush()
                wait_for(worker.ready, "the worker is ready", worker=worker)
                time.sleep(rng.uniform(0.05, 0.5))
                worker.kill()
                if wipe:
                    shutil.rmtree(datadir / "w1", ignore_errors=True)  # a worker killed at once has none
                worker.start()
        return _settle(oracle, app_id, worker, n)


def join_and_kill(servers: str, datadir: Path, n: int, seed: int) -> Run:
    """A second worker joins under load, then the first is killed and does not come back."""
    app_id = f"join-{seed}"
    oracle = Oracle(servers)
    with (
        WorkerProcess(servers, app_id, "w1", datadir) as first,
        WorkerProcess(servers, app_id, "w2", datadir) as second,
    ):
        first.start()
        wait_for(first.ready, "the first worker is ready", worker=first)
        for i in _sending(oracle, n, seed):
            if i == n // 4:
                second.start()
            if i == n // 4 * 3:
                oracle.flush()
                wait_for(second.ready, "the second worker is ready", worker=second)
                first.kill()
        return _settle(oracle, app_id, second, n)


def _sending(oracle: Oracle, n: int, seed: int) -> Iterator[int]:
    """Send ``n`` events at a steady pace, telling the number of each before it is sent."""
    for i, (topic, event) in enumerate(shop_events(n, 500, seed, int(time.time() * 1000) - n)):
        yield i
        oracle.send(topic, event)
        if i % 50 == 0:
            time.sleep(50 / EVENTS_PER_S)


def _settle(oracle: Oracle, app_id: str, worker: WorkerProcess, n: int) -> Run:
    oracle.flush()
    since = time.monotonic()
    wait_for(lambda: oracle.settled(app_id), "all events are committed", worker=worker)
    settle_s = time.monotonic() - since
    guard = worker.log_path.read_text().count("offset_guard")
    assert worker.stop() == 0, worker.tail()
    return Run(oracle.check(app_id), settle_s, n, guard)
