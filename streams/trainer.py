"""The trainer: one process that learns the embedding model from the shared knowledge, and tells workers of it.

::

    catalog.*  ──────────────► KnowledgeBase ──► Learner ──► snapshot ──► store
    knowledge.interactions ──►      │                            └──► models.versions: announced, promoted
                                    └──► Jury (users that are not learned) ──────────────► promoted or not

It reads what the workers have folded and counted once, in its own pace: nothing it does holds an event back. A
snapshot holds the trainer's state and the offsets of the topic up to which it has learned: a trainer that starts again
goes on from there. What it does not hold are the latest examples and the pasts of the users, which come again with the
stream.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from models.clean.cleaner import Cleaner
from models.embed.compress import compressed
from models.embed.crew import Crew
from models.embed.gate import Decision, GateSettings, should_promote, should_roll_back
from models.embed.inference import Inference
from models.embed.jury import Jury, gain
from models.embed.learner import Learner
from models.embed.portable import abroad, at_home, state_abroad, state_at_home
from models.ingest import IngestCatalog
from models.knowledge import facts as knowledge_facts
from models.knowledge.base import KnowledgeBase
from models.learn.contest import Sums
from models.rank.features import VERSION
from models.retrieve.contract import I32, Interactions
from models.retrieve.settings import RetrieveSettings
from schemas import topics
from schemas.snapshots import EMBEDDING, About, Announced, Manifest, NextOffset, Promoted
from streams import trainer_metrics as metrics
from streams.engine.outbox import Outbox
from streams.follow import FollowedRecord, Follower
from streams.settings import Settings
from streams.snapshots.decide import audit_entry
from streams.snapshots.errors import SnapshotError, StoreUnreachableError
from streams.snapshots.store import Part, SnapshotStore
from streams.snapshots.versions import VersionRecord, Versions
from streams.titles import Encoder, Entry, TitleEncoding

log = logging.getLogger(__name__)

ACTOR: Final = "rillet trainer"
LEARNED_TO: Final = "learned_to"
MAX_BATCH: Final = 50
"""Records applied at a time: each holds the interactions of a fetch, and the loop is to turn in between."""


class Apprentice:
    """The source's pupil: learns all but what the jury keeps, and serves nothing here."""

    def __init__(self, learner: Learner, jury: Jury) -> None:
        self._learner, self._jury = learner, jury

    def update(self, batch: Interactions) -> None:
        """Learn."""
        self._learner.observe(self._jury.apart(batch))

    def fit(self) -> None:
        """Nothing: the stream goes on."""

    def describe(self, item: int, terms: I32) -> None:
        """These words describe the item."""
        self._learner.describe(item, terms)

    def give(self, item: int, vector: Sequence[float] | None) -> None:
        """An encoder says this of the item."""
        self._learner.give(item, vector)

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""
        self._learner.forget(items)
        self._jury.forget(items)


