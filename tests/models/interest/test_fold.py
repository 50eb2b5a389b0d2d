from math import log1p

import pytest

from models.interest.evidence import Details, band, dwell_factor, touches
from models.interest.fold import Outcome, fold
from models.interest.settings import InterestSettings
from models.interest.state import AFFINITY, State, interactions, last_query, traits
from models.kinds import Kind
from schemas.events import (
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Line,
    Purchase,
    Rating,
    Search,
    Wishlist,
)

SETTINGS = InterestSettings(half_lives_s=(10.0, 100.0, 1000.0), typical_dwell_s=20.0)
BROWSE, FEEDBACK = "events.browse", "events.feedback"


def browse(event_id="b", time_s=0, item="i", **more):
    return Browse(event_id=event_id, user_id="u", time_ms=int(time_s * 1000), item_id=item, **more)


def of(kind, event_id="f", time_s=0, **more):
    return kind(event_id=event_id, user_id="u", time_ms=int(time_s * 1000), **more)


def folded(*events, settings=SETTINGS, catalogue=None):
    state = State()
    fold(state, [(BROWSE, 0, i, event) for i, event in enumerate(events)], settings, catalogue)
    return state


def affinities(affinity):
    return dict(zip(affinity.keys, AFFINITY.iter_unpack(affinity.rows), strict=True))


def test_a_weight_halves_at_each_half_life():
    # Views at 0 s and 10 s: at 10 s the first has decayed to 2^-1, 2^-0.1 and 2^-0.01.
    state = folded(browse("a", 0, category="c"), browse("b", 10, category="c"))
    time_ms, *weights = affinities(state.categories)["c"]
    assert time_ms == 10_000
    assert weights == pytest.approx([1.5, 1 + 2**-0.1, 1 + 2**-0.01], rel=1e-12)


def test_a_late_event_is_weighed_as_if_it_had_come_in_time():
    late = folded(browse("b", 10, category="c"), browse("a", 0, category="c"))
    in_time = folded(browse("a", 0, category="c"), browse("b", 10, category="c"))
    assert affinities(late.categories)["c"] == pytest.approx(affinities(in_time.categories)["c"], rel=1e-12)


def test_dwell_and_rating_scale_the_weight():
    # 20 s is typical: factor 1/2 + 20/40 = 1. 60 s: 1/2 + 60/80 = 1.25. None at all: 1/2.
    assert [dwell_factor(ms, 20.0) for ms in (20_000, 60_000, 0)] == [1.0, 1.25, 0.5]
    events = [
        browse(dwell_ms=60_000),
        of(Dwell, item_id="i", dwell_ms=20_000),
        of(Rating, item_id="i", rating=0.75),
    ]
    # A view weighs 1, a dwell 1/2, a rating 2: 1.25 * 1, 1 * 0.5, 0.75 * 2.
    assert [touches(event, SETTINGS)[0].weight for event in events] == [1.25, 0.5, 1.5]


def test_the_kinds_weigh_what_they_are_worth():
    events = [of(Click, item_id="i"), of(Wishlist, item_id="i"), of(Cart, item_id="i")]
    assert [touches(event, SETTINGS)[0].weight for event in events] == [1.0, 2.0, 3.0]


def test_the_worst_rating_is_no_interest():
    state = folded(of(Rating, item_id="i", rating=0.0))
    assert state.n_events == 1
    assert state.recents.items == []


def test_each_line_of_an_order_is_an_interaction_and_a_purchase():
    lines = [Line(item_id="x", price=7.0, promotion_id="p"), Line(item_id="y", brand="b", store_id="s")]
    state = folded(of(Purchase, time_s=5, lines=lines))
    first, second = interactions(state.recents)
    assert (first.item, first.line, first.kind, first.price, first.weight) == (
        "x",
        0,
        Kind.PURCHASE,
        7.0,
        5.0,
    )
    assert (second.item, second.line) == ("y", 1)
    assert state.bought == {"x": 5000, "y": 5000}
    assert state.brands.keys == ["b"]
    assert state.stores.keys == ["s"]
    # 2 * log2(1 + 7) = 6
    assert state.bands.keys == [band(7.0)] == ["6"]


def test_traits_are_means_over_what_was_seen_and_bought():
    state = folded(
        browse("a", 0, "x", price=1.0),
        browse("b", 0, "x", price=7.0),
        of(Purchase, "p", 0, lines=[Line(item_id="y", promotion_id="p"), Line(item_id="z")]),
    )
    # Mean of log 2 and log 8 is log 4: a price of 3. One line of two was promoted. x, x, y, z: 3 of 4 new.
    assert traits(state) == pytest.approx((3.0, 0.5, 0.75))
    assert state.log_price.total == pytest.approx(log1p(1.0) + log1p(7.0))


def test_traits_of_nobody_are_unknown():
    assert [value != value for value in traits(State())] == [True, True, True]


def test_a_dismissal_is_kept_apart():
    state = folded(browse("a", 0, "x"), of(Dismiss, "d", 3, item_id="x"))
    assert state.dismissed == {"x": 3000}
    assert state.recents.items == ["x"]


