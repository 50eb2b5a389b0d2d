from collections.abc import Callable

import numpy as np
import pytest

from models.kinds import Kind
from models.retrieve.contract import Interactions, Queries
from models.retrieve.search_intent import SearchIntent
from models.retrieve.settings import SearchIntentSettings

SMALL = SearchIntentSettings(half_life_s=100.0, row_items=4, smoothing=1.0)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


def test_items_share_what_followed_the_query(interactions: Make, asking: Ask) -> None:
    # Query 7 was followed by a cart (3) of item 1 and a view (1) of item 2; query 8 by item 3; smoothing 1.
    source = SearchIntent(SMALL, 50, 10)
    kinds = [Kind.CART, Kind.VIEW, Kind.VIEW, Kind.VIEW]
    rows = [(1, 1, 0.0), (1, 2, 0.0), (1, 3, 0.0), (1, 4, 0.0)]
    source.update(interactions(rows, kind=kinds, term=[7, 7, 8, -1]))
    found = source.candidates(asking(3, query=[7, 8, -1]), 2)
    assert found.items.tolist() == [[1, 2], [3, -1], [-1, -1]]
    assert found.scores[0].tolist() == pytest.approx([3 / 5, 1 / 5])
    assert found.scores[1, 0] == pytest.approx(1 / 2)
    assert (found.because == -1).all()


def test_a_forgotten_query_starts_afresh(interactions: Make, asking: Ask) -> None:
    source = SearchIntent(SMALL, 50, 10)
    source.update(interactions([(1, 1, 0.0)], term=7))
    source.forget_queries(np.array([7, -1, 10], np.int32))
    assert source.candidates(asking(query=[7]), 2).items.tolist() == [[-1, -1]]
    source.update(interactions([(1, 2, 0.0)], term=7))
    assert source.candidates(asking(query=[7]), 2).items.tolist() == [[2, -1]]
