from collections.abc import Callable

import numpy as np
import pytest

from models.learn.groups import SCALE, Groups
from models.learn.listwise import Listwise
from models.value.games import Layout
from models.value.masked import masked, shared, worth
from models.value.shapley import shapley_matrix

Make = Callable[..., Groups]


def opened(layout: Layout) -> np.ndarray:
    coalitions = np.arange(8)[:, None]
    return (coalitions & layout.needs) == layout.needs


def by_hand(groups: Groups, weights: np.ndarray, layout: Layout, allowed: np.ndarray, k: int) -> np.ndarray:
    """NDCG (G,) of one coalition."""
    out = []
    for g in range(len(groups.n)):
        x = groups.features(g, slice(0, groups.n[g])).astype(np.float64)
        speaks = allowed[layout.block[layout.named]] & (x[:, layout.named] > 0.0)
        x = x * allowed[layout.block]
        x[:, layout.agreement] = speaks.sum(axis=1) / len(layout.named)
        score = np.where(speaks.any(axis=1), x @ weights, -np.inf)
        wanted = groups.target[g]
        rank = (
            1.0
            + (score > score[wanted] + 1e-4).sum()
            + 0.5 * ((np.abs(score - score[wanted]) < 1e-4).sum() - 1)
        )
        found = speaks[wanted].any() and rank <= k
        out.append(1.0 / np.log2(1.0 + rank) if found else 0.0)
    return np.array(out)


def test_every_coalition_ranks_as_if_the_rest_was_never_heard_of(layout: Layout, lists: Make) -> None:
    groups = lists(60, named=0.5)
    weights = np.random.default_rng(2).normal(size=7).astype(np.float32)
    found = worth(groups, weights, layout, opened(layout), 5, 10.0)
    assert found.shape == (60, 8, 5)
    for c, allowed in enumerate(opened(layout)):
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(
                found[:, c, 0], by_hand(groups, weights, layout, allowed, 5), atol=1e-6
            )
    assert not found[:, 0].any()


def test_a_source_worth_as_much_as_another_shares_with_it_and_noise_is_worth_nothing(
    layout: Layout, lists: Make
) -> None:
    groups, scorer = lists(4_000, named=1.0), Listwise(np.zeros(7, np.float32), 0.5)
    coalitions = np.random.default_rng(3).integers(0, 8, 4_000)
    scorer.learn(masked(groups.of(slice(0, 3_000)), layout, opened(layout)[coalitions[:3_000]]))
    test = groups.of(slice(3_000, None))
    value = shapley_matrix(3) @ worth(test, scorer.weights, layout, opened(layout), 5, 10.0)[:, :, 0].mean(
        axis=0
    )
    assert value[0] == pytest.approx(value[1], rel=0.05)
    assert value[0] > 2.0 * value[2]


def test_sums_are_those_of_the_lists() -> None:
    rng = np.random.default_rng(5)
    worths, matrix = rng.random((30, 8, 3)), rng.normal(size=(6, 8))
    each = np.einsum("rc,gcm->gmr", matrix, worths)
    total, squares = shared(worths, matrix)
    np.testing.assert_allclose(total, each.sum(axis=0))
    np.testing.assert_allclose(squares, np.square(each).sum(axis=0))


def test_hidden_columns_are_gone_and_so_is_what_nobody_names(layout: Layout, lists: Make) -> None:
    groups = lists(40, named=0.5)
    allowed = opened(layout)[np.full(40, 0b001)]
    left = masked(groups, layout, allowed)
    assert not left.x[:, :, 2:6].any()
    for g in range(40):
        named = groups.x[g, :, 0] > 0
        if named[groups.target[g]]:
            assert left.n[g] == named.sum()
            np.testing.assert_array_equal(left.x[g, : left.n[g], :2], groups.x[g, named, :2])
            assert left.target[g] == named[: groups.target[g]].sum()
            assert left.x[g, 0, 6] == round(1.0 / 3.0 / SCALE)
        else:
            assert (left.n[g], left.target[g]) == (0, -1)


def test_with_everything_allowed_only_the_unnamed_are_left_out(layout: Layout, lists: Make) -> None:
    groups = lists(20, named=1.0)
    left = masked(groups, layout, opened(layout)[np.full(20, 0b111)])
    np.testing.assert_array_equal(left.x, groups.x)
    np.testing.assert_array_equal(left.target, groups.target)
