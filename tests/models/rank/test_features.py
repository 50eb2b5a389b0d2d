from collections.abc import Callable
from math import cos, log, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interest.seen import BOUGHT, DISMISSED, VIEWED, Seen
from models.knowledge.attributes import Attributes
from models.rank.features import (
    DAY_S,
    NEAR_DISMISSED,
    OF_ITEM,
    OF_MOMENT,
    OF_PAIR,
    OF_SOURCE,
    WEEK_S,
    Known,
    feature_names,
    features,
)
from models.rank.merge import Merged
from models.retrieve.contract import Queries
from models.retrieve.embedding import NO_USERS, NO_VECTORS, NOTHING_USUAL

NOW_S = 20_000 * DAY_S + 6 * 3_600.0
"""Six in the morning, UTC."""
SOURCES = ["knn", "content"]
NAMES = feature_names(SOURCES)


def merged(*users: dict[int, list[tuple[float, int] | None]]) -> Merged:
    """One ``{item: [(evidence, place) of each source, None where it is silent]}`` a user."""
    rows = [(u, item, said) for u, user in enumerate(users) for item, said in user.items()]
    evidence = [[each[0] if each else 0.0 for each in said] for _, _, said in rows]
    places = [[each[1] if each else -1 for each in said] for _, _, said in rows]
    return Merged(
        np.cumsum([0, *(len(user) for user in users)]),
        np.array([item for _, item, _ in rows], np.int32),
        np.array([u for u, _, _ in rows], np.int32),
        np.array(evidence, np.float32).reshape(len(rows), len(SOURCES)),
        np.full((len(rows), len(SOURCES)), -1, np.int32),
        np.array(places, np.int32).reshape(len(rows), len(SOURCES)),
    )


Ask = Callable[..., dict[str, float]]


@pytest.fixture
def ask(
    nobody: Callable[[int], Queries],
    attributes: Callable[..., Attributes],
    seen: Callable[..., Seen],
    unknown: Known,
) -> Ask:
    """Columns by name of item 7, which both sources name, for one user of whom only what is given is known."""

    def made(
        said: list[tuple[float, int] | None] | None = None,
        columns: dict[str, dict[int, float]] | None = None,
        reasons: dict[int, int] | None = None,
        known: Known = unknown,
        **asked: object,
    ) -> dict[str, float]:
        at = {"created_s": dict.fromkeys(range(100), np.inf), **(columns or {})}
        queries = nobody(1)._replace(now_s=np.array([NOW_S]))
        for name, value in asked.items():
            like = getattr(queries, name)
            queries = queries._replace(**{name: np.array([value], like.dtype)})
        rows = merged({7: said or [(1.0, 0), (1.0, 0)]})
        values = features(rows, queries, seen(reasons or {}), attributes(**at), known)
        return dict(zip(NAMES, values[0].tolist(), strict=True))

    return made


def test_names_are_those_of_each_source_then_of_item_pair_and_moment() -> None:
    assert NAMES[0] == "knn.named"
    assert NAMES[len(OF_SOURCE)] == "content.named"
    assert NAMES[2 * len(OF_SOURCE) :] == [*OF_ITEM, *OF_PAIR, *OF_MOMENT]
    assert len(set(NAMES)) == len(NAMES)
    assert NAMES[NEAR_DISMISSED] == "near_dismissed"


def test_of_nothing_known_every_column_but_always_and_the_hour_is_0(ask: Ask) -> None:
    found = ask([None, None])
    assert found.pop("always") == 1.0
    assert (found.pop("hour_sin"), found.pop("hour_cos")) == pytest.approx((1.0, 0.0), abs=1e-6)
    assert set(found.values()) == {0.0}


