from collections.abc import Callable

import numpy as np
import pytest

from models.kinds import Kind
from models.retrieve.contract import Interactions, Queries
from models.retrieve.covisitation import Covisitation
from models.retrieve.settings import CovisitationSettings

SMALL = CovisitationSettings(
    neighbours=4, window=3, backward=0.5, half_life_s=100.0, smoothing=0.0, n_sessions=16, idle_s=1_000.0
)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


def learned(*batches: Interactions, **changes: object) -> Covisitation:
    source = Covisitation(SMALL.model_copy(update=changes), 50)
    for batch in batches:
        source.update(batch)
    return source


def related(source: Covisitation, item: int, k: int = 4) -> dict[int, float]:
    items, scores = source.related(np.array([item], np.int32), k)
    return {int(i): pytest.approx(float(s)) for i, s in zip(items[0], scores[0], strict=True) if i >= 0}


def test_what_follows_counts_more_than_what_went_before(interactions: Make) -> None:
    # 1, 2, 3 at the same time: 2 after 1 adds 1 to (1, 2) and 1/2 to (2, 1); 3 after 2 likewise; 3 two after
    # 1 adds 1/2 to (1, 3) and 1/4 to (3, 1). Shares: of 1: 1 and 1/2; of 2: 1/2 and 1; of 3: 1/2 and 1/4.
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0), (1, 3, 0.0)]))
    assert related(source, 1) == {2: 2 / 3, 3: 1 / 3}
    assert related(source, 2) == {3: 2 / 3, 1: 1 / 3}
    assert related(source, 3) == {2: 2 / 3, 1: 1 / 3}


def test_a_pair_halves_every_half_life(interactions: Make) -> None:
    # 2 follows 1 at 0 s, 3 follows 1 at 100 s, one half-life later: 1/2 against 1.
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0), (2, 1, 100.0), (2, 3, 100.0)]))
    assert related(source, 1) == {3: 2 / 3, 2: 1 / 3}


def test_the_order_of_arrival_does_not_matter_to_the_decay(interactions: Make) -> None:
    rows = [(1, 1, 0.0), (1, 2, 0.0), (2, 1, 100.0), (2, 3, 100.0)]
    assert related(learned(interactions(rows[2:] + rows[:2])), 1) == {3: 2 / 3, 2: 1 / 3}


def test_counts_survive_ages_of_any_length(interactions: Make) -> None:
    # A million half-lives later nothing is left of the first pair.
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0), (2, 1, 1e8), (2, 3, 1e8)]))
    assert related(source, 1) == {3: 1.0}


def test_a_purchase_weighs_more_than_a_view(interactions: Make) -> None:
    kinds = [Kind.VIEW, Kind.VIEW, Kind.VIEW, Kind.PURCHASE]
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0), (2, 1, 0.0), (2, 3, 0.0)], kind=kinds))
    assert related(source, 1) == {3: 5 / 6, 2: 1 / 6}


def test_a_purchase_after_the_view_adds_to_the_pair_and_not_to_itself(interactions: Make) -> None:
    # 1, then 2 viewed (1) and bought (5): 6 in all, at distance 1 both times.
    kinds = [Kind.VIEW, Kind.VIEW, Kind.PURCHASE, Kind.VIEW]
    source = learned(
        interactions([(1, 1, 0.0), (1, 2, 0.0), (1, 2, 0.0), (2, 9, 0.0)], kind=kinds), smoothing=6.0
    )
    found = source.candidates(asked_at(0.0), 4)
    assert found.items[0].tolist() == [2, -1, -1, -1]
    assert found.scores[0, 0] == pytest.approx(6 / (6 + 6))


def asked_at(now_s: float) -> Queries:
    none = np.empty((1, 0), np.int32)
    weightless = np.empty((1, 0), np.float32)
    minus = np.array([-1], np.int32)
    items = np.array([[1]], np.int32)
    return Queries(
        now_s=np.array([now_s]),
        user=np.array([99], np.uint64),
        items=items,
        weights=np.ones((1, 1), np.float32),
        history=items,
        history_age_s=np.zeros((1, 1), np.float32),
        history_times=np.zeros((1, 1), np.int32),
        category=none,
        category_weight=weightless,
        brand=none,
        brand_weight=weightless,
        log_price=np.array([np.nan], np.float32),
        term=none,
        term_weight=weightless,
        segment=minus,
        query=minus,
    )


def test_less_is_made_of_pairs_long_ago(interactions: Make) -> None:
    # One pair, smoothing 1: now 1 / (1 + 1); two half-lives later the count is 1/4: 0.25 / (0.25 + 1).
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0)]), smoothing=1.0)
    assert source.candidates(asked_at(0.0), 1).scores[0, 0] == pytest.approx(0.5)
    assert source.candidates(asked_at(200.0), 1).scores[0, 0] == pytest.approx(0.2)


def test_the_sum_over_the_session_and_its_cause(interactions: Make, asking: Ask) -> None:
    # (1, 3) and (2, 4) each all that follows; 5 follows neither. Asked [2, 1]: weights by `div`: 1 and 1/2.
    source = learned(interactions([(1, 1, 0.0), (1, 3, 0.0), (2, 2, 0.0), (2, 4, 0.0)]))
    found = source.candidates(asking(items=[[2, 1]]), 4)
    assert found.items[0].tolist() == [4, 3, -1, -1]
    assert found.scores[0, :2].tolist() == pytest.approx([1.0, 0.5])
    assert found.because[0].tolist() == [2, 1, -1, -1]


def test_only_the_window_is_paired(interactions: Make) -> None:
    source = learned(interactions([(1, item, 0.0) for item in (1, 2, 3, 4, 5)]), window=2)
    assert related(source, 5).keys() == {3, 4}


def test_when_full_the_smallest_makes_room_and_the_newcomer_is_not_overrated(interactions: Make) -> None:
    # Room for 2. Item 2 follows 1 three times, 3 once, then 4 once: 4 takes the place of 3 and its count of
    # 1, which is noted as error, so 4 scores 1 of the 5 that followed; 3 is no longer known.
    rows = [(user, item, 0.0) for user, after in enumerate((2, 2, 2, 3, 4), start=1) for item in (1, after)]
    assert related(learned(interactions(rows), neighbours=2), 1) == {2: 3 / 5, 4: 1 / 5}


def test_changed_items_are_named_once_in_order_and_up_to_a_limit(interactions: Make) -> None:
    source = learned(interactions([(1, 7, 0.0), (1, 8, 0.0), (2, 3, 0.0), (2, 7, 0.0), (3, 20, 0.0)]))
    assert source.changed(2).tolist() == [7, 8]
    assert source.changed(10).tolist() == [3]
    assert source.changed(10).tolist() == []
    source.update(interactions([(2, 8, 1.0)]))
    assert source.changed(10).tolist() == [7, 3, 8]


def test_items_that_lost_a_forgotten_neighbour_have_changed(interactions: Make) -> None:
    source = learned(interactions([(1, 7, 0.0), (1, 8, 0.0), (2, 8, 0.0), (2, 9, 0.0)]))
    source.changed(10)
    source.update(interactions([(2, 7, 0.0)]))
    source.forget(np.array([7], np.int32))
    assert source.changed(10).tolist() == [9, 8]
    assert related(source, 8) == {9: 1.0}
    assert related(source, 7) == {}


def test_related_of_unknown_items_is_empty(interactions: Make) -> None:
    source = learned(interactions([(1, 1, 0.0), (1, 2, 0.0)]))
    items, scores = source.related(np.array([-1, 49, 50], np.int32), 3)
    assert (items == -1).all()
    assert (scores == 0).all()
