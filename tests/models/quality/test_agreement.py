"""The catalogue says that item a is a boot of Alder at 10; of item b it says nothing, and c it does not have."""

import pytest

from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.quality.agreement import agreement
from models.quality.observe import NO, NOT_APPLICABLE, YES
from models.retrieve.settings import RetrieveSettings
from schemas.catalog import Item
from schemas.events import Browse, Cart, Click, Line, Purchase


@pytest.fixture(scope="module")
def knowledge():
    base = KnowledgeBase(
        KnowledgeSettings(
            max_items=64, max_categories=8, max_brands=8, max_terms=64, max_queries=16, max_segments=8
        ),
        RetrieveSettings(),
    )
    base.describe(
        [
            ("a", Item(item_id="a", category="boots", brand="Alder", price=10.0, time_ms=1)),
            ("b", Item(item_id="b", time_ms=1)),
        ]
    )
    return base


def event(kind, **said):
    return kind(event_id="e", user_id="u", time_ms=1, **said)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event(Browse, item_id="a", category="boots", brand="Alder", price=10.0), [YES, YES, YES]),
        (event(Browse, item_id="a", category="lamps", brand="Birch", price=1000.0), [NO, NO, NO]),
        (event(Browse, item_id="a"), [NOT_APPLICABLE] * 3),
        (event(Browse, item_id="b", category="boots", price=1.0), [NOT_APPLICABLE] * 3),
        (event(Browse, item_id="c", category="boots"), [NOT_APPLICABLE] * 3),
        (event(Click, item_id="a"), [NOT_APPLICABLE] * 3),
        (event(Cart, item_id="a", price=6.0), [NOT_APPLICABLE, NOT_APPLICABLE, YES]),
        (
            event(
                Purchase, lines=[Line(item_id="a", price=400.0), Line(item_id="a", price=10.0, brand="Alder")]
            ),
            [NOT_APPLICABLE, YES, NO],
        ),
    ],
)
def test_an_event_is_compared_with_what_the_catalogue_says(knowledge, given, expected):
    assert agreement([event(Click, item_id="a"), given], knowledge)[1].tolist() == expected
