"""The figures of the ranking on their way out: what a window publishes, the gauges, and the log of decisions."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from prometheus_client import REGISTRY

from models.evaluate.of_path import LoggedRecord
from models.ingest.settings import IngestSettings
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.learn.figures import MEANINGS
from models.learn.learning import Happening, Learned, Learning
from models.learn.settings import LearnSettings
from models.path import EXAMPLE_MS, Path
from models.path_settings import PathSettings
from models.rank.settings import RankSettings
from models.rank.slate import Ranked
from models.retrieve.settings import CovisitationSettings, RetrieveSettings, SessionKnnSettings
from schemas import topics
from schemas.audit import AuditEntry
from schemas.events import AnyEvent, Browse, Dismiss, Impression
from schemas.metrics import ModelReport
from streams.audit import REPEAT_MS, Audit
from streams.engine.outbox import Outbox as KafkaOutbox
from streams.model_metrics import GAUGES, GAUGES_OF_CHAMPION, ModelMetrics

SMALL = PathSettings(
    ingest=IngestSettings(),
    interest=InterestSettings(),
    knowledge=KnowledgeSettings(max_items=64),
    retrieve=RetrieveSettings(
        session_knn=SessionKnnSettings(n_blocks=256, n_sessions=64),
        covisitation=CovisitationSettings(n_sessions=64),
    ),
    learn=LearnSettings(max_pending=64, report_s=0.05),
    rank=RankSettings(),
    slate_length=10,
    n_candidates=50,
)


class Parcel:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.added: list[tuple[str, bytes, bytes]] = []
        self.delivered: Any = None

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        self.added.append((topic, key, value))

    def seal(self) -> None:
        self.delivered.set_result(None)


class Outbox:
    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def parcel(self) -> Parcel:
        self.parcels.append(Parcel())
        self.parcels[-1].delivered = asyncio.get_running_loop().create_future()
        return self.parcels[-1]


class Worker:
    """A path, taken as the flow takes it, and its metrics."""

    def __init__(self, outbox: Any = None) -> None:
        self.path = Path(SMALL)
        self.outbox = Outbox() if outbox is None else outbox
        assert self.path.learning is not None
        self.learning: Learning = self.path.learning
        self.metrics = ModelMetrics(self.learning, self.path.knowledge, self.outbox, "w1", 10)
        self.learned: Learned | None = None
        self._states: dict[bytes, bytes] = {}
        self._n = 0

    def take(self, event: AnyEvent) -> list[str]:
        """The items of the slate that the event causes."""
        self._n += 1
        record = LoggedRecord(
            topics.of_event(event),
            0,
            self._n,
            event.time_ms,
            event.user_id.encode(),
            msgspec.json.encode(event),
        )
        absorbed = self.path.absorb([[record]], lambda _, keys: [*map(self._states.get, keys)], event.time_ms)
        self._states.update(absorbed.states[0])
        self.learned = self.path.learn(self.path.join(absorbed))
        self.metrics.add(self.learned)
        served = self.path.serve(absorbed.causes, event.time_ms)
        return [item.item_id for each in served for item in each.slate.items]

    def view(self, user: str, item: str) -> list[str]:
        return self.take(Browse(item_id=item, **self.head(user)))

    def show(self, user: str, items: list[str]) -> None:
        self.take(Impression(item_ids=items, **self.head(user)))

    def head(self, user: str) -> dict[str, Any]:
        return {"event_id": f"e{self._n}", "user_id": user, "time_ms": EXAMPLE_MS + 1_000 * self._n}

    def publish(self) -> dict[str, ModelReport]:
        n_before = len(self.outbox.parcels)
        asyncio.run(self.metrics.publish())
        added = [each for parcel in self.outbox.parcels[n_before:] for each in parcel.added]
        assert {topic for topic, _, _ in added} <= {topics.MODEL}
        reports = {key.decode(): msgspec.json.decode(value, type=ModelReport) for _, key, value in added}
        assert all(key == report.model for key, report in reports.items())
        return reports


@pytest.fixture
def worker() -> Worker:
    """Six shoppers have viewed a to e, and nothing of that is in the window."""
    worker = Worker()
    for n in range(6):
        for item in "abcde":
            worker.view(f"regular{n}", item)
    worker.publish()
    return worker


def slates(*rows: Iterable[int], n_sources: int = 1) -> Ranked:
    items = np.array([[*row] for row in rows], np.int32)
    shares = np.ones((*items.shape, n_sources), np.float32)
    return Ranked(
        items,
        np.zeros(items.shape, np.float32),
        shares,
        np.zeros(shares.shape, np.int32),
        np.ones(items.shape, np.float32),
        np.zeros(items.shape, np.bool_),
    )


def figures(report: ModelReport) -> dict[tuple[str, int | None], float]:
    return {(each.metric, each.k): each.value for each in report.measurements if each.segment is None}


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestReports:
    def test_a_window_tells_how_each_scorer_judged_what_came_next(self, worker: Worker) -> None:
        slate = worker.view("new", "a")
        worker.view("new", slate[1])  # the second place of the slate
        reports = worker.publish()
        assert set(reports) == {"listwise", "ftrl", "fixed"}
        ours = figures(reports["listwise"])
        assert (ours["outcomes", None], ours["hit_rate", 5], ours["mrr", 5]) == (1, 1.0, 0.5)
        assert {"log_loss", "auc"} <= {metric for metric, _ in figures(reports["ftrl"])}
        assert reports["listwise"].worker == "w1"

    def test_the_window_is_told_in_event_time(self, worker: Worker) -> None:
        began = worker.head("x")["time_ms"]
        worker.view("new", worker.view("new", "a")[0])
        report = worker.publish()["listwise"]
        assert began <= report.window_start_ms < report.window_end_ms
        assert report.window_end_ms <= worker.head("x")["time_ms"] + 1

    def test_versions_are_those_of_the_learners(self, worker: Worker) -> None:
        worker.view("new", worker.view("new", "a")[0])
        reports = worker.publish()
        assert reports["listwise"].model_version == worker.path.model_version
        assert reports["ftrl"].model_version.startswith("ftrl-v")
        assert reports["ftrl"].model_version.endswith(f"+{worker.learning.ledger.n_learned('ftrl')}")

    def test_an_empty_window_publishes_nothing(self, worker: Worker) -> None:
        assert worker.publish() == {}
        assert worker.publish() == {}

    def test_a_window_is_published_once(self, worker: Worker) -> None:
        worker.view("new", worker.view("new", "a")[0])
        assert worker.publish()
        assert worker.publish() == {}

    def test_slates_are_looked_up_in_what_is_known(self, worker: Worker) -> None:
        n_sources = len(worker.learning.scorer.sources)
        worker.metrics.add_slates(slates([0, 1], [0, 2], n_sources=n_sources))
        told = figures(worker.publish()["listwise"])
        # Three of the five items; each of the five has a fifth of all interactions, all at about the same time.
        assert (told["slates", None], told["coverage", None]) == (2, 0.6)
        assert told["novelty", None] == pytest.approx(np.log2(5), abs=0.01)

    def test_no_user_or_item_is_named(self, worker: Worker) -> None:
        worker.view("new-shopper", worker.view("new-shopper", "a")[0])
        worker.view("new-shopper", "unheard-of-item")
        text = b"".join(msgspec.json.encode(each) for each in worker.publish().values())
        assert b"shopper" not in text
        assert b"unheard" not in text


class TestGauges:
    def test_they_show_the_last_window(self, worker: Worker) -> None:
        worker.view("new", worker.view("new", "a")[1])
        ours = figures(worker.publish()["listwise"])
        assert sample("rillet_model_mrr_ratio", model="listwise", k="5") == 0.5
        assert sample("rillet_model_hit_rate_ratio", model="listwise", k="10") == 1.0
        assert sample("rillet_model_log_loss_nats", model="listwise") == ours["log_loss", None]
        assert sample("rillet_model_kept_ndcg_ratio", model="ftrl", k="5") > 0.0

    def test_what_serves_no_more_is_dropped_from_those_of_slates(self, worker: Worker) -> None:
        worker.view("new", worker.view("new", "a")[0])
        worker.publish()
        worker.learning.promote("ftrl")
        worker.view("other", worker.view("other", "a")[0])
        worker.publish()
        name = "rillet_model_hit_rate_ratio"
        assert REGISTRY.get_sample_value(name, {"model": "listwise", "k": "5"}) is None
        assert REGISTRY.get_sample_value(name, {"model": "ftrl", "k": "5"}) == 1.0
        assert sample("rillet_model_log_loss_nats", model="listwise") > 0.0

    def test_every_gauge_is_of_a_metric_that_is_told(self, worker: Worker) -> None:
        worker.path.knowledge.attributes.category[:2] = 0, 1
        slate = worker.view("new", "a")
        worker.show("new", slate)
        worker.view("new", slate[0])
        worker.metrics.add_slates(slates([0, 1], n_sources=len(worker.learning.scorer.sources)))
        told = {metric for metric, _ in figures(worker.publish()["listwise"])}
        # There is no ratio when the best candidate was never right.
        assert set(GAUGES | GAUGES_OF_CHAMPION) - {"calibration_ratio"} <= told

    def test_every_figure_has_its_meaning(self, worker: Worker) -> None:
        slate = worker.view("new", "a")
        worker.show("new", slate)
        worker.view("new", slate[0])
        worker.take(Dismiss(item_id=slate[1], **worker.head("new")))
        worker.metrics.add_slates(slates([0, 1], n_sources=len(worker.learning.scorer.sources)))
        told = {each.metric for each in worker.publish()["listwise"].measurements}
        assert told | {"calibration_ratio", "diversity"} == set(MEANINGS)

    def test_outcomes_are_counted_by_kind(self, worker: Worker) -> None:
        kinds = ("view", "impression", "dismiss")
        before = {kind: sample("rillet_outcomes_total", kind=kind) for kind in kinds}
        slate = worker.view("new", "a")
        worker.show("new", slate)
        worker.view("new", slate[0])
        worker.take(Dismiss(item_id=slate[1], **worker.head("new")))
        worker.publish()
        after = {kind: sample("rillet_outcomes_total", kind=kind) for kind in kinds}
        assert {kind: after[kind] - before[kind] for kind in after} == dict.fromkeys(kinds, 1)

    def test_happenings_are_counted_and_told(self, worker: Worker) -> None:
        labels = {"kind": "reset", "model": "ftrl"}
        before = sample("rillet_model_happenings_total", **labels)
        worker.view("new", worker.view("new", "a")[0])
        assert worker.learned is not None
        worker.metrics.add(worker.learned._replace(happenings=[Happening("reset", "ftrl", "drift")]))
        assert sample("rillet_model_happenings_total", **labels) == before + 1
        (told,) = worker.publish()["ftrl"].happenings
        assert (told.kind, told.detail) == ("reset", "drift")


class TestAudit:
    def entries(self, parcel: Parcel) -> list[AuditEntry]:
        assert {topic for topic, _, _ in parcel.added} <= {topics.AUDIT}
        return [msgspec.json.decode(value, type=AuditEntry) for _, _, value in parcel.added]

    def test_decisions_are_written_and_nothing_else(self) -> None:
        parcel: Any = Parcel()
        kinds = ("drift", "promotion", "reset", "rollback")
        Audit("worker 1").write([Happening(kind, "ftrl", "why") for kind in kinds], 7, parcel)
        entries = self.entries(parcel)
        assert [entry.action for entry in entries] == ["promotion", "reset", "rollback"]
        entry = entries[0]
        assert (entry.time_ms, entry.actor, entry.subject, entry.detail) == (7, "worker 1", "ftrl", "why")
        assert parcel.added[0][1] == b"ftrl"

    def test_one_that_repeats_is_written_now_and_then_with_how_often(self) -> None:
        parcel: Any = Parcel()
        audit = Audit("worker 1")
        again = [Happening("rollback", "ftrl", "why")]
        for now_ms in (0, 10, 20, REPEAT_MS, REPEAT_MS + 1, 2 * REPEAT_MS):
            audit.write(again, now_ms, parcel)
        assert [entry.detail for entry in self.entries(parcel)] == [
            "why",
            "why; 2 more since the last entry",
            "why; 1 more since the last entry",
        ]

    def test_others_do_not_wait_for_it(self) -> None:
        parcel: Any = Parcel()
        happenings = [Happening("rollback", "ftrl", "x"), Happening("rollback", "listwise", "y")]
        Audit("worker 1").write(happenings, 0, parcel)
        assert [entry.subject for entry in self.entries(parcel)] == ["ftrl", "listwise"]


def test_the_timer_publishes_on_the_broker(embedded: str) -> None:
    def read() -> dict[bytes, ModelReport]:
        consumer = Consumer({"bootstrap.servers": embedded, "group.id": "g"})
        consumer.assign([TopicPartition(topics.MODEL, p, OFFSET_BEGINNING) for p in range(4)])
        messages = consumer.consume(3, 30.0)
        consumer.close()
        return {each.key(): msgspec.json.decode(each.value(), type=ModelReport) for each in messages}

    async def main() -> dict[bytes, ModelReport]:
        outbox = KafkaOutbox({"bootstrap.servers": embedded})
        worker = Worker(outbox)
        for item in "abc":
            worker.view("one", item)
        worker.view("two", worker.view("two", "a")[0])
        running = asyncio.create_task(worker.metrics.run())
        try:
            return await asyncio.to_thread(read)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            outbox.close()

    found = asyncio.run(main())
    assert found.keys() == {b"listwise", b"ftrl", b"fixed"}
    assert found[b"listwise"].n_events > 0
