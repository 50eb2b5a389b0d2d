from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ingest.record import Accepted, Ingested, Rejected
from models.quality.codec import decode, encode
from models.quality.observe import NO, NOT_APPLICABLE, YES, QualityBatch, observe
from models.quality.partition import NEVER, PartitionProfiles, close
from models.quality.settings import QualitySettings
from schemas.events import Browse, Cart, Line, Purchase
from schemas.rejections import Reason, Rejection

TOPIC = "events.browse"
SETTINGS = QualitySettings(window_s=10, allowed_lateness_s=20, timely_s=5)
NOW_MS = 10**9


class Wire(NamedTuple):
    """Stands for a consumer's record."""

    offset: int
    timestamp: int
    topic: str = TOPIC
    partition: int = 0
    key: bytes | None = None
    value: bytes | None = b"{"
    headers: tuple = ()


class Seen(NamedTuple):
    """One record as the quality stage sees it; ``time_ms`` is None when it was rejected."""

    offset: int
    timestamp_ms: int
    time_ms: int | None
    duplicate: bool = False
    known_item: int = NOT_APPLICABLE
    viewed_before: int = NOT_APPLICABLE
    priced: bool = True
    agrees: tuple[int, int, int] = (NOT_APPLICABLE,) * 3


def browse(seen):
    price = 1.0 if seen.priced else None
    return Browse(event_id=f"e{seen.offset}", user_id="u", item_id="i", time_ms=seen.time_ms, price=price)


def batch_of(seen, make=browse, detail="$.price is -1", unknown=None, now_ms=NOW_MS):
    good = [s for s in seen if s.time_ms is not None]
    bad = [
        Rejected(Wire(s.offset, s.timestamp_ms), Rejection(Reason.OUT_OF_RANGE, detail))
        for s in seen
        if s.time_ms is None
    ]
    return QualityBatch(
        TOPIC,
        0,
        Ingested([Accepted(s.offset, s.timestamp_ms, make(s)) for s in good], bad, unknown or {}),
        np.array([s.timestamp_ms for s in good], np.int64),
        np.array([s.duplicate for s in good], np.bool_),
        np.array([s.known_item for s in good], np.int8),
        np.array([s.viewed_before for s in good], np.int8),
        np.array([s.agrees for s in good], np.int8).reshape(-1, 3),
        now_ms,
    )


def fresh():
    return PartitionProfiles(TOPIC, 0, SETTINGS)


def observed(*seen, **kwargs):
    profiles = fresh()
    observe(profiles, batch_of(seen, **kwargs))
    return profiles


def test_an_event_counts_in_the_window_of_its_event_time():
    # Windows of 10 s: 9,999 ms is in the first, 10,000 ms in the second, whatever the record's timestamp.
    profiles = observed(Seen(0, 30_000, 9_999), Seen(1, 30_000, 10_000))
    assert {start: p.n_accepted for start, p in profiles.windows.items()} == {0: 1, 10_000: 1}
    assert (profiles.stamp, profiles.watermark_ms) == (1, 10_000)


def test_counts_duplicates_flags_and_missing_values():
    profiles = observed(
        Seen(0, 1_000, 1_000, known_item=YES, viewed_before=YES),
        Seen(1, 1_000, 1_000, duplicate=True, known_item=NO, priced=False),
        Seen(2, 1_000, 1_000, viewed_before=NO),
    )
    profile = profiles.windows[0]
    assert (profile.n_accepted, profile.n_duplicates) == (3, 1)
    assert (profile.n_item_checked, profile.n_item_known) == (2, 1)
    assert (profile.n_view_checked, profile.n_viewed) == (2, 1)
    assert profile.shapes == {"Browse": 3}
    assert (profile.absent["price"], profile.absent["brand"]) == (1, 3)


def test_an_event_is_timely_up_to_the_threshold():
    # The threshold is 5 s; lags of -1 s, 5 s and 5.001 s.
    profiles = observed(Seen(0, 1_000, 2_000), Seen(1, 6_000, 1_000), Seen(2, 6_001, 1_000))
    assert profiles.windows[0].n_timely == 2
    assert sum(profiles.windows[0].lag) == 3


def test_a_late_event_counts_in_the_newest_window_in_every_respect():
    # At 45,000 ms with 20 s of lateness windows before 20,000 ms are closed, so that 19,999 ms is late.
    profiles = observed(
        Seen(0, 45_000, 45_000), Seen(1, 20_000, 19_999, priced=False), Seen(2, 46_000, 20_000)
    )
    assert {start: (p.n_accepted, p.n_late) for start, p in profiles.windows.items()} == {
        40_000: (2, 1),
        20_000: (1, 0),
    }
    newest = profiles.windows[40_000]
    assert (newest.absent["price"], newest.n_timely, sum(newest.lag)) == (1, 1, 2)


