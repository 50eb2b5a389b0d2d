from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.embed.histories import Histories
from models.embed.sequences import Sequences, of_queries
from models.interest.fold import fold
from models.interest.queries import queries
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.kinds import Kind
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.retrieve.contract import Interactions
from schemas.events import Browse, Cart, Purchase, Search, Wishlist
from schemas.events import Line as OrderLine

Make = Callable[..., Interactions]
LENGTH = 4
INTEREST = InterestSettings(max_interactions=7, session_width=3, history_width=6, idle_s=100.0, query_s=50.0)
ITEMS = [f"i{i}" for i in range(6)]
QUERIES = ["red", "blue"]
KINDS = {Kind.VIEW: Browse, Kind.CART: Cart, Kind.WISHLIST: Wishlist, Kind.PURCHASE: Purchase}


def vocabulary(words: list[str]) -> Vocabulary:
    made = Vocabulary(8)
    made.encode(words)
    return made


VOCABULARIES = Vocabularies(
    items=vocabulary(ITEMS),
    categories=vocabulary([]),
    brands=vocabulary([]),
    terms=vocabulary([]),
    queries=vocabulary(QUERIES),
    segments=vocabulary(["web"]),
)

steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # user
        st.integers(0, 5),  # item
        st.sampled_from(list(KINDS)),
        st.integers(1, 140),  # seconds since the step before
        st.sampled_from([None, None, "s", "z"]),  # session id
        st.sampled_from([None, None, *QUERIES]),  # searched for just before
    ),
    max_size=40,
)


def event_of(i: int, user: int, item: int, kind: Kind, time_s: int, session: str | None):
    about = {"lines": [OrderLine(item_id=ITEMS[item])]} if kind is Kind.PURCHASE else {"item_id": ITEMS[item]}
    return KINDS[kind](
        event_id=f"e{i}",
        user_id=str(user),
        time_ms=1000 * time_s,
        session_id=session,
        platform="web",
        **about,
    )


