from collections import Counter

import msgspec
import numpy as np
import pytest

from models.kinds import Kind
from models.simulate.settings import SimulateSettings
from models.simulate.shop import Batch, ReadSlate, Shop
from schemas.catalog import Item, Promotion
from schemas.events import Browse, Cart, Click, Dismiss, Feedback, Impression, Purchase, Search
from schemas.topics import BROWSE, FEEDBACK, ITEMS, PROMOTIONS, PURCHASE, SEARCH

START_MS = 1_700_000_000_000
TYPES = {
    BROWSE: Browse,
    SEARCH: Search,
    PURCHASE: Purchase,
    FEEDBACK: Feedback,
    ITEMS: Item,
    PROMOTIONS: Promotion,
}
SMALL = SimulateSettings(
    n_items=400, n_categories=12, n_shoppers=800, events_per_s=100.0, gap_s=1.0, day_s=60.0
)


def a_shop(settings: SimulateSettings = SMALL) -> Shop:
    return Shop(settings, np.random.default_rng(settings.seed), START_MS)


def run(shop: Shop, until_s: float) -> Batch:
    return shop.advance(until_s, START_MS + round(until_s * 1000))


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert run(a_shop(), 30.0)[:4] == run(a_shop(), 30.0)[:4]


def test_another_seed_gives_other_bytes() -> None:
    assert run(a_shop(), 10.0).values != run(a_shop(SMALL.model_copy(update={"seed": 8})), 10.0).values


def test_how_often_the_shop_is_asked_does_not_change_what_happens() -> None:
    often, once = a_shop(), a_shop()
    pieces = [run(often, until_s) for until_s in (3.0, 3.5, 11.0, 20.0)]
    values = [
        value for piece in pieces for value, kind in zip(piece.values, piece.truth.kind, strict=True) if kind
    ]
    whole = run(once, 20.0)
    assert values == [value for value, kind in zip(whole.values, whole.truth.kind, strict=True) if kind]


def test_every_clean_record_is_valid() -> None:
    batch = run(a_shop(), 60.0)
    for topic, key, value in zip(batch.topics, batch.keys, batch.values, strict=True):
        if value is not None:
            decoded = msgspec.json.decode(value, type=TYPES[topic])
            own = {ITEMS: "item_id", PROMOTIONS: "promotion_id"}.get(topic, "user_id")
            assert key.decode() == getattr(decoded, own)
    assert set(batch.topics) == set(TYPES)


def test_only_promotions_are_ever_removed() -> None:
    batch = run(a_shop(), 60.0)
    removed = {topic for topic, value in zip(batch.topics, batch.values, strict=True) if value is None}
    assert removed == {PROMOTIONS}


def test_event_times_are_in_order_within_the_world_s_time_span() -> None:
    shop = a_shop()
    times: list[int] = []
    now_ms = START_MS
    for until_s, span_ms in ((1.0, 50), (2.0, 4_000), (9.0, 10)):
        now_ms += span_ms
        batch = shop.advance(until_s, now_ms)
        times += [t for t, kind in zip(batch.time_ms, batch.truth.kind, strict=True) if kind]
        assert times == sorted(times)
        assert times[0] >= START_MS
        assert times[-1] <= now_ms


def test_time_does_not_go_back() -> None:
    shop = a_shop()
    run(shop, 2.0)
    with pytest.raises(ValueError, match="cannot go back to 1 s"):
        run(shop, 1.0)


def test_the_mean_rate_is_as_asked() -> None:
    settings = SMALL.model_copy(update={"day_s": 50.0})
    batch = run(a_shop(settings), 100.0)  # two whole days, so that the rhythm cancels out
    assert batch.n == pytest.approx(100.0 * settings.events_per_s, rel=0.15)


def test_the_rate_follows_the_daily_rhythm() -> None:
    settings = SMALL.model_copy(update={"day_s": 100.0, "rhythm": 1.0})
    shop = a_shop(settings)
    day, night = run(shop, 50.0), run(shop, 100.0)
    assert day.n > 2 * night.n


def test_the_catalogue_holds_the_items_on_offer() -> None:
    entries = [entry for entry in a_shop().catalogue() if isinstance(entry, Item)]
    # A tenth of the 400 items is launched later.
    assert len({entry.item_id for entry in entries}) == 360
    assert all(entry.category and entry.brand and entry.price and entry.title for entry in entries)


def test_items_are_announced_before_they_are_looked_at() -> None:
    shop = a_shop()
    known = {entry.item_id for entry in shop.catalogue() if isinstance(entry, Item)}
    batch = run(shop, 60.0)
    for topic, key, value in zip(batch.topics, batch.keys, batch.values, strict=True):
        if topic == ITEMS:
            known.add(key.decode())
        elif topic == BROWSE and value is not None:
            assert msgspec.json.decode(value, type=Browse).item_id in known
    assert len(known) > 360


def test_searches_name_what_the_shop_sells() -> None:
    shop = a_shop()
    nouns = {entry.title.split(",")[0].split()[-1] for entry in shop.catalogue() if isinstance(entry, Item)}
    batch = run(shop, 20.0)
    queries = [
        msgspec.json.decode(value, type=Search).query
        for topic, value in zip(batch.topics, batch.values, strict=True)
        if topic == SEARCH and value is not None
    ]
    assert queries
    assert all(query.split()[-1] in nouns for query in queries)


