import msgspec
import pytest

from models.quality.lag import N_BINS
from models.quality.profile import Profile
from models.quality.report import WEIGHTS, Measurement, measurements, report
from schemas.quality import FieldQuality, QualityReport


def profile(partition=0, **counts):
    return Profile(source="events.browse", partitions=[partition], start_ms=60_000, width_ms=60_000, **counts)


def lag(**bins):
    return [bins.get(f"b{i}", 0) for i in range(N_BINS)]


BROWSES = profile(
    n_accepted=90,
    n_duplicates=9,
    n_late=18,
    n_timely=45,
    n_item_checked=80,
    n_item_known=60,
    n_view_checked=20,
    n_viewed=15,
    rejected={"wrong_type": 6, "too_late": 4},
    shapes={"Browse": 90},
    absent={"price": 30, "slate_id": 90},
    invalid={"price": 10},
    unknown_fields={"colour": 3},
    lag=lag(b30=90),
)


def test_scores_are_the_shares_worked_by_hand():
    scores = report([BROWSES]).scores
    # Nine optional fields of 90 events are 810 values, 120 of them absent.
    assert scores.completeness == pytest.approx(690 / 810)
    assert scores.validity == pytest.approx(0.9)  # 10 of 100 rejected
    assert scores.uniqueness == pytest.approx(0.9)  # 9 of 90 repeated
    assert scores.timeliness == pytest.approx(0.5)  # 45 of 90
    assert scores.consistency == pytest.approx(0.75)  # 75 of 100 checks
    # 0.2 x 0.85185 + 0.3 x 0.9 + 0.15 x 0.9 + 0.2 x 0.5 + 0.15 x 0.75
    assert scores.overall == pytest.approx(0.17037 + 0.27 + 0.135 + 0.1 + 0.1125, abs=1e-5)


def test_a_report_names_its_window_and_counts():
    quality = report([BROWSES])
    assert quality.report_id == "events.browse-0-60000"
    assert (quality.window_start_ms, quality.window_end_ms, quality.partitions) == (60_000, 120_000, [0])
    assert (quality.n_events, quality.n_accepted, quality.n_rejected) == (100, 90, 10)
    assert (quality.n_duplicates, quality.n_late) == (9, 18)
    assert quality.rejected == {"too_late": 4, "wrong_type": 6}
    assert quality.events_per_s == pytest.approx(100 / 60)
    assert quality.unknown_fields == {"colour": 3}
    # Bin 30 holds 794.3 to 1000 ms; the median lies half way.
    assert quality.lag_p50_s == pytest.approx((10**2.9 + 10**3) / 2000)


def test_fields_have_their_own_completeness_and_validity():
    fields = report([BROWSES]).fields
    assert fields["price"] == FieldQuality(completeness=60 / 90, validity=90 / 100)
    assert fields["slate_id"] == FieldQuality(completeness=0.0, validity=1.0)
    assert fields["brand"] == FieldQuality(completeness=1.0, validity=1.0)
    assert fields["event_id"] == FieldQuality(completeness=None, validity=1.0)


def test_a_field_is_judged_by_the_kinds_that_have_it():
    # 10 carts have a price, 30 clicks have none to give: 6 of 10, not 36 of 40.
    fields = report([profile(n_accepted=40, shapes={"Click": 30, "Cart": 10}, absent={"price": 4})]).fields
    assert fields["price"].completeness == pytest.approx(0.6)
    assert fields["position"].completeness == pytest.approx(1.0)


def test_a_window_of_rejections_alone_is_judged_by_validity():
    quality = report([profile(rejected={"broken_json": 2}, invalid={"price": 1})])
    assert quality.scores.validity == 0.0
    assert quality.scores.overall == 0.0
    assert quality.scores.completeness is quality.scores.timeliness is quality.scores.consistency is None
    assert quality.lag_p50_s is None
    assert quality.fields == {"price": FieldQuality(completeness=None, validity=0.0)}


def test_a_shape_of_another_release_is_left_out_of_the_fields():
    quality = report([profile(n_accepted=1, shapes={"Hover": 1})])
    assert quality.kinds == {"Hover": 1}
    assert quality.fields == {}


def test_partitions_are_added_up_in_any_order():
    other = profile(2, n_accepted=10, shapes={"Browse": 10}, lag=lag(b0=10))
    quality = report([other, BROWSES])
    assert quality == report([BROWSES, other])
    assert (quality.report_id, quality.n_accepted) == ("events.browse-0+2-60000", 100)


def test_profiles_that_do_not_belong_together_have_no_report():
    with pytest.raises(ValueError, match="at least one"):
        report([])
    with pytest.raises(ValueError, match="do not merge"):
        report([BROWSES, Profile(source="events.search", partitions=[0], start_ms=60_000, width_ms=60_000)])


def test_weights_add_up_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_a_report_travels_as_json():
    quality = report([BROWSES])
    assert msgspec.json.decode(msgspec.json.encode(quality), type=QualityReport) == quality


def test_measurements_name_the_dimension_the_field_and_the_value():
    found = list(measurements(report([BROWSES])))
    assert Measurement("volume", "", pytest.approx(100 / 60)) in found
    assert Measurement("late", "", pytest.approx(0.2)) in found
    assert Measurement("rejected", "wrong_type", pytest.approx(0.06)) in found
    assert Measurement("completeness", "price", pytest.approx(2 / 3)) in found
    assert Measurement("validity", "price", pytest.approx(0.9)) in found
    assert len({(m.dimension, m.field) for m in found}) == len(found)


def test_measurements_leave_out_what_is_not_known():
    found = {(m.dimension, m.field) for m in measurements(report([profile(rejected={"empty": 1})]))}
    assert found == {("volume", ""), ("validity", ""), ("overall", ""), ("rejected", "empty")}
