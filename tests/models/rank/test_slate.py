import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.interest.seen import BOUGHT, DISMISSED, VIEWED, Seen
from models.knowledge.attributes import Attributes
from models.rank.features import Known
from models.rank.score import FixedWeights
from models.rank.settings import RankSettings
from models.rank.slate import rank
from models.retrieve.contract import Candidates
from models.retrieve.embedding import NO_USERS, NO_VECTORS, NOTHING_USUAL

N_ITEMS, N_SOURCES, N_CANDIDATES, N_SEEN, N_PLACES = 12, 3, 6, 3, 5
REBUYABLE = (np.arange(N_ITEMS) % 4 == 0).astype(np.uint8)
ATTRIBUTES = Attributes(
    (np.arange(N_ITEMS, dtype=np.int32) % 4) - 1,
    (np.arange(N_ITEMS, dtype=np.int32) % 3) - 1,
    np.where(np.arange(N_ITEMS) % 5, np.arange(N_ITEMS) / 4, np.nan).astype(np.float32),
    (np.arange(N_ITEMS) != 7).astype(np.uint8),
    np.zeros(N_ITEMS),
    np.zeros(N_ITEMS, np.float32),
)
KNOWN = Known(np.zeros((N_ITEMS, 2)), np.zeros(2), np.zeros(N_ITEMS), NO_USERS, NOTHING_USUAL, NO_VECTORS)
score = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0, np.nan, np.inf, -1.0])
rows = st.lists(
    st.tuples(st.integers(-1, N_ITEMS - 1), score),
    min_size=N_CANDIDATES,
    max_size=N_CANDIDATES,
    unique_by=lambda r: r[0],
)
seen_rows = st.lists(
    st.tuples(st.integers(-1, N_ITEMS - 1), st.sampled_from([VIEWED, BOUGHT, DISMISSED])),
    min_size=N_SEEN,
    max_size=N_SEEN,
)
users = st.lists(st.tuples(st.lists(rows, min_size=N_SOURCES, max_size=N_SOURCES), seen_rows), max_size=4)


def ranked(people, nobody, **settings):
    made = RankSettings(**settings)
    n = len(people)
    sources = []
    for s in range(N_SOURCES):
        pairs = np.array([found[s] for found, _ in people], np.float64).reshape(n, N_CANDIDATES, 2)
        items = pairs[:, :, 0].astype(np.int32)
        sources.append((f"s{s}", Candidates(items, pairs[:, :, 1].astype(np.float32), items)))
    hidden = np.array([seen for _, seen in people]).reshape(n, N_SEEN, 2)
    seen = Seen(hidden[:, :, 0].astype(np.int32), hidden[:, :, 1].astype(np.uint8))
    slates, _ = rank(
        sources,
        nobody(n),
        seen,
        ATTRIBUTES,
        KNOWN,
        REBUYABLE,
        N_PLACES,
        made,
        FixedWeights(made),
        np.arange(n, dtype=np.uint64),
    )
    return slates


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scores_and_shares_are_those_of_the_weights(candidates, attributes, seen, nobody, unknown):
    settings = RankSettings(source_weights={"a": 3.0}, default_weight=0.5)
    sources = [("a", candidates({1: 4.0, 2: 1.0}, because=9)), ("b", candidates({2: 8.0}, because=8))]
    rebuyable = np.zeros(100, np.uint8)
    found, _ = rank(
        sources,
        nobody(1),
        seen({}),
        attributes(),
        unknown,
        rebuyable,
        3,
        settings,
        FixedWeights(settings),
        np.zeros(1, np.uint64),
    )
    # 1: 3 * 4/4 + 0 = 3. 2: 3 * 1/4 + 0.5 * 8/8 = 1.25, of which 0.75 and 0.5: shares 0.6 and 0.4.
    assert found.items.tolist() == [[1, 2, -1]]
    assert found.scores.tolist() == [[3.0, 1.25, 0.0]]
    np.testing.assert_allclose(found.shares[0], [[1.0, 0.0], [0.6, 0.4], [0.0, 0.0]], rtol=1e-6)
    assert found.because.tolist() == [[[9, -1], [9, 8], [-1, -1]]]


def test_a_source_of_weight_zero_is_silent(candidates, attributes, seen, nobody, unknown):
    settings = RankSettings(source_weights={"a": 0.0})
    sources = [("a", candidates({1: 4.0})), ("b", candidates({2: 8.0}))]
    found, _ = rank(
        sources,
        nobody(1),
        seen({}),
        attributes(),
        unknown,
        np.zeros(100, np.uint8),
        2,
        settings,
        FixedWeights(settings),
        np.zeros(1, np.uint64),
    )
    assert found.items.tolist() == [[2, -1]]


@given(users)
def test_no_refused_item_no_repeat_and_no_gap(nobody, people):
    found = ranked(people, nobody)
    for items, (_, hidden) in zip(found.items.tolist(), people, strict=True):
        shown = [item for item in items if item >= 0]
        assert len(set(shown)) == len(shown)
        assert items == shown + [-1] * (N_PLACES - len(shown))
        assert 7 not in shown
        refused = {item for item, reason in hidden if reason != BOUGHT or not REBUYABLE[item]}
        assert not refused & set(shown)


@given(users)
def test_the_slate_is_full_when_there_are_candidates_enough(nobody, people):
    found = ranked(people, nobody, filter_viewed=False, filter_bought=False)
    for items, (sources, hidden) in zip(found.items.tolist(), people, strict=True):
        named = {item for source in sources for item, score in source if item >= 0 and 0.0 < score < np.inf}
        named -= {7} | {item for item, reason in hidden if reason == DISMISSED}
        assert sum(item >= 0 for item in items) == min(N_PLACES, len(named))


@given(users)
def test_shares_sum_to_one_where_there_is_an_item(nobody, people):
    found = ranked(people, nobody)
    np.testing.assert_allclose(found.shares.sum(axis=2), found.items >= 0, rtol=1e-6)
    assert (found.shares >= 0.0).all()


@given(users, st.data())
def test_users_do_not_see_each_other(nobody, people, data):
    order = data.draw(st.permutations(range(len(people))))
    same(ranked([people[i] for i in order], nobody), [column[order] for column in ranked(people, nobody)])


@given(users, st.data())
def test_the_order_of_the_candidates_does_not_matter(nobody, people, data):
    shuffled = [([data.draw(st.permutations(row)) for row in found], hidden) for found, hidden in people]
    same(ranked(shuffled, nobody), ranked(people, nobody))


@given(users)
def test_with_lambda_one_scores_never_rise(nobody, people):
    found = ranked(people, nobody, mmr_lambda=1.0)
    assert (np.diff(found.scores, axis=1) <= 0.0).all()


@pytest.mark.parametrize("n_users", [0, 2])
def test_sources_without_candidates_give_empty_slates(n_users, attributes, seen, nobody, unknown):
    nothing = Candidates(*(np.zeros((n_users, 0), dtype) for dtype in (np.int32, np.float32, np.int32)))
    settings = RankSettings()
    found, _ = rank(
        [("a", nothing)],
        nobody(n_users),
        seen(*[{}] * n_users),
        attributes(),
        unknown,
        np.zeros(100, np.uint8),
        4,
        settings,
        FixedWeights(settings),
        np.zeros(n_users, np.uint64),
    )
    assert found.items.tolist() == [[-1] * 4] * n_users
    assert found.shares.shape == (n_users, 4, 1)
