"""Shadow learners: what is lost without a source, with the error of users, the same as by learning from the start."""

from itertools import pairwise

import numpy as np
import pytest

from models.evaluate.measures import measured
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential, wanted
from models.evaluate.recommender import Offer
from models.value.games import CARRIED, SHADOWS
from models.value.latest import Latest
from models.value.report import combined
from models.value.shadows import Shadows, in_slice
from models.value.withheld import WITHHELD
from schemas.events import Search
from schemas.value import Value, ValueReport


class Scripted:
    """Offers x, then y; without a source y, then x."""

    def __init__(self, *items: str) -> None:
        self.offer = Offer(list(items or "xy"), [])

    def split(self, name, take):
        return Scripted("y", "x")

    def follow(self, events, *, learn):
        return [self.offer for _ in events]

    def wanted(self, event):
        return wanted(event)


def lost(report: ValueReport | None, player: str, metric: str = "ndcg") -> Value:
    assert report is not None
    return next(each for each in report.values if (each.player, each.metric) == (player, metric))


def test_losses_are_of_trials_and_their_errors_of_users(view) -> None:
    shadows = Shadows(Scripted(), 20, 10)
    walks = {"a": "wxx", "b": "wz"}
    for user, items in walks.items():
        for second, item in enumerate(items):
            shadows.take([view(second, user, item)])
    report = shadows.taken("me")
    assert report is not None
    # Three trials after first events: a finds x twice, at rank 1 and without browsing at 2; b finds nothing.
    assert (report.of, report.n, report.k, report.worker) == ("shadow", 3, 20, "me")
    assert report.all_in == pytest.approx({"ndcg": 2 / 3, "hit_rate": 2 / 3, "mrr": 2 / 3}, abs=1e-6)
    # Reciprocal ranks 1 and 1/2: lost (1/2 + 1/2 + 0) / 3. Of the users' sums, 1 - 2/3 and 0 - 1/3 are left.
    mrr = lost(report, "browse", "mrr")
    assert mrr.left_out == pytest.approx(1 / 3, abs=1e-6)
    assert mrr.left_out_error == pytest.approx(np.sqrt(2 / 9) / 3, abs=1e-6)
    assert lost(report, "browse").left_out == pytest.approx(2 / 3 * (1 - 1 / np.log2(3)), abs=1e-6)
    assert lost(report, "browse", "hit_rate").left_out == 0.0
    assert (mrr.value, mrr.value_error) == (0.0, 0.0)
    assert lost(report, "search").left_out_error == 0.0
    assert report.window_end_ms - report.window_start_ms == 1_001
    assert shadows.taken() is None


def test_what_is_learned_of_a_past_is_not_counted(view) -> None:
    shadows = Shadows(Scripted(), 20, 10)
    for second, item in enumerate("wx"):
        shadows.take([view(second, "a", item)], counts=False)
    assert shadows.taken() is None
    shadows.take([view(2, "a", "x")])
    report = shadows.taken()
    assert report is not None
    assert report.n == 1


def test_a_source_has_a_shadow_from_its_first_event_on(view, order) -> None:
    shadows = Shadows(Scripted(), 20, 10)
    shadows.take([view(0, "a", "x")])
    assert shadows.sources == ["browse"]
    shadows.take([order(1, "a", "x")])
    shadows.take([view(2, "a", "x", price=3.0)])
    head = {"event_id": "s", "user_id": "a", "time_ms": 1_700_000_000_000}
    shadows.take([Search(**head, query="x")])
    assert shadows.sources == ["browse", "purchase", "attributes", "search"]


def test_users_seen_last_are_remembered(view) -> None:
    shadows = Shadows(Scripted(), 20, 2)
    for second, user in enumerate("abcacb"):
        shadows.take([view(second, user, "x")])
    report = shadows.taken()
    assert report is not None
    # a had been pushed out by c when it came again, and pushed out b; c alone was known still.
    assert report.n == 1


def test_shadows_that_split_off_lose_what_those_that_were_always_there_do(shop_log, of_path) -> None:
    shadows = Shadows(of_path(states=Latest(100)), 20, 100)
    always = Prequential([of_path(), *(of_path(take=WITHHELD[name]) for name in ("browse", "purchase"))])
    for event in shop_log:
        shadows.take([event])
        always.take([event])
    report, n_items = shadows.taken(), always.events.column("n_items")
    assert report is not None
    assert set(shadows.sources) == {"browse", "purchase"}
    assert report.n == len(always.events)
    whole, *without = (measured(found.ranks, n_items, 20)[:, 2].mean() for found in always.found)
    assert report.all_in["ndcg"] == pytest.approx(whole, abs=1e-6)
    assert [lost(report, name).left_out for name in ("browse", "purchase")] == pytest.approx(
        [whole - each for each in without], abs=1e-6
    )
    assert lost(report, "browse").left_out > 0.1


def test_one_that_split_off_goes_its_own_way(shop_log, of_path) -> None:
    whole: OfPath = of_path()
    alone: OfPath = of_path()
    for event in shop_log[:200]:
        whole.follow([event], learn=True)
        alone.follow([event], learn=True)
    other = whole.split("other", lambda event: None)
    for event in shop_log[200:]:
        assert other.follow([event], learn=True) == [None]
        assert whole.follow([event], learn=True) == alone.follow([event], learn=True)


def test_windows_together_have_the_error_of_users_over_all_of_them(view) -> None:
    # Of 40 users, half always want what is found: their trials are alike, so that users count and not trials.
    rng, shadows, windows = np.random.default_rng(1), Shadows(Scripted(), 20, 100), []
    for second in range(1_600):
        user = int(rng.integers(40))
        shadows.take([view(second, f"u{user}", "x" if user < 20 and rng.random() < 0.9 else "z")])
        windows += [shadows.taken()] if second % 20 == 19 else []
    for before, after in pairwise(windows[1:]):
        assert before.window_end_ms <= after.window_start_ms
    both = combined([each for each in windows if each])
    # The same again in one window.
    rng, once = np.random.default_rng(1), Shadows(Scripted(), 20, 100)
    for second in range(1_600):
        user = int(rng.integers(40))
        once.take([view(second, f"u{user}", "x" if user < 20 and rng.random() < 0.9 else "z")])
    one = lost(once.taken(), "browse")
    assert lost(both, "browse").left_out == pytest.approx(one.left_out, abs=1e-5)
    assert lost(both, "browse").left_out_error == pytest.approx(one.left_out_error, rel=0.4)


def test_a_smaller_share_of_the_users_is_part_of_a_larger() -> None:
    users = [f"u{n}".encode() for n in range(2_000)]
    tenth, half = ({user for user in users if in_slice(user, share)} for share in (0.1, 0.5))
    assert tenth < half
    assert (len(tenth) / 2_000, len(half) / 2_000) == pytest.approx((0.1, 0.5), abs=0.03)
    assert all(in_slice(user, 1.0) for user in users)


def test_every_source_that_can_be_withheld_is_told_of() -> None:
    assert tuple(SHADOWS.players) == CARRIED == tuple(WITHHELD)
