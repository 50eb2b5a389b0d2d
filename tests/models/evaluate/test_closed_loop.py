from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from models.evaluate.closed_loop import START_MS, Loop, Outcome, Tally, play
from models.evaluate.of_path import LoggedRecord
from models.evaluate.standing import compare, course, mean_interval, measures, t_975
from models.evaluate.strategies import Asked, OfPath, Popular, Random
from models.kinds import Kind
from models.path import Path
from models.path_settings import PathSettings
from models.simulate.settings import FaultSettings, SimulateSettings
from models.simulate.shift import Shift
from models.simulate.shop import Batch, Shop, Truth
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent, Browse, Cart, Click, Impression, Line, Purchase

SHOP = SimulateSettings(
    seed=5,
    n_items=200,
    n_categories=8,
    n_shoppers=400,
    events_per_s=30.0,
    gap_s=4.0,
    day_s=120.0,
    look_share=1.0,
    oracle_share=0.0,
    bot_share=0.0,
    slice_events=30,
)
LOOP = Loop(duration_s=120.0, step_s=1.0, n_bins=4, k=10, new_s=60.0)


def random(_: Shop, seed: int) -> Random:
    return Random(LOOP.k, np.random.default_rng(seed))


def popular(_shop: Shop, _seed: int) -> Popular:
    return Popular(LOOP.k)


def best(shop: Shop, _: int) -> Asked:
    return Asked(LOOP.k, shop.most_appealing)


@pytest.fixture(scope="module")
def by_name() -> dict[str, Outcome]:
    return {make.__name__: play(SHOP, make, LOOP) for make in (best, popular, random)}


def equal(a: Outcome, b: Outcome) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_seed_gives_the_same_outcome(by_name: dict[str, Outcome]) -> None:
    assert equal(play(SHOP, random, LOOP), by_name["random"])


def test_what_shoppers_want_is_clicked_most_and_chance_least(by_name: dict[str, Outcome]) -> None:
    rate = {name: measures(outcome)["expected_click_rate"] for name, outcome in by_name.items()}
    assert rate["best"] > 1.5 * rate["popular"] > 1.5 * rate["random"] > 0.0


def test_the_best_slates_leave_no_regret(by_name: dict[str, Outcome]) -> None:
    assert measures(by_name["best"])["regret"] == 0.0
    assert measures(by_name["random"])["regret"] > 0.0


def test_clicks_come_as_often_as_expected(by_name: dict[str, Outcome]) -> None:
    for outcome in by_name.values():
        n, found = outcome.impressions.sum(), measures(outcome)
        # The variance of a sum of rare events is at most its mean.
        assert abs(found["click_rate"] - found["expected_click_rate"]) < 4 * np.sqrt(
            found["expected_click_rate"] / n
        )


def test_whoever_looks_always_reads_each_slate_offered(by_name: dict[str, Outcome]) -> None:
    for outcome in by_name.values():
        # What was read in the last step is told after the end.
        missing = outcome.offered.sum() - outcome.impressions.sum()
        assert 0 <= missing < 0.02 * outcome.offered.sum()


def test_the_path_ranks_better_than_chance(path_settings: PathSettings, by_name: dict[str, Outcome]) -> None:
    outcome = play(SHOP, lambda shop, seed: OfPath(Path(path_settings)), LOOP)
    assert outcome.impressions.sum() > 500
    chance = measures(by_name["random"])["expected_click_rate"]
    assert measures(outcome)["expected_click_rate"] > 1.2 * chance


def test_clicks_lead_to_carts_and_purchases(by_name: dict[str, Outcome]) -> None:
    clicks, carts, bought = (
        by_name["best"]._asdict()[name].sum() for name in ("clicks", "carts", "purchases")
    )
    assert clicks > carts > bought > 0


def test_new_items_are_told_apart(by_name: dict[str, Outcome]) -> None:
    # 40 launches a day, and a day of 120 s: chance shows each of them as it shows any other.
    others, new = by_name["random"].shown.sum(axis=0)
    assert 0.02 < new / (others + new) < 0.15


