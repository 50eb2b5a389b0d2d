"""Each reason why an item is not in the slate, by a case made for it."""

import pytest

from models.rank.explore_settings import ExploreSettings
from models.rank.settings import RankSettings
from schemas.catalog import Item
from schemas.events import Browse, Dismiss, Purchase
from schemas.explain import ABSENT


def reasons(told):
    assert all(absent.detail == ABSENT[absent.reason] for absent in told.asked.absent)
    return [absent.reason for absent in told.asked.absent]


def test_an_item_in_the_slate_is_not_absent(shop, crowd):
    made = crowd(shop())
    made.take(Browse, "me", item_id="a")
    told = made.explain("me", "b")
    assert reasons(told) == []
    assert told.asked == told.items[told.asked.place - 1]


def test_an_item_that_nobody_has_seen_is_unknown(shop, crowd):
    told = crowd(shop()).explain("u0", "never")
    assert reasons(told) == ["unknown"]
    assert (told.asked.rank, told.asked.score, told.asked.sources) == (None, None, [])


def test_what_was_viewed_in_the_session_is_left_out_unless_the_settings_let_it_through(shop, crowd):
    made = crowd(shop())
    made.take(Browse, "me", item_id="a")
    made.at = 2.0
    made.take(Browse, "me", item_id="b")
    (absent,) = made.explain("me", "a", minute=3.0).asked.absent
    assert (absent.reason, absent.event.kind, absent.event.age_s) == ("viewed", "view", 180.0)

    made = crowd(shop(rank=RankSettings(filter_viewed=False)))
    made.take(Browse, "me", item_id="a")
    made.take(Browse, "me", item_id="b")
    assert reasons(made.explain("me", "a")) == []


def test_what_was_bought_is_left_out_long_after(shop, crowd):
    made = crowd(shop())
    made.take(Purchase, "me", lines=[{"item_id": "b"}])
    made.at = 120.0  # another session
    made.take(Browse, "me", item_id="a")
    (absent,) = made.explain("me", "b").asked.absent
    assert (absent.reason, absent.event.kind, absent.event.age_s) == ("bought", "purchase", 7_200.0)


def test_what_was_dismissed_is_left_out_and_sources_that_name_it_are_told(shop, crowd):
    made = crowd(shop())
    made.take(Browse, "me", item_id="a")
    made.take(Dismiss, "me", item_id="b")
    told = made.explain("me", "b")
    (absent,) = told.asked.absent
    assert (absent.reason, absent.event.kind) == ("dismissed", "dismiss")
    named = {says.source: says for says in told.asked.sources}
    assert named["covisitation"].because == "a"
    assert named["covisitation"].contribution is None, "it was never scored"


def test_every_reason_that_holds_is_told(shop, crowd):
    made = crowd(shop())
    made.take(Browse, "me", item_id="b")
    made.take(Purchase, "me", lines=[{"item_id": "b"}])
    made.describe(Item(item_id="b", time_ms=0, available=False))
    assert reasons(made.explain("me", "b")) == ["viewed", "bought", "unavailable"]


def test_what_the_catalogue_calls_unavailable_is_left_out(shop, crowd):
    made = crowd(shop())
    made.describe(Item(item_id="b", time_ms=0, available=False))
    made.take(Browse, "me", item_id="a")
    assert reasons(made.explain("me", "b")) == ["unavailable"]


def test_an_item_that_no_source_names_is_no_candidate(shop, crowd):
    made = crowd(shop())
    made.describe(Item(item_id="shelf", time_ms=0, title="a thing"))
    made.take(Browse, "me", item_id="a")
    assert reasons(made.explain("me", "shelf")) == ["no_source"]


def test_a_score_that_is_not_above_zero_gives_no_place(shop, crowd):
    made = crowd(shop(rank=RankSettings(default_weight=0.0, source_weights={"search": 1.0})))
    made.path.learning = None
    made.take(Browse, "me", item_id="a")
    told = made.explain("me", "b")
    assert told.items == []
    assert reasons(told) == ["worthless"]
    assert told.asked.score == 0.0


def test_others_score_higher(shop, crowd):
    made = crowd(shop(slate_length=1, rank=RankSettings(mmr_lambda=1.0)))
    made.take(Browse, "me", item_id="a")
    told = made.explain("me", "d")
    assert reasons(told) == ["beyond"]
    assert told.asked.rank > 1
    assert told.asked.score < told.items[0].score
    assert (told.asked.place, told.asked.greedy_place) == (None, None)


def test_what_is_too_like_the_slate_makes_room_and_for_what_is_told(shop):
    made = shop(slate_length=2, rank=RankSettings(mmr_lambda=0.1, same_category=1.0))
    looked_at = [("best", "hats"), ("twin", "hats"), ("other", "shoes")]
    for user in range(6):
        for item, category in looked_at[: 1 + user % 3]:
            made.take(Browse, f"u{user}", item_id=item, category=category)
    made.take(Browse, "me", item_id="new", category="bags")
    told = made.explain("me", "twin")
    assert [item.item_id for item in told.items] == ["best", "other"]
    assert told.asked.rank == 2
    (absent,) = told.asked.absent
    assert (absent.reason, absent.item_id) == ("diversity", "best")


def test_what_is_tried_out_displaces_the_rankings_own(shop):
    explore = ExploreSettings(policy="epsilon", epsilon=1.0, places=1, pool=10)
    made = shop(slate_length=1, rank=RankSettings(explore=explore))
    for item in "abcdefgh":
        made.take(Browse, f"of-{item}", item_id=item)
    for n in range(20):  # draws differ by slate: some takes another than the best
        made.take(Browse, f"me{n}", item_id="looked-at")
        told = made.explain(f"me{n}", every=True)
        if told.items[0].explored:
            break
    (shown,) = told.items
    assert 0.0 < shown.propensity < 1.0
    (displaced,) = [item for item in told.others if item.greedy_place == 1]
    (absent,) = displaced.absent
    assert (absent.reason, absent.item_id) == ("exploration", shown.item_id)


@pytest.mark.parametrize("reason", ABSENT)
def test_every_reason_is_a_sentence_without_its_full_stop(reason):
    assert ABSENT[reason][0].islower()
    assert not ABSENT[reason].endswith(".")