class TestSources:
    def test_what_a_source_says_at_a_place(self, ask: Ask) -> None:
        found = ask([(0.5, 3), (1.0, 0)], items=[1, 2, 3, 4])
        assert found["knn.named"] == 1.0
        assert found["knn.score"] == 0.5
        # 1 + log(0.51) / log(100) = 1 - 0.673345 / 4.605170
        assert found["knn.log_score"] == pytest.approx(0.853785, abs=1e-5)
        # 1 - log(4) / log(256) = 1 - 2 / 8: the fourth place
        assert found["knn.log_place"] == pytest.approx(0.75)
        assert (found["knn.again"], found["knn.embedded"]) == (0.0, 0.0)  # neither in the session nor a model

    def test_the_first_place_with_the_best_score(self, ask: Ask) -> None:
        found = ask([(1.0, 0), None])
        # log_score: 1 + log(1.01) / log(100) = 1 + 0.00995 / 4.60517
        assert [found[f"knn.{column}"] for column in OF_SOURCE] == pytest.approx(
            [1.0, 1.0, 1.002161, 1.0, 0.0, 0.0], abs=1e-5
        )
        assert [found[f"content.{column}"] for column in OF_SOURCE] == [0.0] * 6

    def test_it_counts_apart_what_a_source_says_of_items_of_the_session(self, ask: Ask) -> None:
        found = ask([(1.0, 0), None], items=[1, 7])
        assert found["knn.again"] == found["knn.log_score"] > 1.0
        assert found["content.again"] == 0.0
        assert ask([(1.0, 0), None], history=[1, 7], history_times=[1, 1])["knn.again"] == 0.0

    def test_beyond_place_255_the_log_of_the_place_says_nothing(self, ask: Ask) -> None:
        assert ask([(0.1, 255), None])["knn.log_place"] == pytest.approx(0.0, abs=1e-6)
        assert ask([(0.1, 4_000), None])["knn.log_place"] == 0.0

    def test_agreement_is_the_share_of_the_sources_that_name_the_item(self, ask: Ask) -> None:
        assert ask([(0.3, 1), None])["agreement"] == 0.5
        assert ask([(0.3, 1), (0.1, 9)])["agreement"] == 1.0


class TestEmbedding:
    def known(self, n_items: int, unknown: Known) -> Known:
        users = np.array([[[0.6, 0.8], [1.0, 2.0], [0.0, 5.0]]], np.float32)
        items = np.zeros((n_items, 2), np.float32)
        items[-1] = 0.8, -0.6
        items[7:8] = 0.8, 0.6
        usual = np.array([-2.0, 1.0], np.float32)
        return unknown._replace(user_vectors=users, usual=usual, item_vectors=items)

    def test_is_the_cosine_of_user_and_item(self, ask: Ask, unknown: Known) -> None:
        assert ask(known=self.known(8, unknown))["embedded"] == pytest.approx(0.96)

    def test_makes_more_of_what_sources_say_of_near_items(self, ask: Ask, unknown: Known) -> None:
        found = ask([(1.0, 0), None], known=self.known(8, unknown))
        assert found["knn.embedded"] == pytest.approx(1.002161 * 0.96, abs=1e-5)
        assert found["content.embedded"] == 0.0

    def test_tasks_add_what_is_usual(self, ask: Ask, unknown: Known) -> None:
        found = ask(known=self.known(8, unknown))
        assert found["purchase"] == pytest.approx(0.5)  # log odds: -2 + 1 * 0.8 + 2 * 0.6 = 0
        assert found["dwell"] == pytest.approx(4.0 / np.log(61.0))  # 1 + 5 * 0.6

    @pytest.mark.parametrize("n_items", [7, 9])
    def test_of_items_that_the_model_does_not_know_is_0(self, n_items: int, ask: Ask, unknown: Known) -> None:
        known = self.known(n_items, unknown)
        if n_items == 9:
            known.item_vectors[7] = 0.0
        found = ask(known=known)
        assert [found[column] for column in ("embedded", "purchase", "dwell")] == [0.0] * 3


