from itertools import pairwise
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kinds import WEIGHTS, Kind
from models.knowledge.popularity import HALF_LIVES_S, Popularity
from models.retrieve.contract import Interactions

HOUR_S, WEEK_S = HALF_LIVES_S
START_S = 1_700_000_000.0
N_ITEMS = 6

Row = tuple[int, Kind, float]
"""Item, kind, seconds after the start."""


def batch(*rows: Row) -> Interactions:
    n = len(rows)
    return Interactions(
        np.zeros(n, np.uint64),
        np.zeros(n, np.uint64),
        np.array([item for item, _, _ in rows], np.int32),
        np.array([kind for _, kind, _ in rows], np.uint8),
        START_S + np.array([after_s for _, _, after_s in rows], np.float64),
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
    )


def after(*batches: list[Row]) -> Popularity:
    made = Popularity(N_ITEMS)
    for rows in batches:
        made.update(batch(*rows))
    return made


def shares(popularity: Popularity) -> np.ndarray:
    """(I, 2) of all interactions."""
    counts, totals = popularity.shares()
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0.0)


def test_of_nothing_counted_there_are_no_shares() -> None:
    counts, totals = Popularity(N_ITEMS).shares()
    assert not counts.any()
    assert not totals.any()


def test_kinds_count_by_their_weights() -> None:
    found = shares(after([(0, Kind.PURCHASE, 0.0), (1, Kind.VIEW, 0.0), (2, Kind.WISHLIST, 0.0)]))
    # 5, 1 and 2 of 8
    assert found[:, 0].tolist() == found[:, 1].tolist() == [0.625, 0.125, 0.25, 0.0, 0.0, 0.0]


def test_an_hour_halves_the_one_count_and_a_week_the_other() -> None:
    an_hour = shares(after([(0, Kind.VIEW, 0.0), (1, Kind.VIEW, HOUR_S)]))
    # By the hour the older one counts half: 0.5 / 1.5. By the week 2 ** (-1 / 168) = 0.995883 of 1.995883.
    assert an_hour[0].tolist() == pytest.approx([1.0 / 3.0, 0.498969], abs=1e-6)
    a_week = shares(after([(0, Kind.VIEW, 0.0), (1, Kind.VIEW, WEEK_S)]))
    # 168 half-lives leave 2 ** -168.
    assert a_week[0].tolist() == pytest.approx([2.0**-168, 1.0 / 3.0], rel=1e-9)


def test_time_alone_changes_no_share() -> None:
    rows = [(0, Kind.VIEW, 0.0), (1, Kind.CART, 60.0)]
    later = [(item, kind, after_s + 30 * WEEK_S) for item, kind, after_s in rows]
    assert shares(after(rows)) == pytest.approx(shares(after(later)), rel=1e-9)


def test_what_comes_late_counts_as_if_it_had_come_in_time() -> None:
    rows = [(0, Kind.VIEW, 0.0), (1, Kind.CART, 2 * HOUR_S), (2, Kind.VIEW, HOUR_S)]
    assert shares(after(rows)) == pytest.approx(shares(after(sorted(rows, key=lambda row: row[2]))), rel=1e-9)


def test_pauses_of_years_leave_numbers() -> None:
    years = [(0, Kind.VIEW, i * 52 * WEEK_S) for i in range(20)]
    found = shares(after([*years, (1, Kind.VIEW, 20 * 52 * WEEK_S)]))
    assert np.isfinite(found).all()
    # Of the item of a year before nothing is left by the hour, and by the week 2 ** -52.
    assert found[:2, 0].tolist() == [0.0, 1.0]
    assert found[0, 1] == pytest.approx(2.0**-52, rel=1e-6)


def direct(rows: list[Row]) -> np.ndarray:
    """Shares by the definition: each weight times 2 to the minus age over half-life."""
    now_s = max(after_s for _, _, after_s in rows)
    counts = np.zeros((N_ITEMS, 2))
    for item, kind, after_s in rows:
        for h, half_life_s in enumerate(HALF_LIVES_S):
            counts[item, h] += WEIGHTS[kind] * exp(-0.6931471805599453 * (now_s - after_s) / half_life_s)
    return counts / counts.sum(axis=0)


rows = st.lists(
    st.tuples(
        st.integers(0, N_ITEMS - 1),
        st.sampled_from([Kind.VIEW, Kind.CART, Kind.PURCHASE, Kind.DWELL]),
        st.floats(0.0, 100 * HOUR_S),
    ),
    min_size=1,
    max_size=20,
)


@given(rows, st.sets(st.integers(1, 19)))
@settings(max_examples=150, deadline=None)
def test_shares_are_those_of_the_definition_in_any_batching(log: list[Row], cuts: set[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    found = shares(after(*(log[start:end] for start, end in pairwise(bounds))))
    assert found == pytest.approx(direct(log), abs=1e-9)


@given(rows, st.sets(st.integers(0, N_ITEMS - 1), max_size=4))
@settings(max_examples=100, deadline=None)
def test_forgotten_items_leave_no_trace(log: list[Row], forgotten: set[int]) -> None:
    made = after([(item, kind, after_s / 10.0) for item, kind, after_s in log])
    made.forget(np.array(sorted(forgotten), np.int32))
    kept = [(item, kind, after_s / 10.0) for item, kind, after_s in log if item not in forgotten]
    counts, _ = made.shares()
    assert not counts[sorted(forgotten)].any()
    if kept:
        assert shares(made) == pytest.approx(direct(kept), abs=1e-9)
