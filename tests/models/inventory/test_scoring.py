import pytest
from msgspec.structs import replace

from models.inventory.columns import columns
from models.inventory.scoring import of_reports, of_sample
from schemas.quality import QualityReport, Scores

SCORES = Scores(
    completeness=1.0, validity=0.9, uniqueness=None, timeliness=0.5, consistency=None, overall=0.8
)


def report(source="events.browse", partition=0, end_ms=60_000, n_events=10, **scores):
    return QualityReport(
        report_id=f"{source}-{partition}-{end_ms}", source=source, window_start_ms=end_ms - 60_000,
        window_end_ms=end_ms, partitions=[partition], n_events=n_events, n_accepted=n_events, n_rejected=0,
        n_duplicates=0, n_late=0, rejected={}, kinds={}, fields={}, unknown_fields={}, events_per_s=1.0,
        lag_p50_s=None, lag_p99_s=None, scores=replace(SCORES, **scores),
    )  # fmt: skip


def test_the_newest_window_counts_its_partitions_weighted_by_their_records():
    found = of_reports([
        report(end_ms=60_000, validity=0.0),
        report(end_ms=120_000, partition=0, n_events=30, validity=1.0),
        report(end_ms=120_000, partition=1, n_events=10, validity=0.6),
        report(end_ms=60_000, partition=1, validity=0.0),
    ])["events.browse"]  # fmt: skip
    assert found.validity == pytest.approx((30 * 1.0 + 10 * 0.6) / 40)
    assert found.uniqueness is None


def test_a_repeated_report_counts_once():
    twice = [report(partition=0, validity=1.0)] * 3 + [report(partition=1, validity=0.0)]
    assert of_reports(twice)["events.browse"].validity == pytest.approx(0.5)


def test_a_sample_tells_four_dimensions():
    sample = [{"a": 1, "b": None}, {"a": 2, "b": 3}]
    values = [b'{"a":1}', b'{"a":2}', b'{"a":2}', b"oops"]
    found = of_sample(columns(sample, 2), values, 1, [0, 40_000], timely_ms=30_000, future_ms=0)
    assert found is not None
    # b is missing in one of two, a never; one of four unreadable; three of four differ; one of two in time
    assert (found.completeness, found.validity, found.uniqueness, found.timeliness) == (0.75, 0.75, 0.75, 0.5)
    assert found.consistency is None
    # weights 0.2, 0.3, 0.15, 0.2 of 0.85
    assert found.overall == pytest.approx((0.65 * 0.75 + 0.2 * 0.5) / 0.85, abs=1e-6)


def test_nothing_sampled_is_no_score():
    assert of_sample([], [None], 0, [], timely_ms=1, future_ms=1) is None
