"""VMIS-kNN against values worked by hand, and against VS-KNN in plain Python over the same sessions."""

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.retrieve.contract import Interactions, Queries
from models.retrieve.session_knn import SessionKnn
from models.retrieve.settings import SessionKnnSettings

SMALL = SessionKnnSettings(
    neighbours=10,
    sample=20,
    idf_weight=0.0,
    position_decay="quadratic",
    step_decay="div",
    distance_decay=0.0,
    n_blocks=64,
    n_sessions=16,
    session_items=4,
    idle_s=100.0,
)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


def learned(*batches: Interactions, n_items: int = 50, **changes: object) -> SessionKnn:
    source = SessionKnn(SMALL.model_copy(update=changes), n_items)
    for batch in batches:
        source.update(batch)
    return source


def answer(source: SessionKnn, asked: Queries, k: int = 10) -> dict[int, float]:
    """Items and scores of the first user."""
    found = source.candidates(asked, k)
    return {
        int(i): pytest.approx(float(s))
        for i, s in zip(found.items[0], found.scores[0], strict=True)
        if i >= 0
    }


def test_scores_are_worked_from_similarity_and_step(interactions: Make, asking: Ask) -> None:
    # Sessions: user 1 {1, 2, 3}, user 2 {2, 4}, user 3 {1, 5}. The query, newest first, is [2, 1], so n = 2,
    # item 2 weighs (2/2)^2 = 1 and item 1 (1/2)^2 = 1/4. similarity: user 1: 1 + 1/4, user 2: 1, user 3: 1/4;
    # step: 1, 1, and 1/2 for user 3, who shares only item 1.
    source = learned(
        interactions(
            [(1, 1, 0.0), (1, 2, 1.0), (1, 3, 2.0), (2, 2, 3.0), (2, 4, 4.0), (3, 1, 5.0), (3, 5, 6.0)]
        )
    )
    expected = {2: 1.25 + 1.0, 1: 1.25 + 0.125, 3: 1.25, 4: 1.0, 5: 0.125}
    assert answer(source, asking(items=[[2, 1]])) == expected


def test_rare_items_weigh_more_by_their_idf(interactions: Make, asking: Ask) -> None:
    # Sessions {1, 2}, {1, 2}, {1, 3}, {4}: S = 4, item 2 is in two, item 3 in one. Asked about 1: similarity
    # 1 each. 2: 2 * (1 + log(4/2)); 3: 1 + log(4/1); 1: 3 * (1 + log(4/3)).
    source = learned(
        interactions(
            [(1, 1, 0.0), (1, 2, 1.0), (2, 1, 2.0), (2, 2, 3.0), (3, 1, 4.0), (3, 3, 5.0), (4, 4, 6.0)]
        ),
        idf_weight=1.0,
    )
    assert answer(source, asking(items=[[1]])) == {
        2: 2 * (1 + log(2)),
        3: 1 + log(4),
        1: 3 * (1 + log(4 / 3)),
    }


def test_the_items_own_weights_multiply_the_positions(interactions: Make, asking: Ask) -> None:
    # [2, 1] with weights 1 and 8: session {1, 3} has similarity 8 * 1/4 = 2, step 1/2.
    source = learned(interactions([(1, 1, 0.0), (1, 3, 1.0)]))
    asked = asking(items=[[2, 1]])._replace(weights=np.array([[1.0, 8.0]], np.float32))
    assert answer(source, asked) == {1: 1.0, 3: 1.0}


def test_items_near_the_shared_one_weigh_more(interactions: Make, asking: Ask) -> None:
    # Session 1, 2, 3, 4 asked about 3 with decay 1/2: d is 2, 1, 0, 1, so 1 - 1/2 * (1 - 1/2) = 3/4 for item 1.
    source = learned(interactions([(1, item, float(item)) for item in (1, 2, 3, 4)]), distance_decay=0.5)
    assert answer(source, asking(items=[[3]])) == {1: 0.75, 2: 1.0, 3: 1.0, 4: 1.0}


