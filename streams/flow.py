"""Page one: how everything hangs together. Agents wire, ``models`` think.

::

    events.* ──► shopper: Fetched ──► Path.absorb ──┬─► table interest (+ changelog)
                                          │         ├─► knowledge.interactions ──► all KnowledgeBases
                                          │         ├─► Path.learn ──► knowledge.parameters ──► all scorers
                                          │         │             └──► metrics.model, audit.log
                                          │         ├─► events.dead-letter
                                          ▼         └─► table quality (+ changelog), metrics.quality, now and then
                                     Path.serve ──────► recommendations.user
    catalog.*  ──► follower ──► KnowledgeBase
    models.versions ──► follower ──► EmbeddingSwap ──► KnowledgeBase
    metrics.quality ──► follower ──► QualityMonitor ──► metrics.checks, alerts, audit.log; Path.sanctions
    metrics.value, audit.log ──► followers ──► ValueSelection ──► audit.log, alerts; Learning.try_without
    KnowledgeBase ──► publisher ──► recommendations.trending, recommendations.related

A fetch is acknowledged when all it caused is on the broker; only then may its offsets be committed.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence, Set
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from models.absorb import Absorbed
from models.ingest import IngestCatalog, trace
from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from models.interest.codec import is_older as state_is_older
from models.knowledge import facts as knowledge_facts
from models.learn.learning import Learned
from models.path import Path, Served
from models.quality.actions import Sanctions
from models.quality.codec import is_older as profiles_are_older
from models.rank.slate import Ranked
from schemas import headers, topics
from streams import metrics
from streams.acknowledge import Acknowledger
from streams.app import faust_app
from streams.audit import Audit
from streams.engine.guard import Sequence as OffsetSequence
from streams.engine.membership import Membership
from streams.engine.outbox import Outbox, Parcel
from streams.engine.state import StateTable
from streams.engine.transport import Fetched, RecordBatch, RecordBatchSchema
from streams.errors import RilletError, SettingsError
from streams.explain.answer import Answerer
from streams.follow import FollowedRecord, Follower
from streams.model_metrics import ModelMetrics
from streams.publish import Publisher, slate_record
from streams.quality import QualityBook
from streams.quality_contract import declared
from streams.quality_monitor import QualityMonitor
from streams.settings import Settings
from streams.tracing import tracing
from streams.value_metrics import ValueMetrics
from streams.value_selection import ValueSelection

if TYPE_CHECKING:
    from streams.embedding import EmbeddingSwap

log = logging.getLogger(__name__)

Crash = Callable[[BaseException], None]

COUNT_EVERY_S: Final = 0.25
"""How often the quality of what was taken is counted, and the fetches acknowledged with it."""

CLOSE_QUIET_S: Final = 1.0


class ExpelledError(RilletError):
    """The consumer group went on without this worker, which must not write any more."""


class Flow:
    """One worker: a Faust app, the pure path, and what carries their results."""

    def __init__(self, settings: Settings, crash: Crash) -> None:
        self.settings = settings
        self._crash = crash
        self.membership = Membership(settings.worker.session_timeout_s, self._on_expelled)
        self.app = faust_app(settings, self.membership)
        self.path = Path(settings.path())
        self.path.sanctions = Sanctions(settings.quality.actions)
        self._recipe = self.path.cleaner.label
        self.tracing = tracing(os.environ, settings.worker.app_id, settings.worker.id)
        self.outbox = Outbox(settings.kafka.client_conf())
        partitions = settings.topics.partitions
        self.interest = StateTable(
            self.app, "interest", partitions, is_older=state_is_older, on_failure=crash
        )
        quality_table = StateTable(
            self.app, "quality", partitions, is_older=profiles_are_older, on_failure=crash
        )
        self.quality = QualityBook(quality_table, settings.quality, self.outbox)
        self.acknowledger = Acknowledger([self.interest, quality_table], self.membership)
        self.monitor = self._monitor()
        self.selection = self._selection()
        self.embedding = self._embedding()
        self.followers = self._followers()
        self.publisher = Publisher(
            self.path.knowledge, self.outbox, settings.publish, settings.topics.partitions, self.owns
        )
        self.explain = Answerer(
            self.path, self.interest.load, settings.topics.partitions, self.owns, self.missing
        )
        self.model_metrics = self._model_metrics()
        self.value_metrics = self._value_metrics()
        self._audit = Audit(settings.worker.id)
        self._ingest_catalog = IngestCatalog(settings.ingest)
        self._sequence = OffsetSequence(self.app.transport.guard)
        self._started = asyncio.Event()
        self._draining = False
        self._hungry = False
        self._n_taken = 0
        self.app.transport.is_idle = lambda: self._hungry and self.acknowledger.is_idle
        source = self.app.topic(*topics.BEHAVIOUR, schema=RecordBatchSchema())
        self.app.agent(source, name="shopper")(self._shopper)
        self.app.task(self._start)

    async def _start(self) -> None:
        for follower in self.followers:
            follower.start()
        self._started.set()
        beside = [self.acknowledger.run, self.publisher.run, self._count_quality, self._tell_learned]
        if self.model_metrics:
            beside.append(self.model_metrics.run)
        if self.value_metrics:
            beside.append(self.value_metrics.run)
        if self.monitor:
            beside.append(self.monitor.run)
        if self.selection:
            beside.append(self.selection.run)
        self._tasks = [asyncio.create_task(self._supervised(work())) for work in beside]

    async def _shopper(self, stream: Any) -> None:
        await self._supervised(self._shop(stream))

    async def _shop(self, stream: Any) -> None:
        """Take batches as they come; one agent, so that batches of a partition stay in order."""
        await self._started.wait()
        await asyncio.gather(*(follower.caught_up for follower in self.followers))
        self._hungry = True
        async for event in stream.noack().events():
            self._hungry = False
            fetched: Fetched = event.value
            await self.membership.certain()
            fetched.batches[:] = [batch for batch in fetched.batches if self._follows(batch)]
            with self.tracing.fetch([batch.records for batch in fetched.batches]):
                parcel, served = self.take(fetched)
            await self.acknowledger.put(self._n_taken, event, parcel, served)
            self._hungry = True

    def _follows(self, batch: RecordBatch) -> bool:
        """Whether the batch may be taken; if not, the consumer goes back to what is missing before it."""
        tp = batch.tp
        if batch.epoch != self.app.transport.guard.epoch:
            return False
        if self._sequence.follows(tp, batch.epoch, batch.starts_at, batch.end):
            return True
        missing = self._sequence.expected(tp, batch.starts_at)
        log.warning("fetch_missing tp=%s expected=%d found=%d", tp, missing, batch.starts_at)
        self.app.consumer.fetch_again(tp, missing)
        return False

    def take(self, fetched: Fetched) -> tuple[Parcel, list[Served]]:
        """Run the path over one fetch."""
        lap, now_ms = metrics.Laps(), int(time.time() * 1000)
        parcel = self.outbox.parcel()
        batches = [batch.records for batch in fetched.batches]
        absorbed = self.path.absorb(batches, self.interest.load, now_ms, lap)
        for partition, states in absorbed.states.items():
            self.interest.store(partition, states, parcel)
        lap("store")
        learned = self._learn(absorbed, now_ms, parcel)
        lap("learn")
        if learned and self.value_metrics:
            self.value_metrics.add(learned)
            lap("value")
        watch = self.model_metrics.add_slates if self.model_metrics else _unwatched
        served = self.path.serve(absorbed.causes, now_ms, lap, watch)
        places = [(cause.topic, cause.partition, cause.offset) for cause in absorbed.causes]
        for each, traced in zip(served, trace.of_slates(batches, places), strict=True):
            parcel.add(*slate_record(each.slate, self._recipe, traced))
        lap("publish")
        self._report(absorbed, fetched.epoch, parcel)
        lap("report")
        if self.value_metrics:
            self.value_metrics.count(batches, absorbed)
            lap("value")
        parcel.seal()
        self._n_taken += 1
        return parcel, served

    def _learn(self, absorbed: Absorbed, now_ms: int, parcel: Parcel) -> Learned | None:
        learned = self.path.learn(self.path.join(absorbed))
        if learned and self.model_metrics:
            self.model_metrics.add(learned)
            self._audit.write(learned.happenings, now_ms, parcel)
        return learned

    def _report(self, absorbed: Absorbed, epoch: int, parcel: Parcel) -> None:
        if absorbed.facts.items:
            for key, value in knowledge_facts.records(absorbed.facts):
                parcel.add(topics.INTERACTIONS, key, value, headers.recipe(self._recipe))
        for batch in absorbed.quality:
            for rejected in batch.ingested.rejected:
                _bury(rejected, parcel)
            self.quality.add(batch, epoch)
        metrics.count(absorbed)

    def missing(self) -> list[str]:
        """What keeps this worker from being ready."""
        missing = ["going on: it was told to stop"] if self._draining else []
        if not self._assigned():
            missing.append("partitions assigned")
        if not self.app.tables.actives_ready:
            missing.append("tables recovered")
        if not self._started.is_set() or not all(f.caught_up.done() for f in self.followers):
            missing.append("catalogue and knowledge caught up")
        return missing

    def owns(self, topic: str, partition: int) -> bool:
        """Whether a source partition is assigned to this worker."""
        return any(tp.topic == topic and tp.partition == partition for tp in self._assigned())

    def _assigned(self) -> Set[TP]:
        """None before the consumer has started."""
        try:
            return self.app.consumer.assignment() if self.app.started else set()
        except ConsumerNotStarted:
            return set()

    def _model_metrics(self) -> ModelMetrics | None:
        if self.path.learning is None:
            return None
        settings = self.settings
        return ModelMetrics(
            self.path.learning,
            self.path.knowledge,
            self.outbox,
            settings.worker.id,
            settings.publish.slate_length,
        )

    def _value_metrics(self) -> ValueMetrics | None:
        settings, path = self.settings, self.path
        if path.learning is None or not settings.value.enabled:
            return None
        return ValueMetrics(
            settings.value, settings.rank, path.learning, path.knowledge, self.outbox, settings.worker.id
        )

    def _selection(self) -> ValueSelection | None:
        settings, learning = self.settings.value, self.path.learning
        if learning is None or not settings.enabled or settings.act == "off":
            return None
        return ValueSelection(settings, learning, self.outbox, self._tells, self.settings.worker.id)

    def _monitor(self) -> QualityMonitor | None:
        quality = self.settings.quality
        if not quality.monitor.enabled:
            return None
        return QualityMonitor(
            quality.monitor,
            declared(quality.contract),
            self.outbox,
            self._tells,
            self.path.sanctions,
        )

    def _tells(self) -> bool:
        return self.owns(topics.BROWSE, 0) and not self.missing()

    def _embedding(self) -> "EmbeddingSwap | None":
        if not self.settings.embed.enabled or self.path.knowledge.embedding is None:
            return None
        try:
            from streams.embedding import EmbeddingSwap
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"embed.enabled needs a package that is not installed: {error.name}.",
                fix="Install it, pip install 'rillet[embed]', or set embed.enabled to false.",
            ) from error
        return EmbeddingSwap(self.settings, self.path.knowledge, self._crash)

    def _followers(self) -> list[Follower]:
        consumer = self.settings.kafka.client_conf()
        of_embedding = (
            [Follower(consumer, [topics.VERSIONS], self.embedding.promoted.apply, self._crash)]
            if self.embedding
            else []
        )
        since_ms = int(time.time() * 1000 - self.settings.quality.monitor.history_days * topics.DAY_MS)
        judged = [topics.QUALITY, topics.CHECKS]
        of_quality = (
            [Follower(consumer, judged, self.monitor.apply, self._crash, since_ms=since_ms)]
            if self.monitor
            else []
        )
        of_value = (
            [
                Follower(consumer, [topics.VALUE], self.selection.apply, self._crash, since_ms=since_ms),
                Follower(consumer, [topics.AUDIT], self.selection.heard, self._crash),
            ]
            if self.selection
            else []
        )
        return [
            *of_embedding,
            *of_quality,
            *of_value,
            Follower(consumer, [topics.ITEMS], self._apply_catalogue, self._crash),
            Follower(consumer, [topics.PROMOTIONS], self._apply_catalogue, self._crash),
            Follower(consumer, [topics.INTERACTIONS], self._apply_facts, self._crash),
            Follower(consumer, [topics.PARAMETERS], self._apply_parameters, self._crash),
        ]

    def _apply_catalogue(self, records: Sequence[FollowedRecord]) -> None:
        ingested = self._ingest_catalog(records)
        changes = [(change.id, change.entry) for change in ingested.changes]
        take = self.path.promote if records[0].topic == topics.PROMOTIONS else self.path.describe
        metrics.count_cleaned(records[0].topic, take(changes))  # type: ignore[arg-type]
        mine = [each for each in ingested.rejected if self.owns(topics.BROWSE, each.record.partition)]
        if mine and not self.missing():
            parcel = self.outbox.parcel()
            for rejected in mine:
                _bury(rejected, parcel)
            parcel.seal()

    def _apply_facts(self, records: Sequence[FollowedRecord]) -> None:
        for record in records:
            if record.key is None or record.value is None:
                continue
            if self.path.knowledge.is_news(knowledge_facts.places(record.key)):
                self.path.knowledge.learn(knowledge_facts.decode(record.value))

    def _apply_parameters(self, records: Sequence[FollowedRecord]) -> None:
        for record in records:
            if self.path.learning and record.key is not None and record.value is not None:
                self.path.learning.heard(record.key, record.value)

    async def _tell_learned(self) -> None:
        """Tell the other workers, now and then, what the scorers learned from this one's partitions."""
        learning = self.path.learning
        while learning:
            await asyncio.sleep(self.settings.learn.publish_s)
            await self.membership.certain()
            learning.leads = self.owns(topics.BROWSE, 0)
            parcel = self.outbox.parcel()
            for key, value in learning.records():
                parcel.add(topics.PARAMETERS, key, value)
            parcel.seal()

    async def _count_quality(self) -> None:
        closed_at = 0.0
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            await self.membership.certain()
            guard = self.app.transport.guard
            if not self.acknowledger.is_idle:
                number, parcel = self._n_taken, self.outbox.parcel()
                self.quality.count(guard.epoch, parcel)
                parcel.seal()
                await self.acknowledger.put_counted(number, parcel)
            if self.app.tables.actives_ready and time.monotonic() - closed_at > CLOSE_QUIET_S:
                closed_at = time.monotonic()
                await self.quality.close_quiet(self.app.consumer.assignment(), guard.epoch)

    def refresh_gauges(self) -> None:
        """Bring the gauges that are read, not counted, up to date."""
        metrics.READY.set(not self.missing())
        metrics.RECOVERING.set(not self.app.tables.actives_ready)
        metrics.UNACKNOWLEDGED.set(self.acknowledger.n_open)
        metrics.OUTBOX.set(len(self.outbox))
        metrics.ITEMS.set(len(self.path.knowledge.vocabularies.items))
        metrics.BUILD.labels(version("rillet"), self.path.model).set(1)
        if self.embedding:
            metrics.EMBEDDING_REFUSED.set(self.embedding.refuses)
        if (embedding := self.path.knowledge.embedding) and embedding.version:
            metrics.EMBEDDING.clear()
            metrics.EMBEDDING.labels(embedding.version).set(1)
        if self.path.learning:
            metrics.MODEL_FOREIGN.set(self.path.learning.ledger.n_foreign)
        for source in self.path.knowledge.sources:
            metrics.SOURCE_BYTES.labels(source.name).set(source.size_bytes)
        if self._assigned():
            metrics.watch_offsets(self.app.consumer, topics.BEHAVIOUR)
        metrics.watch_room(self.settings.worker.state_dir, self.app.conf.tabledir)

    def drain(self) -> None:
        """The worker was told to stop: it is not ready any more."""
        self._draining = True

    def close(self) -> None:
        """Stop the followers and deliver what is still in the outbox."""
        for follower in self.followers:
            follower.stop()
        left = self.outbox.close()
        self.tracing.close()
        if left:
            log.warning("undelivered records=%d: their events are processed again at the next start", left)

    def _on_expelled(self) -> None:
        worker = self.settings.worker
        self._crash(
            ExpelledError(
                f"The group {worker.app_id} no longer counts on worker {worker.id}: it was silent for longer than "
                f"worker.session_timeout_s = {worker.session_timeout_s:g}, or another worker has its id.",
                fix="Start it again, it goes on from its last commit. If that repeats, give every worker a "
                "RILLET_WORKER_ID of its own, or raise the timeout.",
            )
        )

    async def _supervised(self, work: Any) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            log.critical("worker_failed", exc_info=error)
            self._crash(error)


def _unwatched(_: Ranked) -> None:
    """Nobody counts what is served."""


def _bury(rejected: Rejected, parcel: Parcel) -> None:
    letter = bury(rejected)
    parcel.add(letter.topic, letter.key, letter.value, letter.headers)
