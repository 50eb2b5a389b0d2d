from collections.abc import Callable
from math import log, log1p

import numpy as np
import pytest

from models.knowledge.attributes import Attributes
from models.retrieve.content import Content
from models.retrieve.contract import Interactions, Queries
from models.retrieve.settings import ContentSettings

SMALL = ContentSettings(
    row_items=4,
    posted_items=3,
    item_terms=3,
    smoothing=0.0,
    brand_share=0.25,
    price_band=1.0,
    half_life_s=100.0,
)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


@pytest.fixture
def content(attributes: Attributes) -> Content:
    return Content(SMALL, attributes, 200, 10, 12, 40)


def answer(source: Content, asked: Queries, k: int = 20) -> dict[int, float]:
    found = source.candidates(asked, k)
    return {
        int(i): pytest.approx(float(s))
        for i, s in zip(found.items[0], found.scores[0], strict=True)
        if i >= 0
    }


def terms(*tokens: int) -> np.ndarray:
    return np.array(tokens, np.int32)


def test_categories_and_brands_share_out_their_weights(
    content: Content, interactions: Make, asking: Ask
) -> None:
    # 3 and 13 are of category 3; 3 and 15 of brand 3. Category 3: 2 of 3 for item 3; brand 3: 2 of 6 for item
    # 3.
    rows = [(1, 3, 0.0), (1, 3, 0.0), (1, 13, 0.0)] + [(1, 15, 0.0)] * 4
    content.update(interactions(rows))
    expected = {3: 0.75 * 2 / 3 + 0.25 * 2 / 6, 13: 0.75 / 3, 15: 0.25 * 4 / 6}
    assert answer(content, asking(category=[[3]], brand=[[3]])) == expected


def test_items_away_from_the_price_band_lose(
    content: Content, attributes: Attributes, interactions: Make, asking: Ask
) -> None:
    attributes.log_price[[3, 13, 23]] = [2.0, 4.0, np.nan]
    content.update(interactions([(1, 3, 0.0), (1, 13, 0.0), (1, 23, 0.0)]))
    expected = {23: 0.25, 3: 0.125, 13: 0.125}
    assert answer(content, asking(category=[[3]], log_price=[3.0])) == expected
    assert answer(content, asking(category=[[3]])) == {3: 0.25, 13: 0.25, 23: 0.25}


def test_interest_of_others_decays(content: Content, interactions: Make, asking: Ask) -> None:
    content.update(interactions([(1, 3, 0.0), (1, 13, 100.0)]))
    assert answer(content, asking(category=[[3]])) == {13: 0.75 * 2 / 3, 3: 0.75 / 3}


def test_items_match_by_the_rarity_of_the_words_they_have(content: Content, asking: Ask) -> None:
    # Token 1 is in both items, token 2 in one: idf log(1 + 2/2) = log 2 and log(1 + 2/1) = log 3. Item 5
    # covers both: 1; item 6 covers log 2 / log 6. The text's weight of 1 is shared out by the squares.
    content.index(5, terms(1, 2))
    content.index(6, terms(1))
    part = (log(2) / log(6)) ** 2
    assert answer(content, asking(term=[[1, 2]])) == {5: 1 / (1 + part), 6: part / (1 + part)}


def test_of_equal_matches_the_popular_goes_first(content: Content, interactions: Make, asking: Ask) -> None:
    content.index(5, terms(1))
    content.index(6, terms(1))
    content.update(interactions([(1, 6, 0.0)] * 3))
    whole = 1 + 1 + log1p(3)
    assert answer(content, asking(term=[[1]])) == {6: (1 + log1p(3)) / whole, 5: 1 / whole}


def test_indexing_again_replaces_the_words(content: Content, asking: Ask) -> None:
    content.index(5, terms(1, 2, 2, -1, 99))
    content.index(5, terms(3))
    assert answer(content, asking(term=[[1, 2]])) == {}
    assert answer(content, asking(term=[[3]])) == {5: 1.0}


def test_a_full_list_drops_its_least_popular(content: Content, interactions: Make, asking: Ask) -> None:
    content.update(interactions([(1, 5, 0.0), (1, 7, 0.0)]))
    for item in (5, 6, 7, 8):
        content.index(item, terms(1))
    assert answer(content, asking(term=[[1]])).keys() == {5, 7, 8}


def test_a_new_item_is_found_by_its_category_before_anyone_saw_it(content: Content, asking: Ask) -> None:
    content.index(13, terms(1))
    assert answer(content, asking(category=[[3]])) == {13: 0.75}
    content.index(13, terms(1))
    assert content._boards.totals[3] == pytest.approx(0.1)


def test_forgotten_items_and_words_and_groups_are_gone(
    content: Content, interactions: Make, asking: Ask
) -> None:
    for item in (3, 13):
        content.index(item, terms(1, 2))
    content.update(interactions([(1, 3, 0.0), (1, 13, 0.0)]))
    content.forget(np.array([3], np.int32))
    assert answer(content, asking(term=[[1]])).keys() == {13}
    content.forget_terms(np.array([1], np.int32))
    assert answer(content, asking(term=[[1]])) == {}
    assert answer(content, asking(term=[[2]])).keys() == {13}
    content.forget_categories(np.array([3], np.int32))
    assert answer(content, asking(category=[[3]])) == {}
    assert answer(content, asking(brand=[[1]])).keys() == {13}
    content.forget_brands(np.array([1], np.int32))
    assert answer(content, asking(brand=[[1]])) == {}


def test_it_names_no_cause(content: Content, interactions: Make, asking: Ask) -> None:
    content.update(interactions([(1, 3, 0.0)]))
    assert (content.candidates(asking(category=[[3]], items=[[3]]), 5).because == -1).all()