def test_the_oracle_beats_popularity_by_far() -> None:
    settings = SMALL.model_copy(update={"oracle_share": 1.0, "k": 10, "bot_share": 0.0})
    truth = run(a_shop(settings), 60.0).truth
    looks = (truth.kind == Kind.VIEW) & (truth.oracle >= 0)
    counts: Counter[int] = Counter()
    popular_hits = 0
    for item in truth.item[looks].tolist():
        popular_hits += item in {best for best, _ in counts.most_common(10)}
        counts[item] += 1
    assert looks.sum() > 2_000
    assert truth.oracle[looks].mean() > 3 * popular_hits / looks.sum()


def test_tastes_drift() -> None:
    settings = SMALL.model_copy(update={"day_s": 2.0, "drift_days": 5.0})
    shop = a_shop(settings)
    before = shop.tastes()
    run(shop, 1.0)
    soon = shop.tastes()
    run(shop, 100.0)
    later = shop.tastes()
    assert 0.0 < np.abs(soon - before).mean() < 0.3 * np.abs(later - before).mean()


def clicks_on(pick: str) -> tuple[int, int, Counter[type]]:
    """Impressions and clicks when shoppers read the oracle's slates, or the same items in the wrong hands."""
    settings = SMALL.model_copy(update={"look_share": 1.0, "bot_share": 0.0})
    shop = a_shop(settings)
    item_ids = sorted(entry.item_id for entry in shop.catalogue() if isinstance(entry, Item))
    rng = np.random.default_rng(3)
    n_impressions = n_clicks = 0
    kinds: Counter[type] = Counter()
    for second in range(1, 41):
        batch = run(shop, float(second))
        events = [
            msgspec.json.decode(value, type=TYPES[topic])
            for topic, value in zip(batch.topics, batch.values, strict=True)
            if value is not None and topic in (BROWSE, FEEDBACK)
        ]
        kinds.update(type(event) for event in events if getattr(event, "slate_id", None))
        users = list(dict.fromkeys(event.user_id for event in events))[:20]
        slates = [
            ReadSlate(
                user,
                f"slate-{second}-{user}",
                shop.best(user, 10) if pick == "liked" else rng.choice(item_ids, 10, replace=False).tolist(),
            )
            for user in users
        ]
        reactions = shop.react(slates)
        n_impressions += reactions.n_impressions
        n_clicks += reactions.n_clicks
    return n_impressions, n_clicks, kinds


def test_slates_of_liked_items_are_clicked_more_than_random_ones() -> None:
    liked_shown, liked_clicks, kinds = clicks_on("liked")
    random_shown, random_clicks, _ = clicks_on("random")
    assert min(liked_shown, random_shown) > 300
    assert liked_clicks / liked_shown > 2 * random_clicks / random_shown
    assert {Impression, Click, Browse, Cart} <= set(kinds)


def test_slates_are_clicked_near_the_top() -> None:
    settings = SMALL.model_copy(update={"look_share": 1.0})
    shop = a_shop(settings)
    item_ids = sorted(entry.item_id for entry in shop.catalogue() if isinstance(entry, Item))
    positions: list[int] = []
    for second in range(1, 31):
        batch = run(shop, float(second))
        for topic, value in zip(batch.topics, batch.values, strict=True):
            if topic == FEEDBACK and value is not None:
                event = msgspec.json.decode(value, type=Feedback)
                if isinstance(event, Click | Dismiss) and event.position is not None:
                    positions.append(event.position)
        shop.react([ReadSlate(f"u{row:06d}", f"s{row}", item_ids[row % 300 :][:20]) for row in range(800)])
    assert len(positions) > 50
    assert np.mean(positions) < 9.5  # the middle of 20 positions


def test_a_slate_is_read_once_an_act() -> None:
    settings = SMALL.model_copy(update={"look_share": 1.0})
    shop = a_shop(settings)
    run(shop, 5.0)
    slates = [ReadSlate(f"u{row:06d}", "s", ["i00001"]) for row in range(800)]
    assert shop.react(slates).n_impressions > 0
    assert shop.react(slates).n_impressions == 0


def test_strangers_and_unknown_items_do_no_harm() -> None:
    shop = a_shop(SMALL.model_copy(update={"look_share": 1.0}))
    run(shop, 5.0)
    assert shop.react([ReadSlate("nobody", "s", ["i00001"])]).n_impressions == 0
    shown = shop.react([ReadSlate(f"u{row:06d}", "s", ["gone"]) for row in range(800)])
    assert shown.n_impressions > 0
    assert shown.n_clicks == 0
    run(shop, 6.0)


def test_bots_look_at_much_and_buy_nothing() -> None:
    settings = SMALL.model_copy(update={"bot_share": 0.02})
    truth = run(a_shop(settings), 60.0).truth
    bots = truth.bot
    assert bots.sum() > 500
    assert set(truth.kind[bots].tolist()) == {Kind.VIEW}
