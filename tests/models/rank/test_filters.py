import numpy as np
import pytest

from models.interest.seen import BOUGHT, DISMISSED, VIEWED
from models.rank.filters import refused
from models.rank.settings import RankSettings


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        (RankSettings(), {1, 2, 4}),
        (RankSettings(filter_viewed=False), {2, 4}),
        (RankSettings(filter_bought=False), {1, 4}),
        (RankSettings(filter_viewed=False, filter_bought=False), {4}),
    ],
)
def test_what_is_left_out_is_set_but_the_dismissed_never_come_back(seen, settings, left_out):
    rebuyable = np.zeros(10, np.uint8)
    rebuyable[[1, 3, 4]] = 1
    found = refused(seen({1: VIEWED, 2: BOUGHT, 3: BOUGHT, 4: DISMISSED, -1: VIEWED}), rebuyable, settings)
    assert {int(i) for i in found[0] if i >= 0} == left_out