def test_a_rejected_record_counts_by_its_timestamp_before_any_event():
    profiles = observed(Seen(0, 12_345, None), Seen(1, 23_456, None))
    assert {start: p.rejected for start, p in profiles.windows.items()} == {
        10_000: {"out_of_range": 1},
        20_000: {"out_of_range": 1},
    }
    assert profiles.windows[10_000].invalid == {"price": 1}


def test_a_rejected_record_is_taken_to_lag_like_the_freshest_event_before_it():
    # The event of 100,000 ms was recorded 800 s later, at 900,000 ms; the one of 95,000 ms is not fresher. So
    # the rejected record of 905,000 ms is taken for one of 105,000 ms.
    profiles = observed(Seen(0, 900_000, 100_000), Seen(1, 901_000, 95_000), Seen(2, 905_000, None))
    assert {start: p.n_rejected for start, p in profiles.windows.items()} == {100_000: 1, 90_000: 0}
    assert profiles.lag_ms == 800_000


def test_a_clock_ahead_does_not_drag_the_watermark_along():
    # The device is 300 s ahead of the record; the rejected record moves nothing.
    profiles = observed(Seen(0, 100_000, 400_000), Seen(1, 200_000, None))
    assert profiles.watermark_ms == 400_000
    assert profiles.windows[400_000].n_events == 2


def test_rejected_records_alone_move_the_watermark():
    profiles = observed(Seen(0, 1_000, 1_000), Seen(1, 70_000, None))
    assert profiles.watermark_ms == 70_000
    assert [p.start_ms for p in close(profiles, profiles.watermark_ms)] == [0]


def test_a_record_without_timestamp_or_with_one_after_now_is_taken_for_one_of_now():
    profiles = observed(Seen(0, 10**17, None), Seen(1, -1, None), Seen(2, 10**17, 99_000), now_ms=100_000)
    assert profiles.watermark_ms == 100_000
    assert {start: p.n_events for start, p in profiles.windows.items()} == {100_000: 2, 90_000: 1}
    assert profiles.lag_ms == 1_000


def test_records_up_to_the_stamp_are_not_counted_again():
    profiles = observed(Seen(3, 1_000, 1_000), Seen(5, 1_000, None))
    observe(profiles, batch_of([Seen(3, 1_000, 1_000), Seen(5, 1_000, None), Seen(6, 1_000, 1_000)]))
    observe(profiles, batch_of([Seen(4, 1_000, 1_000)]))
    assert (profiles.windows[0].n_accepted, profiles.windows[0].n_rejected, profiles.stamp) == (2, 1, 6)


def test_an_empty_batch_changes_nothing():
    assert observed() == fresh()


def test_unknown_fields_count_in_the_newest_window_unless_the_batch_is_old():
    seen = [Seen(0, 1_000, 1_000), Seen(1, 11_000, 11_000)]
    profiles = observed(*seen, unknown={"colour": 2})
    observe(profiles, batch_of(seen, unknown={"colour": 2}))
    assert [profiles.windows[start].unknown_fields for start in (0, 10_000)] == [{}, {"colour": 2}]


def test_lines_and_kinds_are_counted_apart():
    def make(seen):
        who = {"event_id": "e", "user_id": "u", "time_ms": seen.time_ms}
        if seen.offset == 0:
            return Purchase(**who, lines=[Line(item_id="a", price=1.0), Line(item_id="b")])
        return Cart(**who, item_id="a")

    profile = observed(Seen(0, 1_000, 1_000), Seen(1, 1_000, 1_000), make=make).windows[0]
    assert profile.shapes == {"Purchase": 1, "Line": 2, "Cart": 1}
    assert (profile.absent["price"], profile.absent["lines.price"]) == (1, 1)


def test_a_batch_of_another_partition_is_refused():
    with pytest.raises(ValueError, match=r"events\.browse-0 .* events\.browse-1"):
        observe(PartitionProfiles(TOPIC, 1, SETTINGS), batch_of([Seen(0, 1, 1)]))


@st.composite
def logs(draw):
    """Records of rising offsets, events out of order by up to two minutes, a few rejected."""
    seen = []
    offset = clock_ms = 0
    for _ in range(draw(st.integers(1, 40))):
        offset += draw(st.integers(1, 3))
        clock_ms += draw(st.integers(0, 15_000))
        lag_ms = draw(st.sampled_from([0, 200, 7_000, 30_000, 120_000, -4_000]))
        rejected = draw(st.integers(0, 3)) == 0
        seen.append(
            Seen(
                offset,
                clock_ms,
                None if rejected else clock_ms - lag_ms,
                draw(st.booleans()),
                draw(st.sampled_from([NO, YES, NOT_APPLICABLE])),
                draw(st.sampled_from([NO, YES, NOT_APPLICABLE])),
                draw(st.booleans()),
            )
        )
    return seen


