"""Counts a batch into the windows of its partition: after ingest, before anything reads the profiles.

It does not judge (a report does) and looks nothing up: duplicates, catalogue and views come in as flags.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.clean.marks import Marks
from models.ingest.record import Accepted, Ingested, Rejected
from models.quality.fields import blamed, count_filled
from models.quality.lag import tally
from models.quality.partition import PartitionProfiles
from models.quality.profile import MAX_CLEANED, MAX_RECIPES, Profile, add, add_unknown
from models.quality.sketch import KEYS, LABELS, N_NUMBER_BINS, Keys, Labels, add_keys, add_labels, add_numbers
from schemas.events import AnyEvent

I8 = NDArray[np.int8]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NO: Final = 0
YES: Final = 1
NOT_APPLICABLE: Final = -1

FIELDS_COMPARED: Final = ("category", "brand", "price")


class QualityBatch(NamedTuple):
    """What ingest made of one batch of one topic and partition: n events accepted, both lists by offset."""

    topic: str
    partition: int
    ingested: Ingested
    timestamps_ms: I64
    """(n,) timestamps of the records of the accepted events."""
    duplicate: Bool
    """(n,) the event id was seen before."""
    known_item: I8
    """(n,) YES when every item of the event is in the catalogue, NOT_APPLICABLE when it names none."""
    viewed_before: I8
    """(n,) YES when the user had viewed every item of the purchase, NOT_APPLICABLE to other events."""
    agrees: I8
    """(n, 3) for each of ``FIELDS_COMPARED``, YES when what the event says of its items is what was known of them."""
    now_ms: int
    """When the batch was taken, in place of record timestamps that are missing (below 0) or later."""
    marks: Marks | None = None
    """What cleaning changed of the events, None where nothing is cleaned."""


def join(batches: Sequence[QualityBatch]) -> QualityBatch:
    """Batches of one partition, in their order, as one, taken when the last was; what came twice is left out."""
    if len(batches) == 1:
        return batches[0]
    accepted: list[Accepted] = []
    rejected: list[Rejected] = []
    unknown: dict[str, int] = {}
    kept = []
    for batch in batches:
        last = max(accepted[-1].offset if accepted else -1, rejected[-1].record.offset if rejected else -1)
        first = bisect_right(batch.ingested.accepted, last, key=_OFFSET)
        kept.append(slice(first, None))
        accepted += batch.ingested.accepted[first:]
        rejected += batch.ingested.rejected[
            bisect_right(batch.ingested.rejected, last, key=_rejected_offset) :
        ]
        add(unknown, batch.ingested.unknown_fields)

    def whole(column: str) -> Any:
        return np.concatenate([getattr(b, column)[new] for b, new in zip(batches, kept, strict=True)])

    return batches[-1]._replace(
        ingested=Ingested(accepted, rejected, unknown),
        timestamps_ms=whole("timestamps_ms"),
        duplicate=whole("duplicate"),
        known_item=whole("known_item"),
        viewed_before=whole("viewed_before"),
        agrees=whole("agrees"),
        marks=_joined([b.marks and b.marks.at(new) for b, new in zip(batches, kept, strict=True)]),
    )


def _joined(marks: Sequence[Marks | None]) -> Marks | None:
    """As one, of the steps of the last; None unless all have the same."""
    there = [each for each in marks if each is not None]
    if len(there) < len(marks) or len({each.steps for each in there}) > 1:
        return None
    return there[-1]._replace(bits=np.concatenate([each.bits for each in there]))


def observe(profiles: PartitionProfiles, batch: QualityBatch) -> None:
    """Count the records above the offset stamp, each in its window, and move the stamp.

    An event counts in the window of its event time; a rejected record, which has none to trust, in that of
    its timestamp less the lag of the freshest event before it. What is due to a closed window counts in the
    newest one.

    A record's window follows from the records before it alone, so any batching, and any redelivery from an
    older offset, gives the same windows. Unknown fields are told by the batch only: they count in the newest
    window of its new records, and once more where a redelivery cuts the batch in two.
    """
    if (batch.topic, batch.partition) != (profiles.topic, profiles.partition):
        raise ValueError(
            f"a batch of {batch.topic}-{batch.partition} was given to the profiles of "
            f"{profiles.topic}-{profiles.partition}"
        )
    events, rejected = _above(profiles.stamp, batch)
    if not events.all and not rejected.all:
        return
    windows, late = _place(profiles, events, rejected)
    n = len(events.all)
    _count_accepted(profiles, events, windows[:n], late[:n])
    _count_rejected(profiles, rejected.all, windows[n:].tolist())
    if batch.ingested.unknown_fields:
        add_unknown(profiles.window(int(windows.max())).unknown_fields, batch.ingested.unknown_fields)
    profiles.stamp = int(max(*events.offsets[-1:], *rejected.offsets[-1:], profiles.stamp))


class _Events(NamedTuple):
    """Accepted events that were not counted before, (n,) each."""

    all: list[AnyEvent]
    offsets: I64
    times_ms: I64
    lags_ms: I64
    duplicate: Bool
    known_item: I8
    viewed_before: I8
    agrees: I8
    marks: Marks | None

    def at(self, places: I64) -> "_Events":
        return _Events(
            [self.all[i] for i in places.tolist()],
            self.offsets[places],
            self.times_ms[places],
            self.lags_ms[places],
            self.duplicate[places],
            self.known_item[places],
            self.viewed_before[places],
            self.agrees[places],
            self.marks and self.marks.at(places),
        )


class _RejectedRecords(NamedTuple):
    """Rejected records that were not counted before, (m,) each."""

    all: list[Rejected]
    offsets: I64
    timestamps_ms: I64


_OFFSET: Final = attrgetter("offset")
_TIME_MS: Final = attrgetter("time_ms")


def _rejected_offset(rejected: Rejected) -> int:
    return rejected.record.offset


def _above(stamp: int, batch: QualityBatch) -> tuple[_Events, _RejectedRecords]:
    first = bisect_right(batch.ingested.accepted, stamp, key=_OFFSET)
    accepted = batch.ingested.accepted[first:]
    rejected = batch.ingested.rejected
    rejected = rejected[bisect_right(rejected, stamp, key=_rejected_offset) :]
    times = np.fromiter((_TIME_MS(each.event) for each in accepted), np.int64, len(accepted))
    events = _Events(
        all=[each.event for each in accepted],
        offsets=np.fromiter(map(_OFFSET, accepted), np.int64, len(accepted)),
        times_ms=times,
        lags_ms=_credible(batch.timestamps_ms[first:], batch.now_ms) - times,
        duplicate=batch.duplicate[first:],
        known_item=batch.known_item[first:],
        viewed_before=batch.viewed_before[first:],
        agrees=batch.agrees[first:],
        marks=batch.marks and batch.marks.at(slice(first, None)),
    )
    timestamps = np.array([record.timestamp for record, _ in rejected], np.int64)
    offsets = np.array([record.offset for record, _ in rejected], np.int64)
    return events, _RejectedRecords(rejected, offsets, _credible(timestamps, batch.now_ms))


def _credible(timestamps_ms: I64, now_ms: int) -> I64:
    return np.where((timestamps_ms < 0) | (timestamps_ms > now_ms), now_ms, timestamps_ms)


def _place(profiles: PartitionProfiles, events: _Events, rejected: _RejectedRecords) -> tuple[I64, Bool]:
    """The window each record counts in, (n + m,), and whether its own had closed; moves the watermark."""
    times = np.concatenate((events.times_ms, _estimated_times(profiles, events, rejected)))
    order = np.argsort(np.concatenate((events.offsets, rejected.offsets)), kind="stable")
    running = np.empty_like(times)
    running[order] = np.maximum.accumulate(times[order])
    running = np.maximum(running, profiles.watermark_ms)
    profiles.watermark_ms = int(running.max())
    width_ms = profiles.settings.window_ms
    own = times // width_ms * width_ms
    newest = running // width_ms * width_ms
    first_open = (running - profiles.settings.allowed_lateness_ms) // width_ms * width_ms
    late = own < np.maximum(first_open, profiles.closed_ms)
    return np.where(late, np.maximum(newest, profiles.closed_ms), own), late


def _estimated_times(profiles: PartitionProfiles, events: _Events, rejected: _RejectedRecords) -> I64:
    """Event times of the rejected records, (m,), by the lag of the freshest event so far, which moves."""
    freshest = np.maximum.accumulate(np.concatenate(([profiles.freshest_ms], events.times_ms)))  # (n + 1,)
    fresher = np.flatnonzero(freshest[1:] > freshest[:-1])
    lags = np.concatenate(([profiles.lag_ms], np.maximum(events.lags_ms[fresher], 0)))
    profiles.freshest_ms, profiles.lag_ms = int(freshest[-1]), int(lags[-1])
    n_before = np.searchsorted(events.offsets[fresher], rejected.offsets)
    return np.asarray(rejected.timestamps_ms - lags[n_before], np.int64)


def _count_accepted(profiles: PartitionProfiles, events: _Events, windows: I64, late: Bool) -> None:
    starts = sorted(set(windows.tolist()))
    if len(starts) == 1:
        _count_window(profiles.window(starts[0]), events, late, profiles.settings.timely_s)
        return
    for start in starts:
        here = np.flatnonzero(windows == start)
        _count_window(profiles.window(start), events.at(here), late[here], profiles.settings.timely_s)


def _count_window(profile: Profile, events: _Events, late: Bool, timely_s: float) -> None:
    profile.n_accepted += len(events.all)
    profile.n_duplicates += _count(events.duplicate)
    profile.n_late += _count(late)
    profile.n_timely += _count((events.lags_ms <= timely_s * 1000) & ~late)
    profile.n_item_checked += _count(events.known_item != NOT_APPLICABLE)
    profile.n_item_known += _count(events.known_item == YES)
    profile.n_view_checked += _count(events.viewed_before != NOT_APPLICABLE)
    profile.n_viewed += _count(events.viewed_before == YES)
    tally(profile.lag, events.lags_ms)
    if events.marks:
        add_unknown(profile.recipes, {events.marks.recipe: len(events.all)}, MAX_RECIPES)
        add_unknown(profile.cleaned, events.marks.counts(), MAX_CLEANED)
    for name, verdicts in zip(FIELDS_COMPARED, events.agrees.T, strict=True):
        if n_compared := _count(verdicts != NOT_APPLICABLE):
            add(profile.compared, {name: n_compared})
            add(profile.agreed, {name: _count(verdicts == YES)})
    for filled in count_filled(events.all):
        add(profile.shapes, {filled.shape: filled.n})
        add(profile.absent, filled.absent)
        for path, values in filled.columns.items():
            _sketch(profile, path, values)


def _sketch(profile: Profile, path: str, values: Sequence[Any]) -> None:
    """Ids of lines count with those of events."""
    name = path.rpartition(".")[2]
    if name in KEYS:
        add_keys(profile.keys.setdefault(name, Keys()), values)
    elif name in LABELS:
        add_labels(profile.labels.setdefault(path, Labels()), values)
    else:
        add_numbers(profile.numbers.setdefault(path, [0] * N_NUMBER_BINS), values)


def _count(flags: Bool) -> int:
    return int(np.count_nonzero(flags))


def _count_rejected(
    profiles: PartitionProfiles, rejected: Sequence[Rejected], windows: Sequence[int]
) -> None:
    for (_, rejection), start in zip(rejected, windows, strict=True):
        profile = profiles.window(start)
        add(profile.rejected, {rejection.reason.value: 1})
        path = blamed(rejection.detail)
        if path is not None:
            add(profile.invalid, {path: 1})
