import numpy as np
import pytest

from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.settings import RetrieveSettings
from schemas.catalog import Item, Promotion

START_MS = 1_700_000_000_000


def promotion(name: str, from_s: int, to_s: int, **over):
    ends = {"starts_ms": START_MS + from_s * 1000, "ends_ms": START_MS + to_s * 1000}
    return name, Promotion(promotion_id=name, time_ms=START_MS, **ends, **over)


@pytest.fixture
def knowledge() -> KnowledgeBase:
    made = KnowledgeBase(KnowledgeSettings(max_items=64, max_categories=8, max_brands=8), RetrieveSettings())
    made.describe(
        [
            (name, Item(item_id=name, time_ms=START_MS, category=category, brand=brand))
            for name, category, brand in (("a", "shoes", "x"), ("b", "shoes", "y"), ("c", "hats", "y"))
        ]
    )
    return made


def discounts(knowledge: KnowledgeBase, after_s: float) -> list[float]:
    knowledge.promotions.refresh(START_MS / 1000.0 + after_s)
    index = [knowledge.vocabularies.items.index(name) for name in "abc"]
    return np.round(knowledge.attributes.discount[index].astype(float), 3).tolist()


def test_a_promotion_takes_off_what_it_says_while_it_runs(knowledge):
    knowledge.promotions.apply([promotion("p", 10, 20, discount=0.25, item_ids=["a", "unknown"])])
    assert [discounts(knowledge, s)[0] for s in (9, 10, 19.9, 20)] == [0.0, 0.25, 0.25, 0.0]
    assert discounts(knowledge, 15) == [0.0, 0.0, 0.0], "what is over is forgotten"


def test_the_largest_of_item_category_and_brand_counts(knowledge):
    knowledge.promotions.apply(
        [
            promotion("p", 0, 99, discount=0.1, category="shoes"),
            promotion("q", 0, 99, discount=0.3, brand="y"),
            promotion("r", 0, 99, discount=0.2, item_ids=["a", "b"]),
        ]
    )
    assert discounts(knowledge, 1) == [0.2, 0.3, 0.3]


def test_a_removal_and_a_new_version_hold_at_once(knowledge):
    knowledge.promotions.apply([promotion("p", 0, 99, discount=0.1, item_ids=["a"])])
    assert discounts(knowledge, 1) == [0.1, 0.0, 0.0]
    knowledge.promotions.apply([promotion("p", 0, 99, discount=0.4, item_ids=["b"])])
    assert discounts(knowledge, 1) == [0.0, 0.4, 0.0]
    knowledge.promotions.apply([("p", None)])
    assert discounts(knowledge, 1) == [0.0, 0.0, 0.0]


def test_an_item_described_later_gets_its_share_within_a_minute(knowledge):
    knowledge.promotions.apply([promotion("p", 0, 999, discount=0.5, category="hats")])
    assert discounts(knowledge, 1) == [0.0, 0.0, 0.5]
    knowledge.describe([("a", Item(item_id="a", time_ms=START_MS, category="hats"))])
    assert discounts(knowledge, 62) == [0.5, 0.0, 0.5]
