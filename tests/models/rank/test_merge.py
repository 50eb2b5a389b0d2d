import numpy as np

from models.rank.merge import merge
from models.retrieve.contract import Candidates

ALL = np.ones(100, np.uint8)
NONE = np.full((1, 0), -1, np.int32)


def rows(merged, user=0):
    """Evidence and causes by item."""
    place = slice(merged.starts[user], merged.starts[user + 1])
    columns = (merged.items[place], merged.evidence[place], merged.because[place])
    return {int(i): (e.tolist(), b.tolist()) for i, e, b in zip(*columns, strict=True)}


def test_each_source_is_measured_by_its_own_best(candidates):
    sources = [candidates({7: 8.0, 3: 2.0}, because=1), candidates({3: 0.5, 9: 0.25}, because=2)]
    assert rows(merge(sources, NONE, ALL)) == {
        7: ([1.0, 0.0], [1, -1]),
        3: ([0.25, 1.0], [1, 2]),
        9: ([0.0, 0.5], [-1, 2]),
    }


def test_refused_and_unavailable_items_are_left_out_and_still_set_the_scale(candidates):
    available = ALL.copy()
    available[5] = 0
    refused = np.array([[4, -1]], np.int32)
    merged = merge([candidates({4: 4.0, 5: 2.0, 6: 1.0})], refused, available)
    assert rows(merged) == {6: ([0.25], [-1])}


def test_padding_nan_and_scores_that_are_none_are_no_candidates():
    items = np.array([[1, -1, 2, 3, 4, 5]], np.int32)
    scores = np.array([[2.0, 9.0, np.nan, np.inf, 0.0, -1.0]], np.float32)
    merged = merge([Candidates(items, scores, np.full_like(items, -1))], NONE, ALL)
    assert rows(merged) == {1: ([1.0], [-1])}


def test_of_an_item_named_twice_the_better_score_holds():
    items = np.array([[1, 2, 1]], np.int32)
    because = np.array([[7, 8, 9]], np.int32)
    merged = merge([Candidates(items, np.array([[1.0, 4.0, 2.0]], np.float32), because)], NONE, ALL)
    assert rows(merged) == {1: ([0.5], [9]), 2: ([1.0], [8])}


def test_users_are_kept_apart(candidates):
    refused = np.array([[1], [-1], [2]], np.int32)
    merged = merge([candidates({1: 1.0}, {1: 2.0}, {2: 1.0, 1: 1.0})], refused, ALL)
    assert [list(rows(merged, u)) for u in range(3)] == [[], [1], [1]]
    assert merged.user.tolist() == [1, 2]


def test_a_crowded_table_finds_every_item():
    # Items a multiple of a large power of two apart meet in the same slots.
    items = (np.arange(500, dtype=np.int32) << 10)[None, :]
    scores = np.ones(items.shape, np.float32)
    merged = merge([Candidates(items, scores, items)] * 2, NONE, np.ones(501 << 10, np.uint8))
    assert sorted(merged.items) == items[0].tolist()
    assert (merged.evidence == 1.0).all()