def test_because_names_the_item_that_gave_most(interactions: Make, asking: Ask) -> None:
    # Item 5 follows item 1 in three sessions (3 * 1/4 * 1/2 = 0.375) and item 2 in none; item 6 follows both,
    # 2 more.
    rows = [(u, i, 10.0 * u + i) for u in (1, 2, 3) for i in (1, 5)] + [
        (4, 1, 41.0),
        (4, 2, 42.0),
        (4, 6, 46.0),
    ]
    found = learned(interactions(rows)).candidates(asking(items=[[2, 1]]), 10)
    cause = dict(zip(found.items[0].tolist(), found.because[0].tolist(), strict=True))
    assert cause[5] == 1
    assert cause[6] == 2


def test_only_the_most_similar_neighbours_vote_and_the_recent_go_first(
    interactions: Make, asking: Ask
) -> None:
    rows = [(1, 1, 0.0), (1, 2, 1.0), (1, 7, 2.0), (2, 2, 3.0), (2, 8, 4.0), (3, 2, 5.0), (3, 9, 6.0)]
    source = learned(interactions(rows), neighbours=2)
    # Session 1 is most similar (1.25); 2 and 3 tie at 1, and 3 is the more recent.
    assert answer(source, asking(items=[[2, 1]])).keys() == {1, 2, 7, 9}


def test_only_the_most_recent_sessions_are_sampled(interactions: Make, asking: Ask) -> None:
    rows = [(user, item, 10.0 * user + item) for user in range(1, 6) for item in (1, 10 + user)]
    assert answer(learned(interactions(rows), sample=2), asking(items=[[1]])).keys() == {1, 14, 15}


def test_the_own_session_is_no_neighbour_but_an_earlier_one_is(interactions: Make, asking: Ask) -> None:
    source = learned(interactions([(1, 1, 0.0), (1, 2, 1.0), (1, 1, 500.0), (1, 3, 501.0)]))
    assert answer(source, asking(items=[[1]], user=[1])).keys() == {1, 2}
    assert answer(source, asking(items=[[1]], user=[2])).keys() == {1, 2, 3}


def test_a_session_of_the_shop_is_held_together_over_any_pause(interactions: Make, asking: Ask) -> None:
    source = learned(interactions([(1, 1, 0.0), (1, 2, 5_000.0)], session=7))
    assert answer(source, asking(items=[[1]])).keys() == {1, 2}
    assert answer(source, asking(items=[[1]], user=[1])) == {}


def test_two_sessions_of_the_shop_are_apart_though_close_in_time(interactions: Make, asking: Ask) -> None:
    source = learned(interactions([(1, 1, 0.0), (1, 2, 1.0), (1, 3, 2.0)], session=[7, 8, 7]))
    assert answer(source, asking(items=[[1]])).keys() == {1, 3}


def test_without_a_session_id_idle_time_cuts(interactions: Make, asking: Ask) -> None:
    rows = [(1, 1, 0.0), (1, 2, 100.0), (1, 3, 200.5)]
    assert answer(learned(interactions(rows)), asking(items=[[1]])).keys() == {1, 2}


def test_interactions_out_of_order_join_the_session_they_fall_into(interactions: Make, asking: Ask) -> None:
    rows = [(1, 1, 1_000.0), (1, 2, 950.0), (1, 3, 900.0), (1, 4, 1_060.0)]
    assert answer(learned(interactions(rows)), asking(items=[[1]])).keys() == {1, 2, 3, 4}


def test_a_straggler_from_long_before_the_session_is_passed_over(interactions: Make, asking: Ask) -> None:
    source = learned(interactions([(1, 1, 1_000.0), (1, 2, 10.0), (1, 3, 1_001.0)]))
    assert answer(source, asking(items=[[1]])).keys() == {1, 3}