def test_a_shift_changes_what_comes_after_it_only(by_name: dict[str, Outcome]) -> None:
    shift = Shift(swapped_share=1.0, same_category=-2.0)
    shifted = play(SHOP, best, replace(LOOP, shift=shift, shift_at_s=60.0))
    assert equal(shifted.between(0.0, 0.5), by_name["best"].between(0.0, 0.5))
    assert not equal(shifted.between(0.5, 1.0), by_name["best"].between(0.5, 1.0))


def test_a_shop_that_would_react_too_late_is_refused() -> None:
    with pytest.raises(ValueError, match="set slice_events to 30 or less"):
        play(SHOP.model_copy(update={"slice_events": 31}), random, LOOP)


def test_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="leave the rates of all faults at 0"):
        play(SHOP.model_copy(update={"faults": FaultSettings(duplicate=0.1)}), random, LOOP)


def test_a_loop_shorter_than_its_stretches_is_refused() -> None:
    with pytest.raises(ValueError, match="have no 20 stretches"):
        Loop(duration_s=30.0, step_s=2.0)


class Events:
    """Records of events, or a batch of the shop, by hand."""

    def __init__(self) -> None:
        self._n = 0

    def record(self, event: AnyEvent | Item) -> LoggedRecord:
        self._n += 1
        topic = topics.ITEMS if isinstance(event, Item) else topics.of_event(event)
        key = event.item_id if isinstance(event, Item) else event.user_id
        return LoggedRecord(topic, 0, self._n, event.time_ms, key.encode(), msgspec.json.encode(event))


def head(user: str = "u", session: str = "s") -> dict[str, Any]:
    return {"event_id": "e", "user_id": user, "time_ms": START_MS, "session_id": session}


def item(item_id: str, *, available: bool = True) -> Item:
    return Item(item_id=item_id, time_ms=START_MS, available=available)


KINDS = {Impression: Kind.IMPRESSION, Click: Kind.CLICK, Cart: Kind.CART, Purchase: Kind.PURCHASE}


def a_batch(events: Sequence[AnyEvent | Item]) -> Batch:
    records = [Events().record(event) for event in events]
    kinds = [KINDS.get(type(event), 0) for event in events]
    from_slate = [getattr(event, "position", None) is not None for event in events]
    truth = Truth.of_catalogue(len(events))._replace(
        kind=np.array(kinds, np.uint8), from_slate=np.array(from_slate)
    )
    return Batch(
        [record.topic for record in records],
        [record.key for record in records],
        [record.value for record in records],
        [record.timestamp for record in records],
        truth,
    )


def tallied(*steps: Sequence[AnyEvent | Item]) -> Outcome:
    """Steps at 1 s, 2 s and so on, all of one stretch; old items are a and b, and new is who is under 10 s."""
    tally = Tally(Loop(n_bins=1, new_s=10.0), {"a", "b"})
    for second, events in enumerate(steps, start=1):
        tally.turn_to(0, float(second))
        tally.count(a_batch(events))
    return tally.outcome()


def click(item_id: str, **more: Any) -> Click:
    return Click(item_id=item_id, slate_id="x", position=0, **{**head(), **more})


def order(*items: str, session: str = "s") -> Purchase:
    return Purchase(lines=[Line(item_id=each) for each in items], **head(session=session))


def test_impressions_and_clicks_are_counted_by_the_age_of_the_item() -> None:
    outcome = tallied(
        [item("n"), Impression(slate_id="x", item_ids=["a", "n", "b"], **head())], [click("n")], [click("a")]
    )
    assert outcome.impressions.tolist() == [1.0]
    assert outcome.shown.tolist() == [[2.0, 1.0]]
    assert outcome.clicks.tolist() == [[1.0, 1.0]]


def test_items_grow_old() -> None:
    # 1 s and 11 s after its launch.
    outcome = tallied([item("n")], [click("n")], *([item("a")] for _ in range(9)), [click("n")])
    assert outcome.clicks.tolist() == [[1.0, 1.0]]


