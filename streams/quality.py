"""Keeps the quality profiles of the source partitions in a Faust table, and publishes the windows that close.

One value a source topic, in the table partition of the same number: counted once, whatever is redelivered.
"""

import asyncio
import time

import msgspec
from faust.types import TP

from models.quality.codec import decode, encode
from models.quality.observe import QualityBatch, observe
from models.quality.partition import PartitionProfiles, close, watermark
from models.quality.report import measurements, report
from models.quality.settings import QualitySettings
from schemas import topics
from streams import metrics
from streams.engine.outbox import Outbox, Parcel
from streams.engine.state import StateTable

_encode = msgspec.json.Encoder().encode


class QualityBook:
    """Profiles by source topic and partition. Bounded: one value each, of bounded size."""

    def __init__(self, table: StateTable, settings: QualitySettings, outbox: Outbox) -> None:
        self.table = table
        self._settings = settings
        self._outbox = outbox
        self._open: set[TP] = set()
        self._assigned: set[TP] = set()

    def observe(self, batch: QualityBatch, parcel: Parcel) -> None:
        """Count a batch; windows that its event times close go into the parcel."""
        profiles = self._load(batch.topic, batch.partition)
        observe(profiles, batch)
        self._close(profiles, profiles.watermark_ms, parcel)
        self._store(profiles, parcel)
        self._open.add(TP(batch.topic, batch.partition))

    async def close_quiet(self, assignment: set[TP]) -> None:
        """Close the windows of partitions from which nothing comes any more."""
        sources = {tp for tp in assignment if tp.topic in topics.BEHAVIOUR}
        self._open = (
            self._open & sources | sources - self._assigned
        )  # another worker may have left windows open
        self._assigned = sources
        parcel = self._outbox.parcel()
        now_ms = int(time.time() * 1000)
        for tp in sorted(self._open):
            profiles = self._load(tp.topic, tp.partition)
            if self._close(profiles, watermark(profiles, now_ms), parcel):
                self._store(profiles, parcel)
            if not profiles.windows:
                self._open.discard(tp)
            await asyncio.sleep(0)
        parcel.seal()
        await parcel.delivered

    def _close(self, profiles: PartitionProfiles, watermark_ms: int, parcel: Parcel) -> bool:
        closed = close(profiles, watermark_ms)
        for profile in closed:
            quality = report([profile])
            parcel.add(topics.QUALITY, quality.source.encode(), _encode(quality))
            for measured in measurements(quality):
                metrics.QUALITY.labels(quality.source, measured.dimension, measured.field or "").set(
                    measured.value
                )
        return bool(closed)

    def _load(self, topic: str, partition: int) -> PartitionProfiles:
        value = self.table.load(partition, [topic.encode()])[0]
        if value is None:
            return PartitionProfiles(topic, partition, self._settings)
        return decode(value, self._settings)

    def _store(self, profiles: PartitionProfiles, parcel: Parcel) -> None:
        self.table.store(profiles.partition, [(profiles.topic.encode(), encode(profiles))], parcel)
