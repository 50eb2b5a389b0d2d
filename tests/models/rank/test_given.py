"""Candidates that are given are scored as those that were found."""

import numpy as np

from models.rank.given import merge_given
from models.retrieve.contract import Candidates


def found(items: list[int], scores: list[float], because: list[int] | None = None) -> Candidates:
    n = len(items)
    return Candidates(
        np.array([items], np.int32).reshape(1, n),
        np.array([scores], np.float32).reshape(1, n),
        np.array([because or [-1] * n], np.int32).reshape(1, n),
    )


def test_what_sources_say_of_the_items_given_and_of_no_others() -> None:
    first = found([5, 3, 9], [4.0, 2.0, 1.0], [1, 2, 3])
    second = found([9, -1], [8.0, 0.0])
    merged = merge_given([first, second], np.array([9, 7, 3], np.int32))
    assert merged.items.tolist() == [9, 7, 3]
    assert merged.evidence.tolist() == [[0.25, 1.0], [0.0, 0.0], [0.5, 0.0]]  # of the best, 4 and 8
    assert merged.places.tolist() == [[2, 0], [-1, -1], [1, -1]]
    assert merged.because.tolist() == [[3, -1], [-1, -1], [2, -1]]
    assert merged.starts.tolist() == [0, 3]


def test_of_two_mentions_the_better_one_holds() -> None:
    merged = merge_given([found([4, 4], [1.0, 2.0])], np.array([4], np.int32))
    assert merged.evidence.tolist() == [[1.0]]
    assert merged.places.tolist() == [[1]]


def test_silence_and_no_candidates_are_fine() -> None:
    assert merge_given([found([], [])], np.array([4], np.int32)).evidence.tolist() == [[0.0]]
    assert merge_given([found([4], [1.0])], np.array([], np.int32)).evidence.shape == (0, 1)
