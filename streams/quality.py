"""Keeps the quality profiles of the source partitions in a Faust table, and publishes the windows that close.

One value a source topic, in the table partition of the same number: counted once, whatever is redelivered. A closed
window stays in it until the broker has its report, so a crash in between publishes it again, with the same id.

Batches are counted some at a time, which costs a fraction; their fetches are acknowledged when that is on the broker.
"""

import asyncio
import time

import msgspec
from faust.types import TP

from models.quality.codec import decode, encode
from models.quality.observe import QualityBatch, join, observe
from models.quality.partition import PartitionProfiles, close, watermark
from models.quality.profile import Profile
from models.quality.report import measurements, report
from models.quality.settings import QualitySettings
from schemas import topics
from streams import metrics
from streams.engine.outbox import Outbox, Parcel
from streams.engine.state import StateTable

_encode = msgspec.json.Encoder().encode


class QualityBook:
    """Profiles by source topic and partition. Bounded: one value each, of bounded size, by the assignment."""

    def __init__(self, table: StateTable, settings: QualitySettings, outbox: Outbox) -> None:
        self.table = table
        self._settings = settings
        self._outbox = outbox
        self._open: set[TP] = set()
        self._assigned: set[TP] = set()
        self._reported: dict[tuple[TP, int], asyncio.Future[None]] = {}
        """Deliveries of the reports on closed windows, by the window's start."""
        self._waiting: dict[TP, list[QualityBatch]] = {}
        self._epoch = -1

    def add(self, batch: QualityBatch, epoch: int) -> None:
        """Keep a batch of this epoch until ``count``. Those of earlier ones will be delivered again."""
        if epoch != self._epoch:
            self._waiting.clear()
            self._epoch = epoch
        self._waiting.setdefault(TP(batch.topic, batch.partition), []).append(batch)

    def count(self, epoch: int, parcel: Parcel) -> None:
        """Count what waits, if this is still its epoch; windows that event times close go into the parcel."""
        waiting, self._waiting = self._waiting, {}
        if epoch != self._epoch:
            return
        lap = metrics.Laps()
        for tp, batches in waiting.items():
            profiles = self._load(tp.topic, tp.partition)
            observe(profiles, join(batches))
            self._close(profiles, profiles.watermark_ms, parcel)
            self._store(profiles, parcel)
            self._open.add(tp)
        lap("quality")

    async def close_quiet(self, assignment: set[TP], epoch: int) -> None:
        """Close the windows of partitions from which nothing comes any more."""
        self._adopt({tp for tp in assignment if tp.topic in topics.BEHAVIOUR})
        parcel = self._outbox.parcel()
        self.count(epoch, parcel)
        now_ms = int(time.time() * 1000)
        for tp in sorted(self._open):
            profiles = self._load(tp.topic, tp.partition)
            if self._close(profiles, watermark(profiles, now_ms), parcel):
                self._store(profiles, parcel)
            if not profiles.windows:
                self._open.discard(tp)
        parcel.seal()
        await parcel.delivered

    def _adopt(self, assigned: set[TP]) -> None:
        """Look into partitions that are new here, where windows may have been left open."""
        self._open = (self._open & assigned) | (assigned - self._assigned)
        self._assigned = assigned
        self._reported = {place: sent for place, sent in self._reported.items() if place[0] in assigned}

    def _close(self, profiles: PartitionProfiles, watermark_ms: int, parcel: Parcel) -> bool:
        """Publish closed windows, drop those whose report has arrived; whether anything is to be stored."""
        changed = False
        for profile in close(profiles, watermark_ms):
            place = TP(profiles.topic, profiles.partition), profile.start_ms
            sent = self._reported.get(place)
            if sent is not None and sent.done():
                del self._reported[place]
                changed = True
                continue
            profiles.windows[profile.start_ms] = profile
            if sent is None:
                self._publish(profile, parcel)
                self._reported[place] = parcel.delivered
                changed = True
        return changed

    def _publish(self, profile: Profile, parcel: Parcel) -> None:
        quality = report([profile])
        parcel.add(topics.QUALITY, quality.source.encode(), _encode(quality))
        for measured in measurements(quality):
            metrics.QUALITY.labels(quality.source, measured.dimension, measured.field or "").set(
                measured.value
            )

    def _load(self, topic: str, partition: int) -> PartitionProfiles:
        value = self.table.load(partition, [topic.encode()])[0]
        if value is None:
            return PartitionProfiles(topic, partition, self._settings)
        return decode(value, self._settings)

    def _store(self, profiles: PartitionProfiles, parcel: Parcel) -> None:
        self.table.store(profiles.partition, [(profiles.topic.encode(), encode(profiles))], parcel)
