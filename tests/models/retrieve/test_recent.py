from collections.abc import Callable

from models.retrieve.contract import Queries
from models.retrieve.recent import Recent
from models.retrieve.settings import RecentSettings

Asking = Callable[..., Queries]


def test_the_users_own_items_come_latest_first_without_the_current_one(asking: Asking) -> None:
    found = Recent(RecentSettings()).candidates(asking(2, items=[[5, 3, 9], [7]]), 4)
    assert found.items.tolist() == [[3, 9, -1, -1], [-1, -1, -1, -1]]
    assert found.scores.tolist() == [[1.0, 0.5, 0.0, 0.0], [0.0] * 4]


def test_the_current_item_may_be_named(asking: Asking) -> None:
    found = Recent(RecentSettings(current=True, fade=0.0)).candidates(asking(items=[[5, 3]]), 2)
    assert (found.items.tolist(), found.scores.tolist()) == ([[5, 3]], [[1.0, 1.0]])


def test_no_more_are_named_than_asked_for(asking: Asking) -> None:
    found = Recent(RecentSettings()).candidates(asking(items=[[1, 2, 3, 4]]), 2)
    assert found.items.tolist() == [[2, 3]]
