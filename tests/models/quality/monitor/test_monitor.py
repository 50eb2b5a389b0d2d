"""Windows of a minute with 1,000 events each, over two partitions, told as profiles."""

from math import log, sqrt

import numpy as np
import pytest

from models.quality.monitor.measures import KNOWN, PARTITION, Measure
from models.quality.monitor.monitor import Monitor
from models.quality.monitor.settings import MonitorSettings
from models.quality.profile import Profile
from models.quality.sketch import N_NUMBER_BINS, Keys, Labels, add_keys, add_labels, add_numbers
from schemas.checks import Status

SETTINGS = MonitorSettings(warm_up_windows=10, adopt_windows=30)
N = 500
MINUTE_MS = 60_000


class Feed:
    """A source whose windows differ by chance only, but for what is asked."""

    def __init__(self, seed=1, rules=()):
        self.monitor = Monitor(SETTINGS, rules)
        self.rng = np.random.default_rng(seed)
        self.number = 0

    def windows(self, count, n=N, partitions=(0, 1), **changes):
        """Judge ``count`` windows; the alerts."""
        alerts = []
        for _ in range(count):
            for partition in partitions:
                profile = self.profile(partition, int(self.rng.poisson(n)), **changes)
                for judged in self.monitor.add(profile):
                    alerts += judged.alerts
            self.number += 1
        return alerts

    def profile(self, partition, n, price=1.0, category="c", bot=0, without_brand=0.2, agreed=1.0):
        rng = self.rng
        prices, labels, users = [0] * N_NUMBER_BINS, Labels(), Keys()
        add_numbers(prices, (np.exp(rng.normal(3, 1, n)) * price).tolist())
        add_labels(labels, [f"{category}{i}" for i in rng.integers(10, size=n)])
        add_keys(users, [f"u{i}" for i in rng.integers(300, size=n)] + ["bot"] * bot)
        lag = [0] * 92
        lag[20] = n
        return Profile(
            source="events.browse",
            partitions=[partition],
            start_ms=self.number * MINUTE_MS,
            width_ms=MINUTE_MS,
            n_accepted=n,
            n_timely=n,
            shapes={"Browse": n},
            absent={"brand": int(rng.binomial(n, without_brand))},
            lag=lag,
            compared={"category": n},
            agreed={"category": round(n * agreed)},
            numbers={"price": prices},
            labels={"category": labels},
            keys={"user_id": users},
        )


def told(alerts):
    return {(a.result.check, a.result.field) for a in alerts if a.result.status is not Status.PASS}


@pytest.fixture
def feed():
    feed = Feed()
    assert feed.windows(40) == []
    return feed


@pytest.mark.parametrize("seed", [2, 3])
def test_what_differs_by_chance_only_raises_no_alert(seed):
    assert Feed(seed).windows(150) == []


@pytest.mark.parametrize("n", [40, 8, 3])
def test_of_few_events_chance_alone_raises_no_alert(n):
    assert Feed(4).windows(400, n=n) == []


def test_a_silent_partition_of_few_users_is_found_once_enough_should_have_come():
    feed = Feed(5)
    assert feed.windows(300, n=8) == []
    # Some 16 users a window: four windows until 30 of each partition are expected, two more close them.
    assert told(feed.windows(5, n=16, partitions=(0,))) == set()
    assert ("partition", "partition 1") in told(feed.windows(5, n=16, partitions=(0,)))


def test_of_ten_expected_none_is_five_deviations_from_the_usual():
    usual = log(0.25)
    none = Measure("partition", "volume", "", log(0.5 / 40.5), 40, PARTITION, of="log_share")
    # 2 * (sqrt(10) - sqrt(40 * 0.5 / 40.5)), not log(20.25 / 2) * sqrt(10) = 9.5
    assert (usual - none.value) / none.error(usual) == pytest.approx(4.92, abs=0.01)
    as_usual = Measure("partition", "volume", "", usual, 40, PARTITION, of="log_share")
    assert as_usual.error(usual) == pytest.approx(1 / sqrt(10))


def test_events_that_come_together_count_as_one():
    alone = Measure("known_item", "consistency", "", 0.9, 400, KNOWN)
    assert alone.error(0.9) == pytest.approx(0.015)
    assert alone._replace(each=4.0).error(0.9) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"price": 100.0}, ("drift", "price")),
        ({"category": "renamed"}, ("new_values", "category")),
        ({"without_brand": 0.5}, ("completeness", "brand")),
        ({"agreed": 0.4}, ("agreement", "category")),
        ({"bot": 200}, ("hot_key", "user_id")),
        ({"n": 50}, ("volume", "")),
        ({"partitions": (0,)}, ("partition", "partition 1")),
    ],
)
def test_a_change_is_found_in_its_first_windows(feed, changes, expected):
    # Two windows more close the first three with the change.
    assert expected in told(feed.windows(5, **changes))


def test_an_alert_says_what_it_was_and_the_recovery_is_told_after_two_good_windows(feed):
    alerts = [a for a in feed.windows(5, agreed=0.2) if a.result.check == "agreement"]
    assert [(a.before, a.result.status) for a in alerts] == [(Status.PASS, Status.FAIL)]
    (failed,) = alerts
    assert failed.alert_id == f"events.browse/agreement/category/{40 * MINUTE_MS}"
    assert failed.result.value == pytest.approx(0.2, abs=0.01)
    assert failed.result.low == pytest.approx(0.97)
    assert "contradict" in failed.result.evidence
    recovered = [a for a in feed.windows(4) if a.result.check == "agreement"]
    # The change was in windows 40 to 44; 45 and 46 are good.
    assert [(a.before, a.result.status, a.window_start_ms) for a in recovered] == [
        (Status.FAIL, Status.PASS, 46 * MINUTE_MS)
    ]


def test_a_failing_window_is_not_learned_until_it_has_gone_on_for_long(feed):
    feed.windows(25, price=100.0)
    assert ("drift", "price") not in told(feed.windows(3))
    for _ in range(2):
        feed.windows(25, price=100.0)
    feed.windows(20, price=100.0)
    assert told(feed.windows(5, price=100.0)) == set()


def test_the_same_windows_give_the_same_results_in_any_order_of_partitions():
    one, other = Feed(5), Feed(5)
    for _ in range(20):
        profiles = [one.profile(p, 400) for p in (0, 1)]
        first = [judged for p in profiles for judged in one.monitor.add(p)]
        second = [judged for p in reversed(profiles) for judged in other.monitor.add(p)]
        assert first == second
        one.number += 1


def test_a_source_from_which_nothing_comes_fails_while_another_goes_on(feed):
    alerts = []
    for _ in range(4):
        profile = feed.profile(0, 10)
        profile.source = "events.search"
        alerts += [a for judged in feed.monitor.add(profile) for a in judged.alerts]
        feed.number += 1
    assert ("events.browse", "volume", Status.FAIL) in {
        (a.source, a.result.check, a.result.status) for a in alerts
    }


def test_what_comes_after_its_window_was_judged_is_left_out(feed):
    late = feed.profile(0, 10)
    late.start_ms = 0
    assert feed.monitor.add(late) == []
