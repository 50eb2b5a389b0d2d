import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.rank.explore import LEAST_PROPENSITY, explore, new_items
from models.rank.explore_settings import ExploreSettings
from models.rank.merge import merge

ALL = np.ones(100, np.uint8)
N_SEEDS = 20_000
# From the best: places 1 and 2 of a slate of two or of a slate of three with 3, the rest the pool.
SHOP = {1: 1.0, 2: 0.9, 3: 0.8, 4: 0.6, 5: 0.5}
SPREAD = {1: 0.05, 2: 0.3, 3: 0.1, 4: 0.4, 5: 0.02}


class Shown(NamedTuple):
    items: list[list[int]]
    propensity: np.ndarray
    explored: np.ndarray


@pytest.fixture(scope="session")
def shown(candidates):
    """What becomes of the greedy slates of users with candidates ``{item: score}`` each, as items."""

    def make(users, n_places, settings, seeds=None, spread=(), new=()):
        merged = merge([candidates(*users)], np.full((len(users), 0), -1, np.int32), ALL)
        items = merged.items.tolist()
        scores = np.array(
            [users[u][item] for u, item in zip(merged.user, items, strict=True)], np.float32
        ).reshape(-1)
        rows = np.full((len(users), n_places), -1, np.int64)
        for u in range(len(users)):
            own = range(merged.starts[u], merged.starts[u + 1])
            best = sorted(own, key=lambda row: (-scores[row], items[row]))[:n_places]
            rows[u, : len(best)] = best
        before = rows.copy()
        found = explore(
            merged,
            rows,
            scores,
            np.array([dict(spread).get(item, 0.0) for item in items], np.float32),
            np.isin(merged.items, list(new)).astype(np.uint8),
            np.arange(len(users), dtype=np.uint64) if seeds is None else np.array(seeds, np.uint64),
            settings,
        )
        np.testing.assert_array_equal(rows, before)
        named = [[items[row] if row >= 0 else -1 for row in slate] for slate in found.rows.tolist()]
        return Shown(named, found.propensity, found.explored)

    return make


def by_slate(found):
    """The propensities of each slate that was shown, which depend on nothing but what it shows."""
    made = {}
    for slate, chances in zip(found.items, found.propensity.tolist(), strict=True):
        assert made.setdefault(tuple(slate), chances) == chances
    return made


def normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def test_without_a_policy_the_slate_stays(shown):
    found = shown([SHOP, {7: 1.0}], 3, ExploreSettings(places=3, epsilon=1.0), spread=SPREAD)
    assert found.items == [[1, 2, 3], [7, -1, -1]]
    assert found.propensity.tolist() == [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert not found.explored.any()


def test_a_draw_weighs_new_items_and_may_take_the_greedy_one(shown):
    settings = ExploreSettings(policy="epsilon", places=1, epsilon=0.3, new_item_boost=2.0)
    found = shown([{1: 1.0, 2: 0.9, 3: 0.8, 4: 0.1}] * 500, 2, settings, new=[4])
    # Weights 1 (item 2), 1 (3) and 2 (4, new) of 4: 0.7 + 0.3 / 4, 0.3 / 4, 0.3 * 2 / 4.
    expected = {(1, 2): [1.0, 0.775], (1, 3): [1.0, 0.075], (1, 4): [1.0, 0.15]}
    made = by_slate(found)
    assert made.keys() == expected.keys()
    for slate, chances in expected.items():
        assert made[slate] == pytest.approx(chances)


def test_what_has_a_place_is_out_of_the_next_draw(shown):
    settings = ExploreSettings(policy="epsilon", places=2, epsilon=0.3)
    made = by_slate(shown([{1: 1.0, 2: 0.9, 3: 0.8}] * 2_000, 2, settings))
    # First one of three: 0.7 + 0.3 / 3 or 0.3 / 3. Then the next greedy one: 0.7 + 0.3 / 2, or 0.3 / 2.
    assert {slate: pytest.approx(chances) for slate, chances in made.items()} == {
        (1, 2): [0.8, 0.85],
        (1, 3): [0.8, 0.15],
        (2, 1): [0.1, 0.85],
        (2, 3): [0.1, 0.15],
        (3, 1): [0.1, 0.85],
        (3, 2): [0.1, 0.15],
    }


def test_explored_is_what_the_greedy_slate_would_not_have_shown_next(shown):
    settings = ExploreSettings(policy="epsilon", places=2, epsilon=0.5)
    found = shown([{1: 1.0, 2: 0.9, 3: 0.8}] * 500, 2, settings)
    made = {
        tuple(slate): explored for slate, explored in zip(found.items, found.explored.tolist(), strict=True)
    }
    # After 3 has taken the first place, 1 is what the greedy slate has next.
    assert made[1, 2] == [False, False]
    assert made[3, 1] == [True, False]
    assert made[3, 2] == [True, True]


@pytest.mark.parametrize(
    "settings",
    [
        ExploreSettings(policy="epsilon", places=2, epsilon=0.4, new_item_boost=3.0),
        ExploreSettings(policy="epsilon", places=3, epsilon=1.0, pool=1),
        ExploreSettings(policy="thompson", places=2, epsilon=0.0),
        ExploreSettings(policy="thompson", places=3, epsilon=0.2, new_item_boost=2.0),
        ExploreSettings(policy="linucb", places=2, epsilon=0.3),
    ],
    ids=lambda settings: f"{settings.policy}-{settings.places}-{settings.epsilon}",
)
def test_slates_come_as_often_as_their_propensities_say(shown, settings):
    found = shown([SHOP] * N_SEEDS, 3, settings, spread=SPREAD, new=[5])
    counts = Counter(map(tuple, found.items))
    expected = {slate: N_SEEDS * math.prod(chances) for slate, chances in by_slate(found).items()}
    often = [slate for slate in expected if expected[slate] >= 5.0]
    rest = N_SEEDS - sum(expected[slate] for slate in often)
    off = sum((counts[slate] - expected[slate]) ** 2 / expected[slate] for slate in often)
    # Chi-square of mean df and variance 2 df: four deviations above the mean are one in some thousands.
    assert off < len(often) + 4.0 * math.sqrt(2.0 * len(often))
    assert abs(N_SEEDS - sum(counts[slate] for slate in often) - rest) < 4.0 * math.sqrt(max(rest, 4.0))


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_the_propensities_of_all_that_may_take_a_place_sum_to_one(shown, policy):
    settings = ExploreSettings(policy=policy, places=1, epsilon=0.5)
    made = by_slate(shown([SHOP] * 2_000, 2, settings, spread=SPREAD, new=[4]))
    assert {slate[1] for slate in made} == {2, 3, 4, 5}
    assert sum(chances[1] for chances in made.values()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(("width", "other"), [(0.3, 0.3), (0.5, 0.01), (0.01, 0.5), (0.4, 0.0), (0.4, 1e-6)])
def test_of_two_the_chance_to_be_best_is_known(shown, gap, width, other):
    settings = ExploreSettings(policy="thompson", places=1, epsilon=0.0)
    spread = {2: width, 3: other}
    made = by_slate(shown([{1: 3.0, 2: 1.0 + gap, 3: 1.0}] * 3_000, 2, settings, spread=spread))
    # The difference of two normal numbers is normal, of variance width² + other².
    ahead = normal_cdf(gap / math.hypot(width, other))
    assert made[1, 2][1] == pytest.approx(ahead, rel=3e-4)
    if (1, 3) in made:
        assert made[1, 3][1] == pytest.approx(1.0 - ahead, rel=3e-4)


@pytest.mark.parametrize("width", [1e-6, 0.3])
def test_of_many_alike_each_has_the_same_chance_to_be_best(shown, width):
    settings = ExploreSettings(policy="thompson", places=1, epsilon=0.0, pool=39)
    alike = dict.fromkeys(range(60), 0.5)
    made = by_slate(shown([alike] * 500, 1, settings, spread=dict.fromkeys(alike, width)))
    assert len(made) == 40  # item 0, the greedy one, and a pool of 39
    for chances in made.values():
        assert chances == pytest.approx([1 / 40], rel=3e-4)


@pytest.mark.parametrize("policy", ["thompson", "linucb"])
def test_without_uncertainty_the_best_scores_fill_the_tail(shown, policy):
    settings = ExploreSettings(policy=policy, places=2, epsilon=0.0)
    found = shown([{4: 0.5, 3: 0.5, 2: 0.5, 1: 0.1}], 3, settings)
    assert found.items == [[2, 3, 4]]
    assert found.propensity.tolist() == [[1.0, 1.0, 1.0]]


def test_linucb_takes_the_largest_upper_bound(shown):
    settings = ExploreSettings(policy="linucb", places=2, epsilon=0.0, alpha=2.0, new_item_boost=3.0)
    # Bounds: 2 has 0.9 + 2 * 0.1 = 1.1, 3 has 0.8 + 2 * 0.2 = 1.2, 4 is new: 0.5 + 2 * 3 * 0.125 = 1.25.
    found = shown([{1: 1.0, 2: 0.9, 3: 0.8, 4: 0.5}], 3, settings, spread={2: 0.1, 3: 0.2, 4: 0.125}, new=[4])
    assert found.items == [[1, 4, 3]]
    assert found.propensity.tolist() == [[1.0, 1.0, 1.0]]
    assert found.explored.tolist() == [[False, True, True]]


def test_new_items_come_into_the_pool_first_then_the_best(shown):
    settings = ExploreSettings(policy="epsilon", places=1, epsilon=1.0, pool=3)
    scores = {1: 1.0, 2: 0.9, 3: 0.8, 4: 0.7, 5: 0.7, 6: 0.2, 7: 0.1}
    found = shown([scores] * 500, 1, settings, new=[6, 7])
    assert {slate[0] for slate in found.items} == {1, 2, 6, 7}
    found = shown([scores] * 500, 1, settings, new=[4, 5, 6, 7])
    assert {slate[0] for slate in found.items} == {1, 4, 5, 6}


def test_ties_in_the_pool_go_to_the_lower_item(shown):
    settings = ExploreSettings(policy="epsilon", places=1, epsilon=1.0, pool=2)
    found = shown([{1: 1.0, 9: 0.5, 4: 0.5, 6: 0.5}] * 200, 1, settings)
    assert {slate[0] for slate in found.items} == {1, 4, 6}


def test_what_does_not_score_above_zero_is_never_explored(candidates):
    merged = merge([candidates({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0})], np.full((1, 0), -1, np.int32), ALL)
    scores = np.array([1.0, 0.0, np.nan, -1.0], np.float32)
    settings = ExploreSettings(policy="epsilon", epsilon=1.0)
    seed, zeros = np.zeros(1, np.uint64), np.zeros(4, np.float32)
    found = explore(merged, np.zeros((1, 1), np.int64), scores, zeros, np.ones(4, np.uint8), seed, settings)
    assert found.rows.tolist() == [[0]]
    assert found.propensity.tolist() == [[1.0]]


@pytest.mark.parametrize("policy", ["epsilon", "thompson"])
def test_a_slate_depends_on_its_seed_alone(shown, policy):
    settings = ExploreSettings(policy=policy, places=2, epsilon=0.5)
    seeds = [2**64 - 1, 5, 5, 9, 12, 77, 3, 1]
    together = shown([SHOP] * len(seeds), 3, settings, seeds, spread=SPREAD)
    alone = [shown([SHOP], 3, settings, [seed], spread=SPREAD).items[0] for seed in seeds]
    assert together.items == alone
    assert together.items[1] == together.items[2]
    assert len(set(map(tuple, alone))) > 1


def test_exploring_the_same_slate_over_many_seeds_leaves_no_place_out(shown):
    settings = ExploreSettings(policy="epsilon", places=2, epsilon=0.5)
    explored = shown([SHOP] * 2_000, 4, settings).explored.mean(axis=0)
    # Place 3: a draw (0.5) of something but the greedy one (2 of 3 left). Place 4: of 2 left.
    assert explored.tolist() == [0.0, 0.0, pytest.approx(1 / 3, abs=0.05), pytest.approx(0.25, abs=0.05)]


@pytest.mark.parametrize("n_users", [0, 1])
def test_where_there_is_nothing_to_explore_nothing_happens(shown, n_users):
    users = [SHOP] * n_users
    for settings in (
        ExploreSettings(policy="epsilon", epsilon=1.0, places=0),
        ExploreSettings(policy="thompson", places=1, pool=0, epsilon=1.0),
    ):
        found = shown(users, 3, settings, spread=SPREAD)
        assert found.items == [[1, 2, 3]] * n_users
        assert found.propensity.tolist() == [[1.0] * 3] * n_users


score = st.floats(0.0078125, 1.0, width=32)
people = st.lists(st.dictionaries(st.integers(0, 11), score, max_size=9), min_size=1, max_size=4)
policies = st.builds(
    ExploreSettings,
    policy=st.sampled_from(["none", "epsilon", "thompson", "linucb"]),
    places=st.integers(0, 6),
    epsilon=st.sampled_from([0.0, 0.3, 1.0]),
    pool=st.integers(0, 4),
)
spreads = st.dictionaries(st.integers(0, 11), st.sampled_from([1e-6, 0.1, 2.0]))
news = st.sets(st.integers(0, 11))


@given(people, policies, spreads, news, st.integers(0, 2**64 - 5))
def test_every_slate_is_whole_and_its_head_the_greedy_one(shown, users, settings, spread, new, seed):
    seeds = [seed + u for u in range(len(users))]
    found = shown(users, 5, settings, seeds, spread, new)
    n_head = max(0, 5 - settings.places)
    for u, (scores, slate) in enumerate(zip(users, found.items, strict=True)):
        greedy = sorted(scores, key=lambda item: (-scores[item], item))[:5]
        items = [item for item in slate if item >= 0]
        assert slate[:n_head] == (greedy + [-1] * 5)[:n_head]
        assert slate == items + [-1] * (5 - len(items))
        assert len(set(items)) == len(items) == len(greedy)
        assert set(items) <= set(scores)
        chances, explored = found.propensity[u], found.explored[u]
        assert (chances[: len(items)] >= LEAST_PROPENSITY).all()
        assert (chances <= 1.0).all()
        assert (chances[len(items) :] == 0.0).all()
        assert (chances[: min(n_head, len(items))] == 1.0).all()
        assert not explored[:n_head].any()
        assert not explored[len(items) :].any()
        assert explored.any() == (items != greedy)


@given(people, policies, spreads, news, st.data())
def test_the_order_of_the_candidates_does_not_matter(shown, users, settings, spread, new, data):
    shuffled = [dict(data.draw(st.permutations(list(user.items())))) for user in users]
    one, other = (shown(each, 5, settings, None, spread, new) for each in (users, shuffled))
    assert one.items == other.items
    np.testing.assert_allclose(one.propensity, other.propensity, rtol=1e-6)


def test_an_item_is_new_until_its_age_is_reached(candidates):
    merged = merge([candidates({1: 1.0, 2: 1.0, 3: 1.0}, {1: 1.0})], np.full((2, 0), -1, np.int32), ALL)
    created_s = np.array([0.0, 40.0, 41.0, np.inf])
    # At 100 s, item 1 is 60 s old and 2 is 59 s old; at 99 s, 1 is 59 s old. 3 was never seen.
    assert new_items(merged, created_s, np.array([100.0, 99.0]), 60.0).tolist() == [0, 1, 0, 1]
    assert new_items(merged, created_s, np.array([100.0, 99.0]), 0.0).tolist() == [0, 0, 0, 0]


def test_unknown_settings_and_policies_are_refused():
    with pytest.raises(ValidationError, match="sample"):
        ExploreSettings(samples=3)
    with pytest.raises(ValidationError, match="policy"):
        ExploreSettings(policy="ucb")
