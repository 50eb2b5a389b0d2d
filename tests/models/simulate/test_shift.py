import numpy as np
import pytest

from models.kinds import Kind
from models.simulate.settings import SimulateSettings
from models.simulate.shift import Shift
from models.simulate.shop import Batch, ReadSlate, Shop

START_MS = 1_700_000_000_000
SETTINGS = SimulateSettings(
    n_items=300,
    n_categories=10,
    n_shoppers=600,
    events_per_s=100.0,
    look_share=1.0,
    oracle_share=0.0,
    bot_share=0.0,
    slice_events=50,
)


def a_shop(settings: SimulateSettings = SETTINGS) -> Shop:
    return Shop(settings, np.random.default_rng(3), START_MS)


def run(shop: Shop, until_s: float) -> Batch:
    return shop.advance(until_s, START_MS + round(until_s * 1000))


def test_a_shift_that_names_nothing_changes_nothing() -> None:
    shifted, same = a_shop(), a_shop()
    shifted.shift(Shift())
    assert run(shifted, 10.0).values == run(same, 10.0).values


def test_what_was_before_stays_and_what_comes_after_differs() -> None:
    shifted, same = a_shop(), a_shop()
    assert run(shifted, 5.0).values == run(same, 5.0).values
    shifted.shift(Shift(swapped_share=0.5))
    assert run(shifted, 15.0).values != run(same, 15.0).values


def test_swapped_tastes_are_the_same_tastes_in_other_heads() -> None:
    shop = a_shop()
    before = shop.tastes()
    shop.shift(Shift(swapped_share=1.0))
    after = shop.tastes()
    assert sorted(before.tolist()) == sorted(after.tolist())
    assert not (before == after).all(axis=1).any()


def test_only_the_share_named_swaps() -> None:
    shop = a_shop()
    before = shop.tastes()
    shop.shift(Shift(swapped_share=0.25))
    assert (before != shop.tastes()).any(axis=1).sum() == 150  # a quarter of 600


def test_shoppers_return_as_often_as_they_are_told_to() -> None:
    shop = a_shop()
    run(shop, 10.0)
    shop.shift(Shift(revisit_share=1.0))
    truth = run(shop, 60.0).truth
    n_items = len(np.unique(truth.item[truth.kind == Kind.VIEW]))
    other = a_shop()
    run(other, 10.0)
    truth = run(other, 60.0).truth
    assert n_items < 0.9 * len(np.unique(truth.item[truth.kind == Kind.VIEW]))


def test_the_oracle_knows_of_the_shift() -> None:
    hits = []
    for shift in (Shift(), Shift(switch_share=1.0)):
        shop = a_shop(SETTINGS.model_copy(update={"oracle_share": 1.0, "k": 10}))
        run(shop, 10.0)
        shop.shift(shift)
        oracle = run(shop, 60.0).truth.oracle
        hits.append((oracle == 1).sum() / (oracle >= 0).sum())
    assert 0.0 < hits[1] < 0.9 * hits[0]  # whoever always turns elsewhere is harder to foretell


def test_shoppers_can_be_made_to_look_for_something_else() -> None:
    shop = a_shop()
    run(shop, 10.0)
    users = [f"u{row:06d}" for row in range(600)]
    near = [ReadSlate(user, "s", items) for user, items in zip(users, shop.likeliest(users, 10), strict=True)]
    before = shop.expect(near, 10)
    shop.shift(Shift(same_category=-3.0))
    after = shop.expect(near, 10)
    assert after.click.mean() < 0.6 * before.click.mean()
    assert after.best.mean() > 0.6 * before.best.mean()  # there is something else


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="swapped_share"):
        Shift(swapped_share=1.1)
