import numpy as np

from models.rank.reasons import slate_items
from models.rank.slate import Ranked
from schemas.outputs import ReasonCode, SlateItem


def words(indexes: list[int]) -> list[str | None]:
    return [{1: "one", 2: "two", 3: "three"}.get(index) for index in indexes]


def test_the_largest_shares_are_named_with_what_caused_them():
    ranked = Ranked(
        np.array([[1, 2, -1]], np.int32),
        np.array([[2.0, 1.0, 0.0]], np.float32),
        np.array([[[0.125, 0.5, 0.125, 0.25], [0.0, 0.0, 0.0, 1.0], [0.0] * 4]], np.float32),
        np.array([[[3, -1, 3, 99], [-1, -1, -1, 3], [-1] * 4]], np.int32),
        np.array([[1.0, 0.25, 0.0]], np.float32),
        np.array([[False, True, False]]),
    )
    assert slate_items(ranked, ["a", "b", "c", "d"], words, 3) == [
        [
            SlateItem(
                "one", 2.0, [ReasonCode("b", 0.5), ReasonCode("d", 0.25), ReasonCode("a", 0.125, "three")]
            ),
            SlateItem("two", 1.0, [ReasonCode("d", 1.0, "three"), ReasonCode("exploration", 0.0)], 0.25),
        ]
    ]
