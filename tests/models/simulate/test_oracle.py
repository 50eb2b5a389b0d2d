import numpy as np
import pytest

from models.simulate.catalogue import make_catalogue
from models.simulate.choice import Choice, draw, revisit_weights, softmax
from models.simulate.market import Market
from models.simulate.oracle import Oracle
from models.simulate.settings import SimulateSettings
from models.simulate.shoppers import make_shoppers

SETTINGS = SimulateSettings(n_items=80, n_categories=4, n_shoppers=60, events_per_s=1.0, bot_share=0.0)


def a_choice(settings: SimulateSettings = SETTINGS) -> Choice:
    rng = np.random.default_rng(5)
    catalogue = make_catalogue(settings, rng)
    shoppers = make_shoppers(settings, rng)
    rows = np.arange(settings.n_shoppers)
    shoppers.begin(rows, np.zeros(len(rows)), 0, np.full(len(rows), 10, np.int32))
    return Choice(catalogue, shoppers, Market(catalogue, settings, rng), rng)


def looked_at(choice: Choice, *items: int) -> None:
    rows = np.arange(choice.shoppers.n)
    for item in items:
        seen = np.full(len(rows), item, np.int32)
        choice.shoppers.view(rows, seen, choice.catalogue.latent, choice.catalogue.category)


def test_chances_sum_to_one() -> None:
    choice = a_choice()
    rows = np.arange(60)
    for items in ((), (3,), (3, 7, 40)):
        looked_at(choice, *items)
        chances = Oracle(choice, SETTINGS).probabilities(rows)
        np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-4)


def test_the_item_on_the_screen_and_items_not_for_sale_have_no_chance() -> None:
    choice = a_choice()
    looked_at(choice, 3)
    chances = Oracle(choice, SETTINGS).probabilities(np.arange(60))
    assert chances[:, 3].max() == 0.0
    assert chances[:, ~choice.market.available].max() == 0.0


def test_chances_are_those_that_the_simulation_draws_with() -> None:
    """The nested draws of one shopper, many times over, against the oracle's sum of their terms."""
    settings = SETTINGS.model_copy(update={"search_share": 0.0})
    choice = a_choice(settings)
    looked_at(choice, 3, 7, 40)
    row, n = 11, 40_000
    rows = np.full(n, row)
    rng = np.random.default_rng(1)
    dice = rng.random((2, n))
    returns, turns = dice[0] < settings.revisit_share, dice[1] < settings.switch_share
    drawn = np.where(turns, choice.turn(rows, rng)[1], choice.stay(rows, rng))
    drawn = np.where(returns, choice.revisit(rows, rng), drawn)
    share = np.bincount(drawn, minlength=80) / n
    chances = Oracle(choice, settings).probabilities(np.array([row]))[0]
    np.testing.assert_allclose(share, chances, atol=5 * np.sqrt(0.25 / n))


def test_a_hit_is_a_place_among_the_best_k() -> None:
    choice = a_choice()
    looked_at(choice, 3, 7)
    oracle = Oracle(choice, SETTINGS)
    rows = np.arange(60)
    best = oracle.best(rows, 5)
    assert oracle.hits(rows, best[:, 4], 5).all()
    assert not oracle.hits(rows, best[:, 4], 4).any()


def test_draw_gives_minus_one_where_nothing_has_a_chance() -> None:
    weights = np.array([[0.0, 0.0], [0.0, 2.0]], np.float32)
    assert draw(weights, np.random.default_rng(0)).tolist() == [-1, 1]


def test_softmax_of_nothing_is_zero() -> None:
    rows = np.array([[-np.inf, -np.inf], [0.0, 0.0]], np.float32)
    assert softmax(rows).tolist() == [[0.0, 0.0], [0.5, 0.5]]


def test_older_items_are_returned_to_less() -> None:
    # On the screen: weighs nothing; then 0.6 and 0.36, and nothing for padding.
    weights = revisit_weights(np.array([[4, 9, 2, -1]], np.int32))
    assert weights[0].tolist() == pytest.approx([0.0, 0.6, 0.36, 0.0])
