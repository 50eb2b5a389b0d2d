"""Copies are told by what they say, in their window, before anyone hears of them."""

from models.clean.cleaner import Cleaner
from models.clean.copies import Copies
from models.clean.recipe import recipe
from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.settings import RetrieveSettings
from schemas.events import Browse

ALIAS = {"do": "alias", "values": {"a-red": "a"}}
MERGE = {"do": "merge", "within_s": 2}


def copies(*steps: dict[str, object], **more: int) -> Copies:
    knowledge = KnowledgeBase(KnowledgeSettings(max_items=64), RetrieveSettings())
    return Copies(Cleaner(recipe({"version": "1", "steps": list(steps)}), knowledge), **more)


def look(n: int, item: str, second: float, user: str = "u") -> Browse:
    return Browse(event_id=f"e{n}", user_id=user, time_ms=int(second * 1_000), item_id=item)


def test_what_says_the_same_in_one_window_is_a_copy_as_the_steps_before_leave_it() -> None:
    is_copy = copies(ALIAS, MERGE)
    told = [
        look(0, "a", 2.0),
        look(1, "a-red", 3.9),
        look(2, "a", 4.0),
        look(3, "b", 4.1),
        look(4, "a", 4.2, "v"),
    ]
    assert [is_copy(event) for event in told] == [False, True, False, False, False]


def test_without_a_merge_nothing_is_a_copy() -> None:
    is_copy = copies(ALIAS)
    assert [is_copy(look(n, "a", 2.0)) for n in range(2)] == [False, False]


def test_events_remembered_are_bounded() -> None:
    is_copy = copies(MERGE, max_events=2)
    assert [is_copy(look(n, item, 2.0)) for n, item in enumerate("abca")] == [False] * 4