class Trainer:
    """``on_failure`` is told of what ends it."""

    def __init__(
        self,
        settings: Settings,
        on_failure: Callable[[BaseException], None],
        device: str | None = None,
        crew: Crew | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self._settings, self._on_failure = settings, on_failure
        self.knowledge = KnowledgeBase(settings.knowledge, _embedding_alone(settings.retrieve))
        n_items = settings.knowledge.max_items
        self.learner = Learner(
            settings.embed, n_items, self.knowledge.attributes, settings.interest, device, crew
        )
        self._jury = Jury(settings.embed, n_items, settings.interest)
        assert self.knowledge.embedding is not None
        self.knowledge.embedding.pupil = Apprentice(self.learner, self._jury)
        self.store = SnapshotStore(settings.snapshots)
        self.versions = Versions(EMBEDDING)
        self._ingest_catalog = IngestCatalog(settings.ingest)
        self._cleaner = Cleaner(settings.path().clean, self.knowledge)
        self._titles = TitleEncoding(encoder, self._describe, n_items) if encoder else None
        self._encoding: asyncio.Task[None] | None = None
        self._n_unfit_told = 0
        self._next: dict[tuple[str, int], int] = {}
        """By topic and partition, the offset of the first record not learned."""
        self._serving: tuple[str, Inference] | None = None
        self._before: tuple[str, Inference] | None = None
        """What serves, and what this trainer had promoted before it."""
        self._parent: str | None = None
        self._told_at = 0
        self._is_ready = False
        self._followers: list[Follower] = []

    async def run(self) -> None:
        """Learn and tell for ever."""
        outbox = Outbox(self._settings.kafka.client_conf())
        try:
            await self._start()
            while True:
                await asyncio.sleep(self._settings.embed.snapshot_s)
                if self.learner.n_examples > self._told_at:
                    await self._tell_or_wait(outbox)
        finally:
            if self._encoding:
                self._encoding.cancel()
            for follower in self._followers:
                await asyncio.to_thread(follower.stop)
            outbox.close()

    def missing(self) -> list[str]:
        """What keeps this trainer from learning."""
        return [] if self._is_ready else ["versions and catalogue read"]

    def refresh_gauges(self) -> None:
        """Bring the gauges that are read, not counted, up to date."""
        metrics.READY.set(self._is_ready)
        metrics.EXAMPLES.set(self.learner.n_examples)
        metrics.KEPT.set(self.learner.n_kept)
        metrics.HELD.set(self.learner.size_bytes)
        metrics.LOSS.set(self.learner.loss)
        metrics.place(self._next.copy())

    async def _start(self) -> None:
        await self._follow([topics.VERSIONS], self._hear_versions).caught_up
        await self._resume()
        await self._follow([topics.ITEMS], self._apply_catalogue).caught_up
        if self._titles:
            self._encoding = asyncio.create_task(self._titles.run())
            self._encoding.add_done_callback(self._ended)
            await self._titles.done()
        self._follow([topics.INTERACTIONS], self._learn, self._next)
        self._is_ready = True
        log.info("trainer_started examples=%d from=%s", self.learner.n_examples, self._parent)

    def _follow(
        self,
        names: Sequence[str],
        apply: Callable[[Sequence[FollowedRecord]], None],
        starts: dict[tuple[str, int], int] | None = None,
    ) -> Follower:
        follower = Follower(
            self._settings.kafka.client_conf(),
            names,
            apply,
            self._on_failure,
            starts=dict(starts or {}),
            max_batch=MAX_BATCH,
        )
        self._followers.append(follower)
        follower.start()
        return follower

    async def _resume(self) -> None:
        """Go on from the newest snapshot that can be read and is of these settings."""
        for announced in self.versions.newest_first():
            try:
                manifest = await asyncio.to_thread(self.store.manifest, announced.version)
                part = await asyncio.to_thread(self.store.read_trainer, announced.version)
            except SnapshotError as error:
                log.warning("snapshot_passed_over version=%s: %s", announced.version, error)
                continue
            if part and manifest.settings == self._model_settings() and manifest.features == VERSION:
                self._go_on(manifest, part)
                return
            log.warning("snapshot_of_other_settings version=%s", manifest.version)

    def _go_on(self, manifest: Manifest, part: Part) -> None:
        names = {name: list(words) for name, words in part.names.items()}
        for place in names.pop(LEARNED_TO):
            topic, partition, offset = place.split(" ")
            self.knowledge.learned_to[topic, int(partition)] = int(offset)
        self.learner.load(state_at_home(dict(part.arrays), names, self.knowledge.vocabularies))
        self._next = {(each.topic, each.partition): each.offset for each in manifest.offsets}
        self._parent, self._told_at = manifest.version, self.learner.n_examples

    def _hear_versions(self, records: Sequence[FollowedRecord]) -> None:
        for record in records:
            self.versions.hear(record.key, record.value)

    def _apply_catalogue(self, records: Sequence[FollowedRecord]) -> None:
        changes = self._ingest_catalog(records).changes
        told: list[Entry] = [(change.id, change.entry) for change in changes]  # type: ignore[misc]
        entries, _ = self._cleaner.entries(topics.ITEMS, told)
        self._describe(self._titles.filled(entries) if self._titles else entries)

    def _describe(self, entries: list[Entry]) -> None:
        self.knowledge.describe(entries)
        given = self.learner.given
        if given.n_unfit > 2 * self._n_unfit_told:
            self._n_unfit_told = given.n_unfit
            log.warning(
                "vectors_unfit n=%d given_dim=%d length=%d: set embed.given_dim to the length of the vectors in %s, "
                "or give vectors of given_dim numbers, not all 0",
                given.n_unfit,
                self._settings.embed.given_dim,
                given.unfit_length,
                topics.ITEMS,
            )

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._on_failure(error)

    def _learn(self, records: Sequence[FollowedRecord]) -> None:
        for record in records:
            if record.value is not None:
                self.knowledge.learn(knowledge_facts.decode(record.value))
            self._next[record.topic, record.partition] = record.offset + 1

    async def _tell_or_wait(self, outbox: Outbox) -> None:
        """A store that is away costs versions, no learning: what it misses is in the next one."""
        try:
            await self.tell(outbox)
        except StoreUnreachableError as error:
            metrics.SNAPSHOTS.labels("delayed").inc()
            log.error("snapshot_delayed retry_s=%g: %s", self._settings.embed.snapshot_s, error)

    async def tell(self, outbox: Outbox) -> Manifest:
        """Write a snapshot of now, announce it, and promote it unless it is surely worse than what serves.

        Each is on the broker before the next begins; while that is away, learning goes on and this waits.
        """
        n_examples = self.learner.n_examples
        candidate, model, trainer, about = self._snapshot()
        gains = await self._gains(candidate)
        if gains is not None:
            gained = {"gain_mrr": gains.total / max(gains.n, 1.0), "n_judged": gains.n}
            about = msgspec.structs.replace(about, metrics={**about.metrics, **gained})
            metrics.GAIN.set(gained["gain_mrr"])
            metrics.JUDGED.set(gains.n)
        manifest = await asyncio.to_thread(self.store.write, model, about, trainer)
        self._parent = manifest.version
        await self._announce(outbox, await asyncio.to_thread(self.store.announcement, manifest.version))
        self._told_at = n_examples
        metrics.SNAPSHOT_TIME.set_to_current_time()
        await self._decide(outbox, manifest.version, candidate, should_promote(gains, GateSettings()))
        await self._prune(outbox)
        return manifest

    async def _decide(self, outbox: Outbox, version: str, candidate: Inference, decision: Decision) -> None:
        """Let the new version serve, or what serves go on, or what served before come back."""
        if self.versions.is_pinned:
            metrics.SNAPSHOTS.labels("waits").inc()
            log.info("snapshot_waits version=%s: another one is pinned", version)
        elif decision.yes:
            promoted = self.versions.promotion(
                version, actor=ACTOR, detail=decision.reason, time_ms=_now_ms()
            )
            await self._promote(outbox, promoted, "promotion")
            metrics.SNAPSHOTS.labels("promoted").inc()
            self._before, self._serving = self._serving, (version, candidate)
        else:
            metrics.SNAPSHOTS.labels("held_back").inc()
            log.warning("snapshot_held_back version=%s: %s", version, decision.reason)
            await self._roll_back(outbox)

    async def _roll_back(self, outbox: Outbox) -> None:
        """Where even the version before is surely better than the one that serves."""
        promoted = self.versions.promoted
        if promoted is None or self._serving is None or self._before is None:
            return
        if promoted.version != self._serving[0] or promoted.previous[:1] != [self._before[0]]:
            return
        gains = await asyncio.to_thread(gain, self._jury.recent(), self._before[1], self._serving[1])
        decision = should_roll_back(gains, GateSettings())
        if decision.yes:
            back = self.versions.rollback(actor=ACTOR, detail=decision.reason, time_ms=_now_ms())
            await self._promote(outbox, back, "rollback")
            self._before, self._serving = None, self._before

    def _snapshot(self) -> tuple[Inference, Part, Part, About]:
        """All of one moment: the model to be judged and written, what learning goes on from, and how far it came."""
        exported, vocabularies = self.learner.export(), self.knowledge.vocabularies
        arrays, names = state_abroad(self.learner.state(), vocabularies)
        learned_to = [f"{topic} {p} {offset}" for (topic, p), offset in self.knowledge.learned_to.items()]
        about = About(
            model=EMBEDDING,
            features=VERSION,
            settings=self._model_settings(),
            offsets=[NextOffset(topic=t, partition=p, offset=o) for (t, p), o in sorted(self._next.items())],
            metrics={
                "loss": self.learner.loss,
                "n_examples": float(self.learner.n_examples),
                **self._given(),
            },
            parent=self._parent,
        )
        candidate = Inference(exported, self._settings.embed)
        vectors, words = abroad(exported, vocabularies)
        return (
            candidate,
            Part(compressed(vectors), words),
            Part(arrays, {**names, LEARNED_TO: learned_to}),
            about,
        )

    def _given(self) -> dict[str, float]:
        """Items with a vector from outside, and vectors that were not taken, where any are read."""
        given = self.learner.given
        read = self._settings.embed.given_dim > 0
        return {"n_given": float(len(given)), "n_unfit": float(given.n_unfit)} if read else {}

    async def _gains(self, candidate: Inference) -> Sums | None:
        """Reciprocal ranks that the jury's users gain by the candidate, None where nothing serves that can be read."""
        promoted = self.versions.promoted
        if promoted is None:
            return None
        if self._serving is None or self._serving[0] != promoted.version:
            try:
                snapshot = await asyncio.to_thread(self.store.read, promoted.version, promoted.checksum)
            except StoreUnreachableError:
                raise
            except SnapshotError as error:
                log.warning("promoted_passed_over version=%s: %s", promoted.version, error)
                return None
            if snapshot.manifest.settings != self._model_settings():
                log.warning("promoted_of_other_settings version=%s", promoted.version)
                return None
            exported = at_home(snapshot.arrays, snapshot.names, self.knowledge.vocabularies)
            self._serving = promoted.version, Inference(exported, self._settings.embed)
        return await asyncio.to_thread(gain, self._jury.recent(), candidate, self._serving[1])

    async def _announce(self, outbox: Outbox, announced: Announced) -> None:
        record = VersionRecord.of(announced)
        self.versions.hear(record.key, record.value)
        await _delivered(outbox, [record])

    async def _promote(self, outbox: Outbox, promoted: Promoted, action: str) -> None:
        entry = audit_entry(promoted, action)
        audited = entry.subject.encode(), msgspec.json.encode(entry), topics.AUDIT
        await _delivered(outbox, [VersionRecord.of(promoted), audited])

    async def _prune(self, outbox: Outbox) -> None:
        expired = await asyncio.to_thread(self.store.expired, self.versions.protected)
        await _delivered(outbox, map(VersionRecord.retraction, expired))
        await asyncio.to_thread(self.store.prune, expired)

    def _model_settings(self) -> dict[str, Any]:
        """What a snapshot must share with those who load it."""
        return self._settings.embed.model_dump(mode="json", include=SHAPE)


SHAPE: Final = {
    "encoder",
    "dim",
    "layers",
    "heads",
    "length",
    "temperature",
    "given_dim",
    "sentence_encoder",
}
"""Settings without which arrays mean nothing, or something else."""


async def _delivered(outbox: Outbox, records: Iterable[tuple[bytes, bytes | None, str]]) -> None:
    """Keys, values and topics."""
    parcel = outbox.parcel()
    for key, value, topic in records:
        parcel.add(topic, key, value)
    parcel.seal()
    await parcel.delivered


def _embedding_alone(retrieve: RetrieveSettings) -> RetrieveSettings:
    return retrieve.model_copy(
        update={
            name: getattr(retrieve, name).model_copy(update={"enabled": name == "embedding"})
            for name in type(retrieve).model_fields
        }
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
