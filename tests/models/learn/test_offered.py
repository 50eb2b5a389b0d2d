"""What slates offer, by hand: exposure, coverage, Gini, diversity, novelty."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.learn.offered import EXPOSURE_WINDOWS, Offered
from models.rank.slate import Ranked

CATEGORY = np.array([0, 0, 1, -1], np.int32)
COUNTS = np.array([[0.0, 4.0], [0.0, 2.0], [0.0, 1.0], [9.0, 0.0]])
"""Hour and week; of the week's 8 interactions one was of an item that is gone."""


@pytest.fixture
def offered() -> Offered:
    return Offered(["near", "far"], 4)


def add(offered: Offered, *slates: Sequence[int], shares: Sequence[float] = (0.4, 0.6)) -> None:
    """Slates of items, each item brought by ``shares``."""
    width = max(map(len, slates))
    items = np.full((len(slates), width), -1, np.int32)
    for row, slate in enumerate(slates):
        items[row, : len(slate)] = slate
    of_sources = np.where(items[:, :, None] >= 0, np.array(shares, np.float32), np.float32(0.0))
    explored = np.zeros(items.shape, np.bool_)
    explored[:, -1] = items[:, -1] >= 0
    ranked = Ranked(
        items,
        np.zeros(items.shape, np.float32),
        of_sources,
        np.full(of_sources.shape, -1, np.int32),
        np.ones(items.shape, np.float32),
        explored,
    )
    offered.add(ranked, CATEGORY, COUNTS, 8.0, 5.0)


def figures(offered: Offered, n_known: int = 10) -> dict[tuple[str, str | None], tuple[float, int | None]]:
    found = {}
    for each in offered.measurements(n_known):
        assert (each.metric, each.segment) not in found
        found[each.metric, each.segment] = (each.value, each.n)
    return found


def test_every_figure_of_two_slates(offered: Offered) -> None:
    add(offered, [0, 1, 2], [0, 3])
    told = figures(offered)
    assert told["slates", None] == (2, None)
    # Four of ten items.
    assert told["coverage", None] == (0.4, 10)
    # Six times 0, then 1, 1, 1, 2: (3 * 1 + 5 * 1 + 7 * 1 + 9 * 2) / (10 * 5).
    assert told["gini", None] == (pytest.approx(0.66), 10)
    # 0 and 1 are alike, 2 differs from both; of the second slate only one category is known.
    assert told["diversity", None] == (pytest.approx(2 / 3, rel=1e-5), 1)
    # 4, 2 and 1 of 8 are 1, 2 and 3 bits, none at all the most: 5.
    assert told["novelty", None] == (pytest.approx((1 + 2 + 3 + 1 + 5) / 5), 5)
    assert told["explored_share", None] == (pytest.approx(1 / 5), 5)


def test_a_place_counts_for_the_source_that_brought_its_item_most(offered: Offered) -> None:
    add(offered, [0, 1, 2])
    add(offered, [3], shares=(0.5, 0.5))  # a tie goes to the first
    told = figures(offered)
    assert told["offered_share", "source=near"] == (0.25, 4)
    assert told["offered_share", "source=far"] == (0.75, 4)


def test_an_empty_slate_is_none(offered: Offered) -> None:
    add(offered, [0], [])
    assert len(offered) == 1
    assert figures(offered)["slates", None] == (1, None)


def test_coverage_is_at_most_all(offered: Offered) -> None:
    add(offered, [0, 1, 2, 3])
    assert figures(offered, n_known=2)["coverage", None] == (1.0, 4)


def test_exposure_looks_back_over_several_windows_the_rest_over_one(offered: Offered) -> None:
    add(offered, [0, 1])
    for _ in range(EXPOSURE_WINDOWS):
        offered.next_window()
    add(offered, [2])
    told = figures(offered)
    assert told["coverage", None] == (0.3, 10)
    assert told["slates", None] == (1, None)
    for _ in range(EXPOSURE_WINDOWS):
        offered.next_window()
    add(offered, [2])
    assert figures(offered)["coverage", None] == (0.1, 10)


def test_another_model_begins_afresh(offered: Offered) -> None:
    add(offered, [0, 1])
    offered.forget()
    assert len(offered) == 0
    add(offered, [2])
    assert figures(offered)["coverage", None] == (0.1, 10)
