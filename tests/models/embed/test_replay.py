import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.embed.replay import Replay
from models.embed.sequences import Examples, Sequences

CAPACITY = 10
N_ITEMS = 6


def examples(pasts: list[list[int]], targets: list[int]) -> Examples:
    n = len(targets)
    items = np.full((n, 3), -1, np.int32)
    for row, past in zip(items, pasts, strict=True):
        row[: len(past)] = past
    age_s = np.where(items >= 0, items * 10.0, 0.0).astype(np.float32)
    evidence = np.where(items >= 0, 1 + items % 4, 0).astype(np.uint8)
    none = np.full(n, -1, np.int32)
    sequences = Sequences(items, age_s, evidence, none, none)
    stay_s = 10.0 * items[:, 0].astype(np.float32)
    return Examples(sequences, np.array(targets, np.int32), np.ones(n, np.uint8), stay_s)


item = st.integers(0, N_ITEMS - 1)
example = st.tuples(st.lists(item, min_size=1, max_size=3, unique=True), item)


@given(
    st.lists(st.tuples(st.lists(example, max_size=14), st.sets(item, max_size=2)), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_it_holds_the_newest_less_what_was_forgotten(rounds) -> None:
    replay, expected, stays = Replay(CAPACITY, 3, N_ITEMS), [], []
    for pushed, forgotten in rounds:
        replay.push(examples([past for past, _ in pushed], [target for _, target in pushed]))
        expected = [*expected, *pushed][-CAPACITY:]
        stays = [*stays, *(10.0 * past[0] for past, _ in pushed)][-CAPACITY:]
        replay.forget(np.array(sorted(forgotten), np.int32))
        newest_gone = [past[:1] and past[0] in forgotten for past, _ in expected]
        stays = [np.nan if gone else stay for gone, stay in zip(newest_gone, stays, strict=True)]
        left = [([i for i in past if i not in forgotten], target) for past, target in expected]
        expected = [(past, -1 if target in forgotten or not past else target) for past, target in left]
    assert len(replay) == len(expected)
    found = replay.of(np.arange(len(replay)))
    held = [(past, target) for past, target in reversed(expected) if target >= 0]
    wanted = examples([past for past, _ in held], [target for _, target in held])
    for a, b in zip((*found.sequences, found.item), (*wanted.sequences, wanted.item), strict=True):
        np.testing.assert_array_equal(a, b)
    told = [stay for stay, (_, target) in zip(stays, expected, strict=True) if target >= 0]
    np.testing.assert_array_equal(found.stay_s, told[::-1])
    targets = [target for _, target in expected if target >= 0]
    assert replay.counts.tolist() == np.bincount(targets, minlength=N_ITEMS).tolist()


def test_lengths_are_those_of_the_pasts() -> None:
    replay = Replay(CAPACITY, 3, N_ITEMS)
    replay.push(examples([[1], [1, 2, 3]], [4, 5]))
    assert replay.lengths(np.array([0, 1])).tolist() == [3, 1]


def test_what_followed_is_told_of_sessions_under_way_and_of_other_items() -> None:
    replay = Replay(CAPACITY, 3, N_ITEMS)
    replay.push(examples([[1], [2, 1], [3, 2], [0], [4]], [2, 2, 4, 5, 5]))
    replay._held.sequences.evidence[3, 0] = 0  # 5 came in another session than 0
    replay.forget(np.array([4], np.int32))
    assert [items.tolist() for items in replay.followed()] == [[1], [2]]