def test_a_straggler_of_an_earlier_shop_session_does_not_become_the_current_one(
    interactions: Make, asking: Ask
) -> None:
    rows = [(1, 1, 0.0), (1, 1, 900.0), (1, 2, 1.0), (1, 3, 901.0)]
    source = learned(interactions(rows, session=[7, 8, 7, 8]))
    assert answer(source, asking(items=[[1]], user=[1])).keys() == {1, 2}


def test_a_repeated_item_counts_once(interactions: Make, asking: Ask) -> None:
    rows = [(1, 1, 0.0), (1, 2, 1.0), (1, 1, 2.0), (1, 1, 3.0)]
    assert answer(learned(interactions(rows)), asking(items=[[1]])) == {1: 1.0, 2: 1.0}


def test_a_session_keeps_its_latest_items(interactions: Make, asking: Ask) -> None:
    rows = [(1, item, float(item)) for item in range(1, 7)]
    assert answer(learned(interactions(rows)), asking(items=[[6]])).keys() == {3, 4, 5, 6}


def test_the_ring_forgets_the_oldest_interactions(interactions: Make, asking: Ask) -> None:
    rows = [(1, 1, 0.0), (1, 2, 1.0)] + [(2, 10 + n % 30, 10.0 + n) for n in range(40)]
    source = learned(interactions(rows), n_blocks=8)
    assert answer(source, asking(items=[[1]])) == {}


def test_a_session_whose_slot_was_taken_is_no_neighbour(interactions: Make, asking: Ask) -> None:
    rows = [(1, 1, 0.0), (1, 2, 1.0)] + [(user, 3, 10.0 * user) for user in range(2, 6)]
    assert answer(learned(interactions(rows), n_sessions=4), asking(items=[[1]])) == {}
    assert answer(learned(interactions(rows), n_sessions=8), asking(items=[[1]])).keys() == {1, 2}


def test_an_index_given_to_another_item_starts_afresh(interactions: Make, asking: Ask) -> None:
    source = learned(interactions([(1, 1, 0.0), (1, 2, 1.0), (1, 3, 2.0)]))
    source.forget(np.array([2], np.int32))
    assert answer(source, asking(items=[[1]])).keys() == {1, 3}
    assert answer(source, asking(items=[[2]])) == {}
    source.update(interactions([(2, 2, 3.0), (2, 9, 4.0)]))
    assert answer(source, asking(items=[[2]])).keys() == {2, 9}


@given(
    sessions=st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=6), min_size=1, max_size=30),
    asked=st.lists(st.integers(0, 11), min_size=1, max_size=5, unique=True),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_gives_the_scores_of_vs_knn(
    interactions: Make, asking: Ask, sessions: list[list[int]], asked: list[int]
) -> None:
    rows = [(u, item, 1e6 * u + n) for u, session in enumerate(sessions) for n, item in enumerate(session)]
    source = SessionKnn(SMALL.model_copy(update={"n_sessions": 32, "session_items": 6, "n_blocks": 128}), 12)
    source.update(interactions(rows))
    assert answer(source, asking(items=[asked]), k=12) == vs_knn(sessions, asked)


def vs_knn(sessions: list[list[int]], asked: list[int]) -> dict[int, float]:
    """Scores by the definition: 10 neighbours of the 20 that shared an item most recently."""
    n = len(asked)
    weight = {item: ((n - p) / n) ** 2 for p, item in enumerate(asked)}
    recent = [set(s) for s in reversed(sessions) if not weight.keys().isdisjoint(s)][:20]
    similar = sorted(recent, key=lambda s: -np.float32(sum(np.float32(weight[i]) for i in weight if i in s)))
    scores: dict[int, float] = {}
    for session in similar[:10]:
        step = 1 + min(p for p, item in enumerate(asked) if item in session)
        for item in session:
            scores[item] = scores.get(item, 0.0) + sum(weight[i] for i in weight if i in session) / step
    return scores