@given(steps, st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_training_reads_what_a_slate_just_before_would_have_read(steps, size) -> None:
    states: dict[int, State] = {}
    asked: list[Sequences] = []
    rows, latest_query, now_s = [], {}, 0
    for i, (user, item, kind, gap_s, session, words) in enumerate(steps):
        now_s += gap_s
        state = states.setdefault(user, State())
        if words:
            search = Search(event_id=f"q{i}", user_id=str(user), time_ms=1000 * now_s, query=words)
            fold(state, [("search", 0, i, search)], INTEREST)
            latest_query[user] = QUERIES.index(words), now_s
        before = queries([state], np.zeros(1, np.uint64), np.array([float(now_s)]), VOCABULARIES, INTEREST)
        query, searched_s = latest_query.get(user, (-1, now_s))
        if state.recents.items:
            asked.append(of_queries(before, LENGTH)._replace(segment=np.zeros(1, np.int32)))
        rows.append(
            (
                user,
                hash(session) & 0xFFFF if session else 0,
                item,
                kind,
                now_s,
                query if now_s - searched_s <= 50 else -1,
            )
        )
        fold(state, [("browse", 0, i, event_of(i, user, item, kind, now_s, session))], INTEREST)
    histories = Histories(8, LENGTH, INTEREST)
    made = []
    for start in range(0, len(rows), size):
        user, session, item, kind, time_s, query = zip(*rows[start : start + size], strict=True)
        batch = Interactions(
            np.array(user, np.uint64),
            np.array(session, np.uint64),
            np.array(item, np.int32),
            np.array(kind, np.uint8),
            np.array(time_s, np.float64),
            np.array(query, np.int32),
            np.zeros(len(user), np.int32),
        )
        made.append(histories.examples(batch).sequences)
    for of_past, of_serving in zip(
        [one for many in made for one in (many.of(slice(i, i + 1)) for i in range(len(many.items)))],
        asked,
        strict=True,
    ):
        for a, b in zip(of_past, of_serving, strict=True):
            np.testing.assert_array_equal(a, b)


def test_one_user_by_hand(interactions: Make) -> None:
    histories = Histories(8, LENGTH, INTEREST)
    histories.examples(interactions([(1, 2, 0.0)], Kind.PURCHASE))
    histories.examples(interactions([(1, 3, 200.0), (1, 4, 210.0)]))
    histories.examples(interactions([(1, 3, 215.0)], Kind.CART))
    made = histories.examples(interactions([(1, 5, 220.0)], Kind.WISHLIST, term=1, segment=0))
    # Item 2 is 200 s before the session; item 3 is newest at 215 s and lies in the cart.
    assert made.sequences.items.tolist() == [[3, 4, 2, -1]]
    assert made.sequences.age_s.tolist() == [[0.0, 5.0, 215.0, 0.0]]
    assert made.sequences.evidence.tolist() == [[3, 1, 0, 0]]
    assert (made.sequences.query.tolist(), made.sequences.segment.tolist()) == ([1], [0])
    assert (made.item.tolist(), made.kind.tolist()) == ([5], [Kind.WISHLIST])
    assert made.stay_s.tolist() == [5.0]  # with item 3


def test_how_long_was_stayed_is_known_within_a_session_only(interactions: Make) -> None:
    histories = Histories(8, LENGTH, INTEREST)
    made = histories.examples(interactions([(1, 0, 0.0), (1, 1, 30.0), (1, 2, 131.0), (1, 3, 131.0)]))
    np.testing.assert_array_equal(made.stay_s, [30.0, np.nan, 0.0])
    histories.forget(np.array([3], np.int32))
    assert np.isnan(histories.examples(interactions([(1, 0, 140.0)])).stay_s).all()


def test_first_interactions_are_no_examples(interactions: Make) -> None:
    made = Histories(8, LENGTH, INTEREST).examples(interactions([(1, 0, 0.0), (2, 1, 0.0), (1, 2, 1.0)]))
    assert (made.item.tolist(), made.sequences.items[:, 0].tolist()) == ([2], [0])


def test_the_least_recently_seen_user_makes_room_and_comes_back_without_a_past(interactions: Make) -> None:
    histories = Histories(2, LENGTH, INTEREST)
    histories.examples(interactions([(1, 0, 0.0), (2, 0, 0.0), (1, 0, 1.0), (3, 0, 1.0)]))  # 2 makes room
    assert len(histories) == 2
    assert histories.examples(interactions([(1, 1, 2.0), (2, 1, 2.0), (2, 2, 3.0)])).item.tolist() == [1, 2]


def test_a_straggler_is_told_from_what_came_before_it_by_time(interactions: Make) -> None:
    histories = Histories(8, LENGTH, INTEREST)
    histories.examples(interactions([(1, 0, 0.0), (1, 1, 50.0)]))
    assert histories.examples(interactions([(1, 2, 20.0)])).sequences.items.tolist() == [[0, -1, -1, -1]]
    assert histories.examples(interactions([(1, 3, 60.0)])).sequences.items.tolist() == [[1, 2, 0, -1]]


def test_forgotten_items_are_in_no_past(interactions: Make) -> None:
    histories = Histories(8, LENGTH, INTEREST)
    histories.examples(interactions([(1, 0, 0.0), (1, 1, 1.0), (2, 1, 0.0)]))
    histories.forget(np.array([1], np.int32))
    made = histories.examples(interactions([(1, 2, 2.0), (2, 2, 2.0)]))
    assert made.sequences.items.tolist() == [[0, -1, -1, -1]]


def test_memory_does_not_grow_with_users(interactions: Make) -> None:
    histories = Histories(16, LENGTH, INTEREST)
    before = histories.size_bytes
    for start in range(0, 2_000, 100):
        histories.examples(interactions([(user, 0, 0.0) for user in range(start, start + 100)]))
    assert (len(histories), histories.size_bytes) == (16, before)


@pytest.mark.parametrize("later_s", [0.0, 99.0, 101.0])
def test_ages_do_not_depend_on_when_it_is_asked(later_s: float) -> None:
    state = State()
    fold(state, [("t", 0, i, event_of(i, 1, i, Kind.VIEW, 10 * i, None)) for i in range(3)], INTEREST)
    found = of_queries(
        queries([state], np.zeros(1, np.uint64), np.array([20.0 + later_s]), VOCABULARIES, INTEREST), LENGTH
    )
    assert found.age_s.tolist() == [[0.0, 10.0, 20.0, 0.0]]
    assert found.evidence.any() == (later_s <= 100.0)
