"""An explanation adds up, says what was served, and names the user's own events."""

from math import exp, log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explain.case import latest_slate_id
from models.interest.state import State
from models.rank.explore_settings import ExploreSettings
from models.rank.features import feature_names
from models.rank.score import FixedWeights, Linear
from models.rank.settings import RankSettings
from schemas.catalog import Item, Promotion
from schemas.events import Browse, Cart, Dismiss, Dwell, Impression, Purchase, Search

SOURCES = [
    "session_knn",
    "covisitation",
    "content",
    "search",
    "trending",
    "cold_start",
    "recent",
    "embedding",
]
NAMES = feature_names(SOURCES)


def linear(weights):
    weights = np.asarray(weights, np.float32)
    return Linear(NAMES, SOURCES, weights, np.zeros(len(NAMES), np.float32))


def everything(told):
    return [*told.items, *told.others]


@pytest.fixture(scope="module")
def visited(shop, crowd):
    """Of ``me``: a viewed, then searched and put into the cart; something dismissed before."""
    made = crowd(shop())
    made.take(Dismiss, "me", item_id="z")
    made.take(Browse, "me", item_id="a", category="c0", brand="x", price=10.0)
    made.take(Search, "me", query="red shoe", platform="web")
    return made


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.01, 1.0, 10.0, 100.0]))
def test_contributions_add_up_to_the_raw_score_under_any_weights(visited, seed, scale):
    weights = np.random.default_rng(seed).normal(0.0, scale, len(NAMES)).clip(-100.0, 100.0)
    visited.path._fixed, visited.path.learning = linear(weights), None
    told = visited.explain("me", every=True)
    assert told.n_candidates == len(everything(told)) >= 3
    for item in everything(told):
        assert sum(each.contribution for each in item.contributions) == pytest.approx(
            item.raw_score, abs=1e-5
        )
        assert sum(item.groups.values()) == pytest.approx(item.raw_score, abs=1e-5)
        above = sum(each.above_mean for each in item.contributions)
        assert above == pytest.approx(item.raw_score - told.mean_raw_score, abs=1e-5)
        for each in item.contributions:
            assert each.contribution == pytest.approx(each.value * each.weight, abs=1e-9)
        # The scorer sums in single precision: log(1 + exp(raw)) to six digits of the terms it adds.
        softplus = max(item.raw_score, 0.0) + log1p(exp(-abs(item.raw_score)))
        size = sum(abs(each.contribution) for each in item.contributions)
        assert item.full_score == pytest.approx(softplus, rel=1e-6, abs=1e-6 * (1.0 + size))


@settings(max_examples=20, deadline=None)
@given(weights=st.dictionaries(st.sampled_from(SOURCES), st.floats(0.0, 5.0)), other=st.floats(0.0, 5.0))
def test_fixed_weights_are_explained_by_the_scores_of_the_sources(visited, weights, other):
    fixed = FixedWeights(RankSettings(source_weights=weights, default_weight=other))
    visited.path._fixed, visited.path.learning = fixed, None
    for item in everything(visited.explain("me", every=True)):
        assert item.raw_score == pytest.approx(item.full_score, abs=1e-5)
        assert {each.feature.partition(".")[2] for each in item.contributions if each.contribution} <= {
            "score"
        }
        added = {each.source: each.contribution for each in item.sources}
        assert sum(added.values()) == pytest.approx(item.raw_score, abs=1e-5)


