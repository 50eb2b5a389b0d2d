from collections.abc import Callable

import numpy as np
import pytest

from models.retrieve.cold_start import ColdStart
from models.retrieve.contract import Interactions, Queries
from models.retrieve.settings import ColdStartSettings

SMALL = ColdStartSettings(half_life_s=100.0, row_items=8, prior_weight=2.0)
Make = Callable[..., Interactions]
Ask = Callable[..., Queries]


def test_a_segments_taste_is_shrunk_towards_that_of_all(interactions: Make, asking: Ask) -> None:
    # Segment 4: item 1 once, item 2 once; all: item 1 once, item 2 once, item 3 twice. m = 2, C(s) = 2:
    # 1 and 2: (1 + 2 * 1/4) / 4; 3: (2 * 2/4) / 4. Without a segment, or one never seen: 1/4, 1/4, 2/4.
    source = ColdStart(SMALL, 50, 8)
    source.update(interactions([(u, i, 0.0) for u, i in enumerate((1, 2, 3, 3))], segment=[4, 4, 5, -1]))
    found = source.candidates(asking(3, segment=[4, -1, 6]), 3)
    assert found.items.tolist() == [[1, 2, 3], [3, 1, 2], [3, 1, 2]]
    assert found.scores[0].tolist() == pytest.approx([0.375, 0.375, 0.25])
    assert found.scores[1].tolist() == found.scores[2].tolist() == pytest.approx([0.5, 0.25, 0.25])


def test_a_segment_long_silent_falls_back_to_all(interactions: Make, asking: Ask) -> None:
    # Segment 4 counted 1 at 0 s; at 100 s, one half-life later, 1/2: own part 0.5 / (0.5 + 2) = 0.2, overall
    # 0.8 with shares 1/3 (item 1) and 2/3 (item 2).
    source = ColdStart(SMALL, 50, 8)
    source.update(interactions([(1, 1, 0.0), (2, 2, 100.0)], segment=[4, -1]))
    found = source.candidates(asking(segment=[4]), 2)
    assert dict(zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True)) == {
        2: pytest.approx(0.8 * 2 / 3),
        1: pytest.approx(0.2 + 0.8 / 3),
    }


def test_a_forgotten_segment_starts_afresh(interactions: Make, asking: Ask) -> None:
    source = ColdStart(SMALL, 50, 8)
    source.update(interactions([(1, 1, 0.0), (2, 2, 0.0), (3, 2, 0.0)], segment=[4, 5, 5]))
    source.forget_segments(np.array([4], np.int32))
    assert source.candidates(asking(segment=[4]), 2).items.tolist() == [[2, 1]]