class TestItem:
    def known(self, counts: tuple[float, float], totals: tuple[float, float], rebought: float = 0.0) -> Known:
        """Of item 7 by the hour and the week."""
        of_items, of_rebought = np.zeros((100, 2)), np.zeros(100)
        of_items[7], of_rebought[7] = counts, rebought
        return Known(of_items, np.array(totals), of_rebought, NO_USERS, NOTHING_USUAL, NO_VECTORS)

    def test_popularity_is_the_log_of_the_share(self, ask: Ask) -> None:
        found = ask(known=self.known((10.0, 10.0), (100.0, 10_000.0), 0.25))
        # 1 + log(0.1) / 20 = 1 - 2.302585 / 20; and 1 + log(0.001) / 20 = 1 - 6.907755 / 20
        assert found["popularity_now"] == pytest.approx(0.884871, abs=1e-6)
        assert found["popularity"] == pytest.approx(0.654612, abs=1e-6)
        assert found["trend"] == pytest.approx(2.0 * (0.884871 - 0.654612), abs=1e-5)
        assert found["rebought"] == 0.25

    def test_shares_of_all_and_of_next_to_nothing(self, ask: Ask) -> None:
        found = ask(known=self.known((3.0, 1e-12), (3.0, 1e3)))
        # Half the range apart already is the largest trend.
        assert (found["popularity_now"], found["popularity"], found["trend"]) == (1.0, 0.0, 1.0)

    def test_a_total_that_rounding_left_below_the_count_is_taken_for_it(self, ask: Ask) -> None:
        found = ask(known=self.known((2.0, 2.0), (0.0, 1.0)))
        assert (found["popularity_now"], found["popularity"], found["trend"]) == (1.0, 1.0, 0.0)

    @pytest.mark.parametrize(
        ("age_s", "column"),
        [
            (-3 * WEEK_S, 1.0),  # of the future
            (DAY_S, 1.0),
            (DAY_S + WEEK_S, 0.5),
            (DAY_S + 3 * WEEK_S, 0.125),
            (-np.inf, 0.0),  # never seen
        ],
    )
    def test_age_halves_each_week_after_the_first_day(self, ask: Ask, age_s: float, column: float) -> None:
        assert ask(columns={"created_s": {7: NOW_S - age_s}})["age"] == pytest.approx(column)

    def test_discount_is_that_of_the_attributes(self, ask: Ask) -> None:
        assert ask(columns={"discount": {7: 0.25}})["discount"] == 0.25


class TestPair:
    def test_affinities_are_those_to_the_items_category_and_brand(self, ask: Ask) -> None:
        columns = {"category": {7: 2}, "brand": {7: 5}}
        liked = {"category": [9, 2], "category_weight": [0.75, 0.25], "brand": [5, 2]}
        found = ask(columns=columns, **liked, brand_weight=[0.5, 0.125])
        assert (found["category"], found["brand"]) == (0.25, 0.5)

    @pytest.mark.parametrize(
        ("price", "gap", "above"), [(2.5, 0.5, 0.5), (1.5, 0.5, 0.0), (9.0, 2.0, 2.0), (np.nan, 0.0, 0.0)]
    )
    def test_the_price_against_the_users_mean_of_2(
        self, ask: Ask, price: float, gap: float, above: float
    ) -> None:
        found = ask(columns={"log_price": {7: price}}, log_price=2.0)
        assert (found["price_gap"], found["price_above"]) == (gap, above)

    def test_against_the_sessions_last_item(self, ask: Ask) -> None:
        columns = {
            "category": {7: 3, 1: 3, 2: 4},
            "brand": {7: 6, 1: 5, 2: 6},
            "log_price": {7: 2.0, 1: 2.75},
        }
        found = ask(columns=columns, items=[1, 2])
        assert (found["same_category"], found["same_brand"], found["price_step"]) == (1.0, 0.0, 0.75)
        found = ask(columns=columns, items=[2, 1])
        assert (found["same_category"], found["same_brand"], found["price_step"]) == (0.0, 1.0, 0.0)

    def test_items_of_unknown_category_and_brand_are_not_alike(self, ask: Ask) -> None:
        found = ask(items=[1], reasons={2: DISMISSED})
        assert (found["same_category"], found["same_brand"], found["near_dismissed"]) == (0.0, 0.0, 0.0)

    def test_places_in_session_and_history(self, ask: Ask) -> None:
        found = ask(
            items=[1, 7, -1],
            history=[1, 3, 2, 7],
            history_age_s=[0.0, 0.0, 0.0, 2 * DAY_S],
            history_times=[1, 1, 1, 3],
        )
        assert (found["in_session"], found["in_history"], found["history_age"]) == (0.5, 0.25, 0.25)
        assert found["history_times"] == pytest.approx(log(4.0))
        assert found["session_length"] == pytest.approx(log(3.0))
        assert found["returning"] == 1.0

    def test_the_item_that_the_session_is_at_and_those_before(self, ask: Ask) -> None:
        at_it, before, without = ask(items=[7, 1, 2]), ask(items=[1, 7, 2]), ask(items=[1, 2, 3])
        # log(1 + 3) / log(16) = 1/2
        columns = "current", "again", "again_late"
        assert [at_it[column] for column in columns] == pytest.approx([1.0, 1.0, 0.5])
        assert [before[column] for column in columns] == pytest.approx([0.0, 1.0, 0.5])
        assert [without[column] for column in columns] == [0.0, 0.0, 0.0]

    def test_nothing_behind_the_end_of_the_padded_lists_counts(self, ask: Ask) -> None:
        found = ask(items=[-1, 7], history=[1, -1, 7], history_age_s=[0.0] * 3, history_times=[1, 0, 9])
        assert (found["in_session"], found["in_history"], found["session_length"]) == (0.0, 0.0, 0.0)

    def test_counts_without_end_stay_below_4(self, ask: Ask) -> None:
        many = list(range(8, 78))  # log(71) = 4.26
        found = ask(items=many, history=[7], history_age_s=[0.0], history_times=[2**31 - 1])
        assert found["session_length"] == found["history_times"] == pytest.approx(3.9)

    def test_nearness_to_what_was_dismissed(self, ask: Ask) -> None:
        columns = {
            "category": {7: 1, 1: 1, 2: 9},
            "brand": {7: 2, 1: 8, 2: 2},
            "log_price": {7: 3.0, 2: 3.25},
        }
        assert ask(columns=columns, reasons={1: DISMISSED})["near_dismissed"] == 0.5  # one category
        # One brand, and a price half as far as counts: 0.3 + 0.2 * (1 - 0.25 / 0.5)
        assert ask(columns=columns, reasons={2: DISMISSED})["near_dismissed"] == pytest.approx(0.4)
        both = ask(columns=columns, reasons={2: DISMISSED, 1: DISMISSED})
        assert both["near_dismissed"] == 0.5  # the greater one
        assert ask(columns=columns, reasons={7: DISMISSED})["near_dismissed"] == 1.0

    def test_what_was_viewed_or_bought_is_not_dismissed(self, ask: Ask) -> None:
        assert ask(reasons={7: VIEWED, 1: BOUGHT})["near_dismissed"] == 0.0