@pytest.mark.parametrize("policy", ["none", "epsilon", "thompson", "linucb"])
def test_the_slate_is_the_one_that_was_served(shop, crowd, policy):
    explore = ExploreSettings(policy=policy, places=2, epsilon=0.5)
    made = crowd(shop(rank=RankSettings(explore=explore), slate_length=3))
    for item in "abc":
        made.take(Browse, "me", item_id=item)
    served = made.slates["me"]
    told = made.explain("me")
    assert (told.slate_id, told.model_version) == (served.slate_id, served.model_version)
    assert [item.item_id for item in told.items] == [item.item_id for item in served.items]
    assert [item.place for item in told.items] == list(range(1, len(served.items) + 1))
    for ours, theirs in zip(told.items, served.items, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert ours.propensity == pytest.approx(theirs.propensity or 1.0)
        assert ours.explored == any(reason.source == "exploration" for reason in theirs.reasons)


def test_asking_leaves_nothing_behind(shop, crowd):
    made = crowd(shop())
    learning = made.path.learning
    assert learning is not None
    half_off = Promotion(
        promotion_id="p", discount=0.5, item_ids=["b"], time_ms=0, starts_ms=0, ends_ms=2**42
    )
    made.path.knowledge.promotions.apply([("p", half_off)])

    def left() -> tuple[object, ...]:
        knowledge = made.path.knowledge
        words, discount = len(knowledge.vocabularies.items), knowledge.attributes.discount.tolist()
        return len(learning.pending), made.path.model_version, words, discount

    before = left()
    first = made.explain("u4", "never heard of")
    assert made.explain("u4", "never heard of") == first
    assert left() == before


def test_a_source_names_the_users_own_item_and_what_was_last_done_with_it(shop, crowd):
    made = crowd(shop())
    made.at = 2.0
    made.take(Browse, "me", item_id="a", dwell_ms=4_000)
    made.at = 5.0
    made.take(Cart, "me", item_id="a")
    told = made.explain("me", minute=9.0)
    (knn,) = [says for says in told.items[0].sources if says.source == "session_knn"]
    assert (knn.because, knn.event.kind, knn.event.what) == ("a", "cart", "a")
    assert knn.event.age_s == 240.0  # from minute 5 to minute 9
    assert knn.event.dwell_ms is None
    assert knn.place == 1
    assert knn.share == 1.0


def test_the_time_spent_on_the_item_is_told(shop, crowd):
    made = crowd(shop())
    made.take(Browse, "me", item_id="a")
    made.at = 1.0
    made.take(Dwell, "me", item_id="a", dwell_ms=40_000)
    told = made.explain("me")
    event = next(says.event for says in told.items[0].sources if says.source == "covisitation")
    assert (event.kind, event.dwell_ms, event.age_s) == ("dwell", 40_000, 0.0)


def test_search_is_explained_by_the_query_and_when_it_was_typed(shop):
    made = shop()
    for user in ("u1", "u2"):
        made.take(Search, user, query="red shoe")
        made.take(Browse, user, item_id="s")
    made.at = 1.0
    made.take(Search, "me", query="red shoe")
    told = made.explain("me", "s", minute=3.0)
    (search,) = [says for says in told.asked.sources if says.source == "search"]
    (query,) = made.state("me").searches
    assert [(taste.kind, taste.name) for taste in search.tastes] == [("query", query.text)]
    assert (search.event.kind, search.event.what, search.event.age_s) == ("search", query.text, 120.0)


def test_content_is_explained_by_category_brand_and_words(shop):
    made = shop()
    made.describe(Item(item_id="s", time_ms=0, title="red shoe", category="shoes", brand="x"))
    for item, category, brand in (("s", "shoes", "x"), ("t", "shoes", "y"), ("m", "hats", "z")):
        made.take(Browse, "u1", item_id=item, category=category, brand=brand)
    made.take(Browse, "me", item_id="m", category="shoes", brand="x")
    made.take(Search, "me", query="red")
    told = made.explain("me", "s")
    (content,) = [says for says in told.asked.sources if says.source == "content"]
    assert [(taste.kind, taste.name) for taste in content.tastes] == [
        ("category", "shoes"),
        ("brand", "x"),
        ("word", "red"),
    ]
    assert [taste.weight for taste in content.tastes][:2] == [1.0, 1.0]  # the only ones: all of the affinity
    assert content.because is None


def test_what_is_seen_again_is_explained_by_itself(shop):
    made = shop(rank=RankSettings(filter_viewed=False))
    made.take(Browse, "me", item_id="a")
    made.at = 1.0
    made.take(Browse, "me", item_id="b")
    (recent,) = [says for says in made.explain("me", "a").asked.sources if says.source == "recent"]
    assert (recent.because, recent.event.kind, recent.event.age_s) == ("a", "view", 60.0)


def test_likeness_to_what_was_dismissed_is_told_with_its_factor(shop, crowd):
    made = crowd(shop(rank=RankSettings(dismissal=0.5)))
    made.describe(Item(item_id="far", time_ms=0, category="other"))
    made.describe(Item(item_id="near", time_ms=0, category="c1", brand="x"))
    made.take(Browse, "me", item_id="a")
    made.take(Dismiss, "me", item_id="far")
    made.take(Dismiss, "me", item_id="near")
    told = made.explain("me", "b")
    # b is of category c1 and brand x: 0.5 + 0.3 like "near", whose price is not known.
    assert told.asked.demotion.item_id == "near"
    assert told.asked.demotion.nearness == pytest.approx(0.8)
    assert told.asked.demotion.factor == pytest.approx(0.6)
    assert told.asked.score == pytest.approx(0.6 * told.asked.full_score)
    assert made.explain("u0", "d").asked.demotion is None


def test_places_before_and_after_diversity_are_told(shop):
    made = shop(rank=RankSettings(mmr_lambda=0.1, same_category=1.0))
    looked_at = [("best", "hats"), ("twin", "hats"), ("other", "shoes")]
    for user in range(6):
        for item, category in looked_at[: 1 + user % 3]:
            made.take(Browse, f"u{user}", item_id=item, category=category)
    made.take(Browse, "me", item_id="new", category="bags")
    told = made.explain("me")
    # Six looked at best, four at twin, two at other; twin is of the category of best, and goes behind other.
    assert [(item.item_id, item.rank, item.greedy_place, item.place) for item in told.items] == [
        ("best", 1, 1, 1),
        ("other", 3, 2, 2),
        ("twin", 2, 3, 3),
    ]


def test_the_slate_is_named_after_the_latest_event(shop):
    assert latest_slate_id(State()) == ""
    made = shop()
    made.take(Browse, "me", item_id="a")
    made.take(Purchase, "me", lines=[{"item_id": "a"}])
    assert latest_slate_id(made.state("me")) == "events.purchase-3-2"
    made.take(Impression, "me", item_ids=["b"])
    assert latest_slate_id(made.state("me")) == "events.feedback-3-3"


def test_a_user_of_whom_nothing_fits_gets_an_empty_slate(shop):
    made = shop()
    made.take(Search, "me", query="nothing")
    told = made.explain("me", "x")
    assert (told.items, told.n_candidates, told.cold_start, told.mean_raw_score) == ([], 0, True, 0.0)
