from collections.abc import Callable
from math import exp, log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.groups import Groups
from models.learn.judge import Judged, judge, ndcg

Lists = Callable[..., Groups]
ONE = np.ones(1, np.float32)
"""The weight of the one feature: a score is its value."""


def only(judged: Judged) -> tuple[float, ...]:
    return tuple(float(column[0]) for column in judged)


def test_the_second_of_four(lists: Lists) -> None:
    rank, loss, auc, best, is_best = only(judge(lists(([[1.0], [3.0], [2.0], [0.0]], 2, 1.0)), ONE))
    total = exp(1.0) + exp(3.0) + exp(2.0) + exp(0.0)
    assert rank == 2.0
    assert loss == pytest.approx(log(total) - 2.0, abs=1e-6)
    assert auc == pytest.approx(2.0 / 3.0)  # above two of the other three
    assert best == pytest.approx(exp(3.0) / total, abs=1e-6)
    assert is_best == 0.0


def test_the_best(lists: Lists) -> None:
    rank, loss, auc, best, is_best = only(judge(lists(([[2.0], [0.0]], 0, 5.0)), ONE))
    assert (rank, auc, is_best) == (1.0, 1.0, 1.0)
    assert best == pytest.approx(exp(2.0) / (exp(2.0) + 1.0), abs=1e-6)
    assert loss == pytest.approx(-log(best), abs=1e-6)


def test_a_tie_counts_against_the_rank_and_half_for_auc(lists: Lists) -> None:
    rank, loss, auc, best, is_best = only(judge(lists(([[1.0]] * 4, 0, 1.0)), ONE))
    assert (rank, auc, best, is_best) == (4.0, 0.5, 0.25, 1.0)
    assert loss == pytest.approx(log(4.0), abs=1e-6)


def test_what_lies_behind_the_list_does_not_take_part(lists: Lists) -> None:
    short = lists(([[1.0], [2.0], [3.0]], 0, 1.0))._replace(n=np.array([2], np.int32))
    assert only(judge(short, ONE))[:3] == pytest.approx((2.0, log(1.0 + exp(1.0)), 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "target", "weight"),
    [
        ([[1.0], [0.0]], -1, 1.0),  # shown
        ([[1.0], [0.0]], 0, -1.0),  # dismissed
        ([[1.0], [0.0]], 0, 0.0),  # counts nothing
        ([[1.0]], 0, 1.0),  # nothing to choose from
    ],
)
def test_lists_without_a_wanted_candidate_have_no_figures(
    lists: Lists, rows: list[list[float]], target: int, weight: float
) -> None:
    judged = judge(lists(([[1.0], [0.0]], 0, 1.0), (rows, target, weight)), ONE)
    assert np.isnan(np.stack(judged)).tolist() == [[False, True]] * 5


def test_the_loss_of_the_impossible_ends(lists: Lists) -> None:
    loss = only(judge(lists(([[0.0], [3.9]], 0, 1.0)), ONE * 100.0))[1]
    assert loss == pytest.approx(-log(1e-9), rel=1e-5)


def test_of_no_lists_there_are_no_figures(lists: Lists) -> None:
    assert judge(lists(k=3, f=1), ONE).rank.shape == (0,)


def test_ndcg_by_rank() -> None:
    rank = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    assert ndcg(rank, 3).tolist() == pytest.approx([1.0, 1.0 / log2(3.0), 0.5, 0.0])


score = st.integers(-20, 20).map(lambda tenth: tenth / 8.0)


@given(st.lists(score, min_size=2, max_size=9), st.data())
@settings(max_examples=150, deadline=None)
def test_figures_follow_their_definitions(lists: Lists, scores: list[float], data: st.DataObject) -> None:
    target = data.draw(st.integers(0, len(scores) - 1))
    rank, loss, auc, best, is_best = only(judge(lists(([[s] for s in scores], target, 1.0)), ONE))
    wanted, others = scores[target], [s for i, s in enumerate(scores) if i != target]
    p = np.exp(np.array(scores)) / np.exp(np.array(scores)).sum()
    assert rank == 1 + sum(s >= wanted for s in others)
    assert auc == pytest.approx(sum((s < wanted) + (s == wanted) / 2 for s in others) / len(others))
    assert loss == pytest.approx(-log(p[target]), abs=1e-5)
    assert best == pytest.approx(p.max(), abs=1e-6)
    assert is_best == (wanted == max(scores))