class TestMoment:
    @pytest.mark.parametrize("hour", [0, 6, 15])
    def test_the_hour_goes_around(self, ask: Ask, hour: int) -> None:
        found = ask(now_s=NOW_S + (hour - 6) * 3_600.0)
        angle = 2.0 * pi * hour / 24.0
        assert found["hour_sin"] == pytest.approx(sin(angle), abs=1e-6)
        assert found["hour_cos"] == pytest.approx(cos(angle), abs=1e-6)

    def test_platforms_share_four_columns(self, ask: Ask) -> None:
        found = ask(segment=6)
        assert [found[f"platform_{p}"] for p in range(4)] == [0.0, 0.0, 1.0, 0.0]

    def test_a_query_just_before(self, ask: Ask) -> None:
        assert (ask(query=0)["searched"], ask()["searched"]) == (1.0, 0.0)

    def test_a_history_of_the_session_alone_is_no_return(self, ask: Ask) -> None:
        once = {"history": [1, 2], "history_age_s": [0.0, 0.0], "history_times": [1, 1]}
        assert ask(items=[1, 2], **once)["returning"] == 0.0


N = 12
"""Items of the laws."""
price = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 3.5, 1e30])
word = st.integers(-1, 3)
share = st.floats(0.0, 1.0, width=32)
amount = st.sampled_from([0.0, 1e-300, 1.0, 1e17, 1e300])
item = st.integers(-1, N - 1)


def column(values: st.SearchStrategy, dtype: type) -> st.SearchStrategy[np.ndarray]:
    return st.lists(values, min_size=N, max_size=N).map(lambda found: np.array(found, dtype))