def test_an_old_item_that_is_announced_again_is_not_new() -> None:
    assert tallied([item("a")], [click("a")]).clicks.tolist() == [[1.0, 0.0]]


def test_purchases_count_that_a_click_in_the_session_brought_about() -> None:
    # a was clicked, b was not; the purchase in the other session came too late for a.
    outcome = tallied([click("a")], [order("a", "b")], [order("a", session="later")])
    assert outcome.purchases.tolist() == [[1.0, 0.0]]


def test_clicks_of_an_earlier_session_are_forgotten() -> None:
    outcome = tallied([click("a")], [click("b", session_id="later")], [order("a", "b", session="later")])
    assert outcome.purchases.tolist() == [[1.0, 0.0]]


def test_carts_count_that_a_slate_led_to() -> None:
    led = Cart(item_id="a", slate_id="x", position=0, **head())
    own = Cart(item_id="b", **head())
    assert tallied([led, own]).carts.tolist() == [[1.0, 0.0]]


def look(user: str, item_id: str) -> Browse:
    return Browse(item_id=item_id, **head(user))


def slates_of(strategy: Any, *events: AnyEvent | Item) -> dict[str, list[str]]:
    make = Events()
    found = strategy.follow([make.record(event) for event in events], START_MS)
    assert len({slate.slate_id for slate in found}) == len(found)
    return {slate.user_id: list(slate.item_ids) for slate in found}


def test_popular_items_come_first_on_a_tie_the_one_wanted_first() -> None:
    events = [look("u", "b"), look("v", "a"), look("v", "c"), look("w", "c")]
    found = slates_of(Popular(2), item("a"), item("b"), item("c"), *events)
    assert found == {user: ["c", "b"] for user in "uvw"}


def test_popular_items_that_were_seen_can_be_left_out() -> None:
    events = [look("u", "b"), look("v", "a"), look("v", "c"), look("w", "c")]
    found = slates_of(Popular(2, unseen=True), item("a"), item("b"), item("c"), *events)
    assert found == {"u": ["c", "a"], "v": ["b"], "w": ["b", "a"]}


def test_what_is_sold_out_is_not_offered() -> None:
    strategy = Popular(2)
    slates_of(strategy, item("a"), item("b"), look("u", "a"), look("u", "b"))
    assert slates_of(strategy, item("a", available=False), look("u", "b")) == {"u": ["b"]}


def test_random_items_are_for_sale_and_differ() -> None:
    entries = [*(item(f"i{n}") for n in range(30)), item("gone", available=False)]
    found = slates_of(Random(29, np.random.default_rng(1)), *entries, look("u", "i1"))["u"]
    assert len(set(found)) == 29
    assert "gone" not in found


def test_impressions_are_answered_by_no_slate() -> None:
    silent = Impression(slate_id="x", item_ids=["a"], **head())
    assert slates_of(Random(1, np.random.default_rng(1)), item("a"), silent) == {}


def test_somebody_else_is_asked_for_all_users_at_once() -> None:
    asked: list[list[str]] = []

    def ask(user_ids: Sequence[str], k: int) -> list[list[str]]:
        asked.append(list(user_ids))
        return [[f"for {user_id}"] * k for user_id in user_ids]

    found = slates_of(Asked(2, ask), look("u", "a"), look("v", "a"), look("u", "b"))
    assert asked == [["u", "v"]]
    assert found == {"u": ["for u", "for u"], "v": ["for v", "for v"]}


def test_the_path_serves_what_the_catalogue_describes(path_settings: PathSettings) -> None:
    strategy = OfPath(Path(path_settings))
    entries = [item("a"), item("b"), item("c", available=False)]
    slates_of(strategy, *entries, *(look("u", item_id) for item_id in "abc"))
    assert slates_of(strategy, look("v", "a"))["v"]
    assert "c" not in slates_of(strategy, look("w", "a"))["w"]