@st.composite
def deliveries(draw, log):
    """Slices of the log: each starts no later than those before it reached, the last ends with the log."""
    done, slices = 0, []
    while done < len(log):
        first = max(0, done - draw(st.sampled_from([0, 0, 1, 5, 40])))
        last = min(len(log), first + draw(st.integers(1, 20)))
        slices.append(log[first:last])
        done = max(done, last)
    return slices


def deliver(slices):
    """Closed windows as they came out, and the profiles that stay; stored and loaded after every batch."""
    profiles, closed = fresh(), []
    for seen in slices:
        observe(profiles, batch_of(seen))
        closed += close(profiles, profiles.watermark_ms)
        assert len(profiles.windows) <= SETTINGS.n_reachable_windows
        profiles = decode(encode(profiles), SETTINGS)
    return closed, profiles


def placed_one_by_one(log):
    """Window start to (accepted, rejected, late), by the definition, without a batch."""
    counts = {}
    watermark_ms = freshest_ms = NEVER
    lag_ms = 0
    for seen in log:
        time_ms = seen.timestamp_ms - lag_ms
        if seen.time_ms is not None:
            time_ms = seen.time_ms
            if time_ms > freshest_ms:
                freshest_ms, lag_ms = time_ms, max(0, seen.timestamp_ms - time_ms)
        watermark_ms = max(watermark_ms, time_ms)
        late = time_ms // 10_000 < (watermark_ms - 20_000) // 10_000
        start = (watermark_ms if late else time_ms) // 10_000 * 10_000
        accepted, rejected, n_late = counts.get(start, (0, 0, 0))
        good = seen.time_ms is not None
        counts[start] = accepted + good, rejected + (not good), n_late + (good and late)
    return counts


@given(st.data(), logs())
@settings(max_examples=60, deadline=None)
def test_any_batching_and_redelivery_gives_the_same_windows_and_the_same_bytes(data, log):
    closed, open_ = deliver(data.draw(deliveries(log)))
    closed_singly, open_singly = deliver([[seen] for seen in log])
    assert closed == closed_singly
    assert encode(open_) == encode(open_singly)


@given(st.data(), logs())
@settings(max_examples=60, deadline=None)
def test_every_record_is_counted_once_where_the_definition_puts_it(data, log):
    closed, open_ = deliver(data.draw(deliveries(log)))
    every = [*closed, *open_.windows.values()]
    assert sum(p.n_events for p in every) == len(log)
    assert len({p.start_ms for p in every}) == len(every)
    assert {p.start_ms: (p.n_accepted, p.n_rejected, p.n_late) for p in every} == placed_one_by_one(log)


@given(st.data(), logs())
@settings(max_examples=30, deadline=None)
def test_the_total_adds_up_when_the_clock_closes_windows_early(data, log):
    profiles, closed = fresh(), []
    for seen in data.draw(deliveries(log)):
        observe(profiles, batch_of(seen))
        closed += close(profiles, profiles.watermark_ms + data.draw(st.integers(0, 60_000)))
    every = [*closed, *profiles.windows.values()]
    assert sum(p.n_events for p in every) == len(log)
    assert sum(sum(p.lag) for p in every) == sum(seen.time_ms is not None for seen in log)
    assert len({p.start_ms for p in every}) == len(every)


def test_what_events_say_is_compared_by_field_with_what_was_known():
    of_event = [(YES, NO, NOT_APPLICABLE), (YES, YES, NOT_APPLICABLE)]
    window = observed(*(Seen(i, 0, 0, agrees=agrees) for i, agrees in enumerate(of_event))).windows[0]
    assert window.compared == {"category": 2, "brand": 2}
    assert window.agreed == {"category": 2, "brand": 1}


def test_values_are_sketched_by_field_and_ids_of_lines_count_as_items():
    lines = [Line(item_id="a", price=10.0, category="boots"), Line(item_id="b", price=10.0, category="boots")]
    window = observed(
        Seen(0, 0, 0), make=lambda s: Purchase(event_id="e", user_id="u", time_ms=0, lines=lines)
    ).windows[0]
    # Ten bins a decade from 0.01: 10 is the upper bound of bin 30.
    assert window.numbers["lines.price"][30] == 2
    assert sum(window.labels["lines.category"].counts) == 2
    assert list(filter(None, window.labels["lines.category"].examples)) == ["boots"]
    assert sorted(window.keys["item_id"].counts)[-2:] == [1, 1]
    assert max(window.keys["user_id"].counts) == 1