knowledge = st.tuples(
    st.builds(
        Attributes,
        column(word, np.int32),
        column(word, np.int32),
        column(price, np.float32),
        st.just(np.ones(N, np.uint8)),
        column(st.sampled_from([np.inf, -np.inf, np.nan, 0.0, NOW_S, 1e18]), np.float64),
        column(share, np.float32),
    ),
    st.builds(
        Known,
        st.tuples(column(amount, np.float64), column(amount, np.float64)).map(lambda c: np.stack(c, axis=1)),
        st.tuples(amount, amount).map(np.array),
        column(share, np.float64),
        st.just(NO_USERS),
        st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32)).map(
            lambda u: np.array(u, np.float32)
        ),
        st.lists(share, max_size=N).map(lambda found: np.array([[v, 0.5] for v in found], np.float32)),
    ),
)
said = st.none() | st.tuples(share, st.integers(0, 100_000))
person = st.fixed_dictionaries(
    {
        "candidates": st.dictionaries(
            st.integers(0, N - 1), st.lists(said, min_size=2, max_size=2), max_size=5
        ),
        "items": st.lists(item, min_size=3, max_size=3) | st.just(list(range(N)) * 5),
        "history": st.lists(item, min_size=3, max_size=3),
        "history_age_s": st.lists(st.floats(-1e9, 1e9, width=32), min_size=3, max_size=3),
        "history_times": st.lists(st.integers(0, 2**31 - 1), min_size=3, max_size=3),
        "category": st.lists(word, min_size=2, max_size=2),
        "weight": share,
        "log_price": price,
        "now_s": st.floats(0.0, 1e11),
        "segment": st.integers(-1, 100),
        "query": st.integers(-1, 1),
        "dismissed": st.lists(item, min_size=2, max_size=2),
        "vector": st.tuples(*[share] * 6),
    }
)


def asked(people: list[dict]) -> tuple[Queries, Seen]:
    def padded(name: str, dtype: type) -> np.ndarray:
        width = 60 if name == "items" else 3
        rows = [(list(each[name]) + [-1] * width)[:width] for each in people]
        return np.array(rows, dtype).reshape(len(people), width)

    def plain(name: str, dtype: type) -> np.ndarray:
        return np.array([each[name] for each in people], dtype)

    weight = np.repeat(plain("weight", np.float32)[:, None], 3, axis=1)
    n = len(people)
    queries = Queries(
        now_s=plain("now_s", np.float64),
        user=np.arange(n, dtype=np.uint64),
        items=padded("items", np.int32),
        weights=np.ones((n, 60), np.float32),
        history=padded("history", np.int32),
        history_age_s=padded("history_age_s", np.float32),
        history_times=padded("history_times", np.int32),
        category=padded("category", np.int32),
        category_weight=weight,
        brand=padded("category", np.int32),
        brand_weight=weight,
        log_price=plain("log_price", np.float32),
        term=np.full((n, 1), -1, np.int32),
        term_weight=np.zeros((n, 1), np.float32),
        segment=plain("segment", np.int32),
        query=plain("query", np.int32),
    )
    hidden = padded("dismissed", np.int32)
    return queries, Seen(hidden, np.full(hidden.shape, DISMISSED, np.uint8))


def of(people: list[dict], known: tuple[Attributes, Known]) -> np.ndarray:
    attributes, items = known
    users = np.array([each["vector"] for each in people], np.float32).reshape(len(people), 3, 2)
    known = attributes, items._replace(user_vectors=users, item_vectors=items.item_vectors.reshape(-1, 2))
    return features(merged(*(each["candidates"] for each in people)), *asked(people), *known)


@given(st.lists(person, max_size=3), knowledge)
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_all_columns_are_finite_and_within_4(
    people: list[dict], known: tuple[Attributes, Known]
) -> None:
    values = of(people, known)
    assert values.shape == (sum(len(each["candidates"]) for each in people), len(NAMES))
    assert np.isfinite(values).all()
    assert (np.abs(values) < 4.0).all()


@given(st.lists(person, min_size=2, max_size=3), knowledge)
@settings(max_examples=60, deadline=None)
def test_columns_of_a_user_do_not_depend_on_who_else_is_asked_for(
    people: list[dict], known: tuple[Attributes, Known]
) -> None:
    alone = np.concatenate([of([each], known) for each in people])
    assert of(people, known).tobytes() == alone.tobytes()


@given(person, knowledge, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_columns_of_a_candidate_do_not_depend_on_the_order_of_candidates(
    one: dict, known: tuple[Attributes, Known], chance
) -> None:
    order = list(one["candidates"])
    chance.shuffle(order)
    turned = of([{**one, "candidates": {i: one["candidates"][i] for i in order}}], known)
    straight = of([one], known)
    at = [list(one["candidates"]).index(i) for i in order]
    assert turned.tobytes() == straight[at].tobytes()
