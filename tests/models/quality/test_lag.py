import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quality.lag import BOUNDS_MS, N_BINS, quantile_s, tally


def histogram(*lags_ms):
    counts = [0] * N_BINS
    tally(counts, np.array(lags_ms, np.int64))
    return counts


def filled(counts):
    return {bin_: n for bin_, n in enumerate(counts) if n}


def test_bins_are_ten_a_decade_and_closed_above():
    # 10^(0/10) = 1 ms, 10^(30/10) = 1,000 ms, 10^(31/10) = 1,258.9 ms
    assert filled(histogram(1, 1_000, 1_001, 1_258, 1_259)) == {0: 1, 30: 1, 31: 2, 32: 1}


def test_an_event_ahead_of_its_record_is_in_the_first_bin_and_an_ancient_one_in_the_last():
    assert filled(histogram(-60_000, 10**9, 10**9 + 1, 10**15)) == {0: 1, 90: 1, 91: 2}


def test_a_quantile_is_linear_within_its_bin():
    # Four lags in bin 30, (794.3, 1000] ms: the median is half way, 897.2 ms.
    counts = histogram(1_000, 1_000, 1_000, 1_000)
    assert quantile_s(counts, 0.5) == pytest.approx((10**2.9 + 10**3) / 2 / 1000)
    assert quantile_s(counts, 1.0) == pytest.approx(1.0)


def test_the_first_bin_starts_at_zero():
    assert quantile_s(histogram(0, 0), 0.5) == pytest.approx(0.0005)


def test_the_last_bin_answers_with_its_lower_bound():
    assert quantile_s(histogram(10**12), 0.99) == pytest.approx(10**6)


def test_nothing_has_no_quantile():
    assert quantile_s([0] * N_BINS, 0.5) is None


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60), st.floats(0.01, 1.0))
@settings(deadline=None)
def test_a_quantile_is_within_one_bin_of_the_sample_one(lags_ms, q):
    exact_ms = sorted(lags_ms)[max(0, int(np.ceil(q * len(lags_ms) - 1e-9)) - 1)]
    bin_ = int(np.searchsorted(BOUNDS_MS, exact_ms))
    lower_ms = BOUNDS_MS[bin_ - 1] if bin_ else 0.0
    assert lower_ms - 1e-6 <= quantile_s(histogram(*lags_ms), q) * 1000 <= BOUNDS_MS[bin_] + 1e-6


@given(st.lists(st.integers(-(10**6), 10**12)), st.lists(st.integers(-(10**6), 10**12)))
@settings(deadline=None)
def test_tallies_add_up(some, more):
    together = histogram(*some, *more)
    assert together == [n + m for n, m in zip(histogram(*some), histogram(*more), strict=True)]
