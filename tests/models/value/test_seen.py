"""Slates made by the position-based model itself, so that what another order would have earned is known."""

import numpy as np
import pytest

from models.kinds import Kind
from models.learn.groups import SCALE, Groups
from models.value.games import Layout
from models.value.masked import MEASURES, worth
from models.value.seen import bought, clicked, shown

K = 6
LOGGED, OTHER = 0b001, 0b010
"""Coalitions: of the source of data that ordered the slates as they were, and of another one."""
CLICKS, PURCHASES = MEASURES.index("click_through"), MEASURES.index("conversion")
CHANCES = (1.0 / np.arange(1.0, K + 1.0)).astype(np.float32)
WEIGHTS = np.array([0, 1, 0, 1, 0, 0, 0], np.float32)
BUYS = 0.4


def opened(layout: Layout) -> np.ndarray:
    return (np.arange(8)[:, None] & layout.needs) == layout.needs


def lists(
    order: np.ndarray, target: np.ndarray, chances: np.ndarray = CHANCES, **columns: np.ndarray
) -> Groups:
    """Seen slates, best first by the first source; ``order`` (n, K) is the place of each item by the second."""
    n, k = order.shape
    x = np.zeros((n, k, 7))
    x[:, :, [0, 2]] = 1.0
    x[:, :, 1] = 1.0 - np.arange(k) / k
    x[:, :, 3] = 1.0 - order / k
    groups = Groups(
        np.round(x / SCALE).astype(np.int16),
        np.full(n, k, np.int32),
        target.astype(np.int32),
        np.ones(n, np.float32),
        np.ones(n, np.uint8),
        np.ones(n, np.uint8),
        np.ones(n, np.uint8),
        np.tile(chances, (n, 1)).astype(np.float32),
        np.full(n, Kind.CLICK, np.uint8),
    )
    return groups._replace(**columns)


class Shop:
    """``n`` slates, what came of them, and the truth of both orders. The other one knows better what is wanted."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permuted(np.tile(np.arange(K), (n, 1)), axis=1)
        wanted = np.clip(0.5 - 0.08 * order + rng.normal(0.0, 0.05, (n, K)), 0.0, 1.0)
        self.truth = (CHANCES[order] * wanted).sum(axis=1).mean()
        clicks = rng.random((n, K)) < CHANCES * wanted
        buys = clicks & (rng.random((n, K)) < BUYS)
        self.n, self.n_clicks, self.n_buys = n, int(clicks.sum()), int(buys.sum())
        of_clicks, of_buys = np.nonzero(clicks), np.nonzero(buys)
        self.clicks = lists(order[of_clicks[0]], of_clicks[1])
        self.buys = lists(
            order[of_buys[0]],
            of_buys[1],
            learned=np.zeros(self.n_buys, np.uint8),
            kind=np.full(self.n_buys, Kind.PURCHASE, np.uint8),
        )


def weighed(groups: Groups, layout: Layout, max_weight: float = 10.0) -> np.ndarray:
    """(G, C, M)"""
    return worth(groups, WEIGHTS, layout, opened(layout), 20, max_weight)


def test_in_the_order_that_was_shown_each_click_and_purchase_counts_one(layout: Layout) -> None:
    shop = Shop(400, 1)
    clicks, buys = (weighed(of, layout)[:, LOGGED] for of in (shop.clicks, shop.buys))
    assert clicks[:, CLICKS].tolist() == [1.0] * shop.n_clicks
    assert clicks[:, CLICKS].sum() / shop.n == shop.n_clicks / shop.n
    assert not clicks[:, PURCHASES].any()
    assert buys[:, PURCHASES].tolist() == [1.0] * shop.n_buys
    assert not buys[:, CLICKS].any()


def test_what_another_order_would_have_earned_is_within_the_interval(layout: Layout) -> None:
    n, held, gap = 800, [], []
    for seed in range(120):
        shop = Shop(n, seed)
        for of, column, truth in (
            (shop.clicks, CLICKS, shop.truth),
            (shop.buys, PURCHASES, BUYS * shop.truth),
        ):
            counts = weighed(of, layout)[:, OTHER, column]
            mean = counts.sum() / n
            error = np.sqrt(np.square(counts).sum()) / n
            held.append(abs(mean - truth) <= 1.96 * error)
            gap.append((mean - truth) / error)
        assert truth > 1.1 * BUYS * shop.n_clicks / n, "the other order is another one"
    assert 0.92 <= np.mean(held) <= 0.99
    assert abs(np.mean(gap)) < 0.2


def test_a_click_counts_by_the_place_its_item_would_have_had(layout: Layout) -> None:
    # Clicked at the third place of three, a chance of 0.05; the other order has it first, second, and last.
    order = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])
    groups = lists(order, np.full(3, 2), np.array([1.0, 0.5, 0.05]))
    assert weighed(groups, layout, 30.0)[:, OTHER, CLICKS] == pytest.approx([20.0, 10.0, 1.0])
    assert weighed(groups, layout, 15.0)[:, OTHER, CLICKS] == pytest.approx([15.0, 10.0, 1.0])


def test_among_items_that_are_as_good_every_order_is_as_likely(layout: Layout) -> None:
    groups = lists(np.array([[0, 1, 2]]), np.array([1]), np.array([1.0, 0.5, 0.3]))
    found = worth(groups, np.zeros(7, np.float32), layout, opened(layout), 20, 10.0)[0, :, CLICKS]
    assert found[LOGGED] == pytest.approx((1.0 + 0.5 + 0.3) / 3.0 / 0.5)
    assert found[0] == 0.0, "nobody names it"


def test_a_slate_of_one_item_has_clicks_but_no_rank(layout: Layout) -> None:
    found = weighed(lists(np.zeros((1, 1)), np.array([0]), np.ones(1)), layout)[0, LOGGED]
    assert dict(zip(MEASURES, found.tolist(), strict=True)) == {
        "ndcg": 0.0, "hit_rate": 0.0, "mrr": 0.0, "click_through": 1.0, "conversion": 0.0,
    }  # fmt: skip


def test_each_slate_click_and_purchase_is_counted_once() -> None:
    # Shown; clicked; bought after that; bought at once; dismissed; wanted elsewhere.
    groups = lists(
        np.tile(np.arange(3), (6, 1)),
        np.array([-1, 1, 1, 0, 2, 1]),
        np.ones(3),
        weight=np.array([1.0, 1.0, 4.0, 5.0, -1.0, 1.0], np.float32),
        learned=np.array([0, 1, 0, 1, 1, 0], np.uint8),
        seen=np.array([1, 1, 1, 1, 1, 0], np.uint8),
        kind=np.array(
            [Kind.IMPRESSION, Kind.CLICK, Kind.PURCHASE, Kind.PURCHASE, Kind.DISMISS, Kind.PURCHASE], np.uint8
        ),
    )
    assert shown(groups).tolist() == [True, False, False, False, False, False]
    assert clicked(groups).tolist() == [False, True, False, True, False, False]
    assert bought(groups).tolist() == [False, False, True, True, False, False]
