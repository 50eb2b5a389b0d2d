import numpy as np
import pytest

from models.simulate.catalogue import make_catalogue
from models.simulate.choice import Choice
from models.simulate.market import Market
from models.simulate.settings import SimulateSettings
from models.simulate.shop import ReadSlate, Shop
from models.simulate.shoppers import make_shoppers

START_MS = 1_700_000_000_000
SETTINGS = SimulateSettings(
    n_items=300, n_categories=10, n_shoppers=600, events_per_s=100.0, look_share=1.0, oracle_share=0.0
)
K = 8


def an_open_shop(seed: int = 3) -> Shop:
    shop = Shop(SETTINGS, np.random.default_rng(seed), START_MS)
    shop.advance(10.0, START_MS + 10_000)
    return shop


def users() -> list[str]:
    return [f"u{row:06d}" for row in range(SETTINGS.n_shoppers)]


def slates(shop: Shop, lists: list[list[str]]) -> list[ReadSlate]:
    return [ReadSlate(user, "s", items) for user, items in zip(users(), lists, strict=True)]


def some_items(shop: Shop, seed: int = 1) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [rng.choice(shop.item_ids, K, replace=False).tolist() for _ in users()]


def test_clicks_come_as_often_as_expected() -> None:
    expected = clicks = shown = 0.0
    for seed in range(12):
        shop = an_open_shop(seed)
        served = slates(shop, shop.likeliest(users(), K))
        expected += shop.expect(served, K).click.sum()
        reactions = shop.react(served)
        clicks, shown = clicks + reactions.n_clicks, shown + reactions.n_impressions
    assert shown > 1_000
    assert clicks == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_expecting_changes_nothing() -> None:
    shop, untouched = an_open_shop(), an_open_shop()
    served = slates(shop, some_items(shop))
    shop.expect(served, K)
    assert shop.react(served) == untouched.react(served)


def test_what_is_expected_is_of_those_who_would_read() -> None:
    shop = an_open_shop()
    served = slates(shop, some_items(shop))
    expected = shop.expect(served, K)
    reactions = shop.react(served)
    assert len(expected.click) == reactions.n_impressions > 50
    # All of them read theirs; who clicked looks at another item since, and may read what that brings.
    assert len(shop.expect(served, K).click) == reactions.n_clicks


def test_no_slate_is_clicked_more_than_the_most_appealing_items() -> None:
    shop = an_open_shop()
    best = slates(shop, shop.most_appealing(users(), K))
    expected = shop.expect(best, K)
    assert expected.click.tolist() == expected.best.tolist()
    others = [some_items(shop), shop.likeliest(users(), K), [list(reversed(each.item_ids)) for each in best]]
    for lists in others:
        expected = shop.expect(slates(shop, lists), K)
        assert (expected.click <= expected.best).all()
        assert expected.click.mean() < expected.best.mean()


def test_nobody_s_slates_are_worth_nothing() -> None:
    assert len(an_open_shop().expect([], K).best) == 0


def test_the_liking_of_all_pairs_is_that_of_each() -> None:
    rng = np.random.default_rng(5)
    catalogue, shoppers = make_catalogue(SETTINGS, rng), make_shoppers(SETTINGS, rng)
    choice = Choice(catalogue, shoppers, Market(catalogue, SETTINGS, rng), rng)
    rows, items = np.array([4, 9]), np.arange(300, dtype=np.int32)
    each = choice.liking(np.repeat(rows, 300), np.tile(items, 2)).reshape(2, 300)
    np.testing.assert_allclose(choice.likings(rows), each, atol=1e-5)


def test_many_shoppers_are_asked_as_one_is() -> None:
    shop = an_open_shop()
    some = ["u000007", "u000003"]
    assert shop.likeliest(some, 5) == [shop.best(user, 5) for user in some]