@pytest.fixture
def outcome() -> Callable[..., Outcome]:
    """Two stretches; clicks (B,) on other items."""

    def make(clicks: Sequence[float], impressions: Sequence[float] = (10.0, 10.0)) -> Outcome:
        columns = {name: np.zeros((2, 2)) for name in ("shown", "dismissals", "carts", "purchases")}
        return Outcome(
            impressions=np.array(impressions),
            offered=np.array([20.0, 20.0]),
            expected=np.array([2.0, 4.0]),
            best=np.array([4.0, 5.0]),
            clicks=np.array([[n, 0.0] for n in clicks]),
            **columns,
        )

    return make


def test_rates_are_of_impressions_and_regret_is_of_what_was_offered(outcome: Callable[..., Outcome]) -> None:
    found = measures(outcome([1.0, 3.0]))
    assert found["click_rate"] == pytest.approx(4 / 20)
    assert found["expected_click_rate"] == pytest.approx(6 / 40)
    assert found["regret"] == pytest.approx(3 / 40)
    assert np.isnan(found["share_of_new_items"])  # no item was shown


def test_differences_are_taken_seed_by_seed(outcome: Callable[..., Outcome]) -> None:
    # Click rates 1/20, 3/20, 5/20 and each 1/20 more: the seeds differ, the differences do not.
    ours = [outcome([n, 0.0]) for n in (1.0, 3.0, 5.0)]
    theirs = [outcome([n, 1.0]) for n in (1.0, 3.0, 5.0)]
    first, second = compare({"ours": ours, "theirs": theirs})
    assert first.differences["click_rate"] == pytest.approx((0.0, 0.0, 0.0))
    assert second.differences["click_rate"] == pytest.approx((0.05, 0.05, 0.05))
    # Mean 0.2, deviation 0.1, error 0.1 / sqrt(3), times 4.3027.
    assert second.measures["click_rate"] == pytest.approx((0.2, 0.2 - 0.24842, 0.2 + 0.24842), abs=1e-4)
    assert second.by_seed["click_rate"] == pytest.approx([0.1, 0.2, 0.3])
    assert second.counts["clicks"] == 12
    assert second.measures["share_of_new_items"] is None


def test_only_the_time_asked_for_counts(outcome: Callable[..., Outcome]) -> None:
    (late,) = compare({"ours": [outcome([7.0, 1.0]), outcome([7.0, 3.0])]}, 0.5, 1.0)
    assert late.counts["clicks"] == 4
    assert late.by_seed["click_rate"] == pytest.approx([0.1, 0.3])


def test_a_comparison_can_be_written(outcome: Callable[..., Outcome]) -> None:
    found = compare({"ours": [outcome([7.0, 1.0])]})
    assert b"NaN" not in msgspec.json.encode(found)


def test_the_course_adds_up_what_was_lost(outcome: Callable[..., Outcome]) -> None:
    found = course([outcome([1.0, 3.0]), outcome([1.0, 5.0])])
    assert found.click_rate == pytest.approx([0.1, 0.4])
    assert found.regret == pytest.approx([0.1, 0.05])
    # A seed reads 10 slates a stretch: 10 * 0.1, then 10 * 0.05 more.
    assert found.lost_clicks == pytest.approx([1.0, 1.5])


def test_a_stretch_without_impressions_has_no_rate(outcome: Callable[..., Outcome]) -> None:
    assert course([outcome([1.0, 0.0], impressions=[10.0, 0.0])]).click_rate == [pytest.approx(0.1), None]


def test_students_t_is_that_of_the_tables() -> None:
    assert [t_975(n) for n in (1, 9)] == [12.7062, 2.2622]
    assert [t_975(n) for n in (10, 30, 120)] == pytest.approx([2.2281, 2.0423, 1.9799], abs=2e-4)


def test_an_interval_needs_two_runs() -> None:
    assert mean_interval(np.array([1.0, np.nan])) is None
    assert mean_interval(np.array([1.0, np.nan, 1.0])) == (1.0, 1.0, 1.0)
