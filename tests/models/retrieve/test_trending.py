from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import Interactions, Queries
from models.retrieve.settings import TrendingSettings
from models.retrieve.trending import Trending

SMALL = TrendingSettings(half_lives_s=(10.0, 1_000.0), blend=(0.25, 0.75), pool=4)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


def learned(attributes: Attributes, *batches: Interactions, **changes: object) -> Trending:
    source = Trending(SMALL.model_copy(update=changes), attributes, 50)
    for batch in batches:
        source.update(batch)
    return source


def listed(answer: tuple[np.ndarray, np.ndarray]) -> dict[int, float]:
    return dict(zip(answer[0].tolist(), map(pytest.approx, answer[1].tolist()), strict=True))


def test_counts_decay_with_their_half_life(attributes: Attributes, interactions: Make) -> None:
    # Item 1 at 0 s, item 2 at 10 s. At 20 s with half-life 10: 1/4 and 1/2; a purchase counts 5.
    kinds = [Kind.VIEW, Kind.VIEW, Kind.PURCHASE]
    source = learned(attributes, interactions([(1, 1, 0.0), (1, 2, 10.0), (1, 3, 0.0)], kind=kinds))
    assert listed(source.top(9, now_s=20.0, half_life_s=10.0)) == {3: 1.25, 2: 0.5, 1: 0.25}


def test_the_blend_adds_up_shares(attributes: Attributes, interactions: Make, asking: Ask) -> None:
    # At 10 s: short counts 1/2 and 1, long 2^-0.01 and 1. Blend: 1/4 * share + 3/4 * share.
    source = learned(attributes, interactions([(1, 1, 0.0), (2, 2, 10.0)]))
    old, short, long = 2**-0.01, 1.5, 1 + 2**-0.01
    expected = {2: 0.25 / short + 0.75 / long, 1: 0.25 * 0.5 / short + 0.75 * old / long}
    assert listed(source.top(5, now_s=10.0)) == expected
    found = source.candidates(asking(2), 3)
    assert found.items.tolist() == [[2, 1, -1]] * 2
    assert dict(zip([2, 1], found.scores[1, :2].tolist(), strict=True)) == pytest.approx(expected)


def test_what_rises_now_passes_what_was_popular(attributes: Attributes, interactions: Make) -> None:
    rows = [(u, 1, 0.0) for u in range(20)] + [(u, 2, 60.0) for u in range(4)]
    source = learned(attributes, interactions(rows))
    assert source.top(1, now_s=60.0, half_life_s=10.0)[0].tolist() == [2]
    assert source.top(1, now_s=60.0, half_life_s=1_000.0)[0].tolist() == [1]


def test_the_top_of_a_category(attributes: Attributes, interactions: Make) -> None:
    # Items 3, 13 and 23 are of category 3.
    source = learned(attributes, interactions([(1, 13, 0.0), (1, 13, 0.0), (1, 3, 0.0), (1, 4, 0.0)]))
    assert listed(source.top(9, now_s=0.0, category=3, half_life_s=10.0)) == {13: 2.0, 3: 1.0}
    assert listed(source.top(9, now_s=0.0, category=3)) == {13: 0.5, 3: 0.25}
    assert listed(source.top(9, now_s=0.0, category=9)) == {}


def test_an_unknown_half_life_is_refused_with_those_known(attributes: Attributes) -> None:
    with pytest.raises(ValueError, match="half-life 7 s are kept, only with 10, 1000 s"):
        learned(attributes).top(3, now_s=0.0, half_life_s=7.0)


def test_a_blend_that_does_not_fit_the_half_lives_is_refused() -> None:
    with pytest.raises(ValidationError, match="2 weights for 1 half-lives"):
        TrendingSettings(half_lives_s=(1.0,), blend=(0.5, 0.5))


def test_forgotten_items_make_room_for_the_next_best(attributes: Attributes, interactions: Make) -> None:
    rows = [(1, item, 0.0) for item in range(6) for _ in range(10 - item)]
    source = learned(attributes, interactions(rows), pool=2)
    assert source.top(9, now_s=0.0)[0].tolist() == [0, 1]
    source.forget(np.array([0], np.int32))
    assert source.top(9, now_s=0.0)[0].tolist() == [1, 2]


@given(
    rows=st.lists(st.tuples(st.just(1), st.integers(0, 9), st.floats(0.0, 2_000.0)), min_size=1, max_size=60)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_pool_is_the_best_of_all_items(
    attributes: Attributes, interactions: Make, rows: list[tuple[int, int, float]]
) -> None:
    small, large = (learned(attributes, interactions(rows), pool=pool) for pool in (3, 50))
    for half_life_s in SMALL.half_lives_s:
        pool = small._counters.pool[SMALL.half_lives_s.index(half_life_s)]
        best = large.top(3, now_s=2_000.0, half_life_s=half_life_s)[0]
        assert set(best.tolist()) <= set(pool.tolist())