def test_impressions_are_counted_only():
    state = folded(of(Impression, item_ids=["x", "y"]))
    assert (state.n_events, state.n_impressions) == (1, 1)
    assert state.recents.items == []


def test_a_search_strengthens_its_terms_and_is_remembered_for_a_while():
    state = folded(of(Search, time_s=100, query="Red  SHOES", category="shoes"))
    assert affinities(state.terms) == {"red": (1e5, 0.5, 0.5, 0.5), "shoes": (1e5, 0.5, 0.5, 0.5)}
    assert state.categories.keys == ["shoes"]
    # query_s is 600: it explains what comes from 100 s to 700 s.
    asked = [last_query(state, t * 1000, SETTINGS) for t in (99, 100, 700, 701)]
    assert asked == [None, "red shoes", "red shoes", None]


def test_the_catalogue_fills_in_what_the_event_leaves_out():
    catalogue = {"i": Details("c", "b", 3.0, "s")}.get
    state = folded(browse(brand="own"), of(Click, time_s=1, item_id="unknown"), catalogue=catalogue)
    assert state.categories.keys == ["c"]
    assert state.brands.keys == ["own"]
    assert state.stores.keys == ["s"]
    assert next(interactions(state.recents)).price == 3.0


def test_the_latest_platform_is_kept():
    state = folded(browse("a", 9, platform="app"), browse("b", 5, platform="web"), browse("c", 10))
    assert state.platform.name == "app"
    assert state.latest_ms == 10_000


def test_recents_are_the_latest_by_event_time_however_late_they_come():
    settings = InterestSettings(max_interactions=3)
    state = folded(*(browse(f"e{t}", t, f"i{t}") for t in (4, 1, 5, 3, 2)), settings=settings)
    assert state.recents.items == ["i3", "i4", "i5"]


def test_bought_items_beyond_the_cap_are_the_oldest():
    settings = InterestSettings(max_bought=2)
    orders = [of(Purchase, f"p{t}", t, lines=[Line(item_id=i)]) for t, i in ((1, "x"), (3, "y"), (2, "z"))]
    assert folded(*orders, settings=settings).bought == {"y": 3000, "z": 2000}


def test_eviction_keeps_the_strongest_three_quarters():
    settings = InterestSettings(max_brands=4, half_lives_s=(10.0, 10.0, 10.0))
    # At 10 s: a twice at 0 s weighs 1.0, b and c at 0 s 0.5, d and e at 10 s 1.0. Of five, three stay.
    times = [("a", 0), ("a", 0), ("b", 0), ("c", 0), ("d", 10), ("e", 10)]
    events = [browse(f"{n}", t, brand=brand) for n, (brand, t) in enumerate(times)]
    assert folded(*events, settings=settings).brands.keys == ["a", "d", "e"]


def test_of_equally_weak_keys_the_last_by_name_go():
    settings = InterestSettings(max_brands=4)
    state = folded(*(browse(brand, 0, brand=brand) for brand in "edcba"), settings=settings)
    assert state.brands.keys == ["c", "b", "a"]


class TestOutcomes:
    def test_an_event_seen_again_at_its_own_offset_is_replayed(self):
        state = State()
        arrival = (BROWSE, 2, 7, browse("e"))
        assert fold(state, [arrival, arrival], SETTINGS) == [Outcome.FRESH, Outcome.REPLAYED]
        assert state.stamps == {"events.browse-2": 7}

    def test_a_copy_at_another_offset_or_on_another_topic_is_a_duplicate(self):
        state = State()
        fold(state, [(BROWSE, 2, 7, browse("e"))], SETTINGS)
        copies = [(BROWSE, 2, 8, browse("e")), (FEEDBACK, 2, 7, browse("e"))]
        assert fold(state, copies, SETTINGS) == [Outcome.DUPLICATE] * 2
        assert state.n_events == 1
        assert state.stamps == {"events.browse-2": 8, "events.feedback-2": 7}

    def test_copies_stay_duplicates_when_replayed_and_the_original_stays_the_original(self):
        state = State()
        log = [(BROWSE, 0, 5, browse("e")), (BROWSE, 0, 6, browse("e")), (BROWSE, 0, 7, browse("f"))]
        assert fold(state, log, SETTINGS) == [Outcome.FRESH, Outcome.DUPLICATE, Outcome.FRESH]
        assert fold(state, log, SETTINGS) == [Outcome.REPLAYED, Outcome.DUPLICATE, Outcome.REPLAYED]

    def test_out_of_the_window_the_offset_alone_decides(self):
        settings = InterestSettings(max_events=2)
        state = State()
        log = [(BROWSE, 0, t, browse(f"e{t}", t)) for t in range(4)]
        fold(state, log, settings)
        again = [log[0], (BROWSE, 0, 9, browse("e0", 0))]
        assert fold(state, again, settings) == [Outcome.REPLAYED, Outcome.FRESH]

    def test_the_stamp_least_recently_advanced_makes_room(self):
        settings = InterestSettings(max_stamps=2)
        state = State()
        places = [(0, 1), (1, 1), (0, 2), (2, 1)]
        fold(state, [(BROWSE, p, o, browse(f"{p}{o}")) for p, o in places], settings)
        assert state.stamps == {"events.browse-0": 2, "events.browse-2": 1}
