from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.groups import SCALE
from models.learn.pending import NONE, Pending
from models.rank.merge import Merged

N_SLOTS, KEPT, N_FEATURES = 4, 5, 3

Served = tuple[int, int, int, dict[int, float], list[int]]
"""Slate, user, time, candidates with their scores, and the items of the slate."""


def value(item: int) -> list[float]:
    """Features by which an item is known again."""
    return [item / 32.0, -item / 16.0, 1.0]


def put(pending: Pending, *served: Served) -> None:
    items = [item for *_, scores, _ in served for item in scores]
    starts = np.cumsum([0, *(len(scores) for *_, scores, _ in served)])
    width = max((len(slate) for *_, slate in served), default=0) + 1
    rows = np.full((len(served), width), -1, np.int64)
    for u, (*_, scores, slate) in enumerate(served):
        rows[u, : len(slate)] = [starts[u] + list(scores).index(item) for item in slate]
    n = len(items)
    merged = Merged(
        starts,
        np.array(items, np.int32),
        np.repeat(np.arange(len(served)), np.diff(starts)).astype(np.int32),
        np.ones((n, 1), np.float32),
        np.full((n, 1), -1, np.int32),
        np.zeros((n, 1), np.int32),
    )
    pending.put(
        [slate for slate, *_ in served],
        [user for _, user, *_ in served],
        np.array([time_ms for _, _, time_ms, *_ in served], np.int64),
        merged,
        np.array([value(item) for item in items], np.float32).reshape(n, N_FEATURES),
        np.array([score for *_, scores, _ in served for score in scores.values()], np.float32),
        rows,
    )


def simple(slate: int, user: int) -> Served:
    return slate, user, slate * 1_000, {slate: 1.0, slate + 1: 2.0}, [slate + 1]


@pytest.fixture
def pending() -> Pending:
    return Pending(N_SLOTS, KEPT, N_FEATURES)


def kept(pending: Pending, slot: int) -> list[int]:
    n = int(pending.slots.n[slot])
    assert (pending.slots.items[slot, n:] == -1).all()
    found: list[int] = pending.slots.items[slot, :n].tolist()
    return found


class TestWhatIsKept:
    def test_the_slate_first_then_the_best_others(self, pending: Pending) -> None:
        scores = {10: 0.1, 11: 0.9, 12: 0.5, 13: 0.7, 14: 0.8, 15: 0.6}
        put(pending, (1, 7, 5_000, scores, [12, 10]))
        slot = pending.by_slate[1]
        # Of the others the best three, in the order of the candidates.
        assert kept(pending, slot) == [12, 10, 11, 13, 14]
        assert (pending.slots.shown[slot], pending.served[slot], pending.time_ms[slot]) == (2, 2, 5_000)
        features = pending.slots.x[slot].astype(np.float32) * SCALE
        assert features == pytest.approx(np.array([value(i) for i in (12, 10, 11, 13, 14)]), abs=1e-4)

    def test_a_slate_longer_than_what_is_kept_is_cut(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, dict.fromkeys(range(8), 1.0), list(range(7))))
        assert kept(pending, pending.by_slate[1]) == [0, 1, 2, 3, 4]
        assert pending.slots.shown[0] == 5

    def test_candidates_that_do_not_score_above_0_are_left_out_unless_shown(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, {10: 0.0, 11: -1.0, 12: 0.5, 13: np.nan}, [11]))
        assert kept(pending, pending.by_slate[1]) == [11, 12]

    def test_an_empty_slate_of_no_candidates(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, {}, []), simple(2, 8))
        assert kept(pending, pending.by_slate[1]) == []
        assert kept(pending, pending.by_slate[2]) == [3, 2]

    @given(st.lists(st.floats(-3.984375, 3.984375, width=32), min_size=N_FEATURES, max_size=N_FEATURES))
    @settings(max_examples=100, deadline=None)
    def test_features_come_back_within_a_ten_thousandth(self, values: list[float]) -> None:
        pending = Pending(2, 2, N_FEATURES)
        merged = Merged(
            np.array([0, 1]),
            np.array([3], np.int32),
            np.zeros(1, np.int32),
            np.ones((1, 1), np.float32),
            np.full((1, 1), -1, np.int32),
            np.zeros((1, 1), np.int32),
        )
        one = np.ones(1, np.float32)
        pending.put(
            [1], [1], np.zeros(1, np.int64), merged, np.array([values], np.float32), one, np.array([[0]])
        )
        assert (pending.slots.x[0, 0] * SCALE).tolist() == pytest.approx(values, abs=1e-4)

    def test_size_is_what_the_slots_hold(self, pending: Pending) -> None:
        # Features 2 bytes; items and rewards 4, a mark of 1; lengths n, shown and served 4; time 8, three marks of 1.
        n_bytes = N_SLOTS * (KEPT * N_FEATURES * 2 + KEPT * (4 + 4 + 1) + 3 * 4 + 8 + 3)
        assert pending.size_bytes == n_bytes


class TestRoom:
    def test_the_oldest_makes_room_and_is_no_longer_found(self, pending: Pending) -> None:
        for slate in range(N_SLOTS):
            put(pending, simple(slate, 100 + slate))
        pending.seen[100] = pending.by_slate[0]
        put(pending, simple(50, 200))
        assert sorted(pending.by_slate) == [1, 2, 3, 50]
        assert sorted(pending.latest) == [101, 102, 103, 200]
        assert pending.seen == {}
        assert len(pending) == N_SLOTS

    def test_a_users_newer_slate_stays_the_latest_when_the_older_makes_room(self, pending: Pending) -> None:
        put(pending, simple(0, 7), simple(1, 7), simple(2, 8), simple(3, 9))
        assert pending.latest[7] == pending.by_slate[1]
        put(pending, simple(4, 10))
        assert pending.latest[7] == pending.by_slate[1]

    def test_what_its_user_has_a_newer_slate_of_makes_room_first(self, pending: Pending) -> None:
        put(pending, simple(0, 5), simple(1, 7), simple(2, 7), simple(3, 7))
        put(pending, simple(4, 8))
        assert sorted(pending.by_slate) == [0, 2, 3, 4]
        put(pending, simple(5, 9))
        assert sorted(pending.by_slate) == [0, 3, 4, 5]
        put(pending, simple(6, 9))  # no such is left but one's own
        assert sorted(pending.by_slate) == [3, 4, 5, 6]
        put(pending, simple(7, 6))
        assert sorted(pending.by_slate) == [3, 4, 6, 7]

    @pytest.mark.parametrize("what", ["was_shown", "answered"])
    def test_what_was_seen_stays_though_there_is_a_newer_one(self, pending: Pending, what: str) -> None:
        put(pending, simple(0, 5), simple(1, 7))
        getattr(pending, what)[pending.by_slate[1]] = True
        put(pending, simple(2, 7), simple(3, 8), simple(4, 9))
        assert sorted(pending.by_slate) == [1, 2, 3, 4]

    def test_a_batch_larger_than_the_room_leaves_its_last_slates(self, pending: Pending) -> None:
        put(pending, *(simple(slate, slate) for slate in range(11)))
        assert sorted(pending.by_slate) == sorted(pending.latest) == [7, 8, 9, 10]
        for slate in range(7, 11):
            slot = pending.by_slate[slate]
            assert kept(pending, slot) == [slate + 1, slate]
            assert (pending.time_ms[slot], pending.user_of[slot]) == (slate * 1_000, slate)

    def test_a_slate_that_is_served_again_is_found_once(self, pending: Pending) -> None:
        put(pending, simple(0, 7))
        put(pending, simple(0, 7))
        assert len(pending) == 1
        assert pending.by_slate[0] == pending.latest[7] == 1
        put(pending, simple(1, 8), simple(2, 8), simple(3, 8))  # the first copy makes room
        assert pending.by_slate[0] == 1

    def test_a_slot_is_used_again_without_what_came_of_it(self, pending: Pending) -> None:
        put(pending, simple(0, 7))
        pending.slots.rewarded[0, 0] = 5.0
        pending.was_shown[0] = pending.answered[0] = True
        put(pending, *(simple(slate, slate) for slate in range(1, 5)))
        assert pending.by_slate[4] == 0
        assert not pending.slots.rewarded[0].any()
        assert (pending.was_shown[0], pending.answered[0]) == (False, False)


class TestListsOfTheShopsOwn:
    SCORES = dict.fromkeys(range(10, 15), 1.0)

    def test_are_those_of_its_items_that_were_candidates_in_its_order(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, self.SCORES, [12]))
        slot = pending.shown_list(0, 99, [14, 77, 10, -1, 14], 9_000)
        assert kept(pending, slot) == [14, 10]
        assert (pending.slots.shown[slot], pending.served[slot], pending.time_ms[slot]) == (2, 2, 9_000)
        assert (pending.by_slate[99], pending.user_of[slot]) == (slot, 7)
        assert pending.latest[7] == pending.by_slate[1]  # which the list does not replace
        assert pending.slots.x[slot, :2] * SCALE == pytest.approx(np.array([value(14), value(10)]), abs=1e-4)

    def test_take_no_room_for_nothing(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, self.SCORES, [12]))
        assert pending.shown_list(0, 99, [1, 2, -1], 0) == NONE
        assert list(pending.by_slate) == [1]

    def test_may_name_an_item_more_often_than_there_is_room(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, self.SCORES, [12]))
        assert kept(pending, pending.shown_list(0, 99, [13, 11] * 10, 0)) == [13, 11]

    def test_do_not_take_unknown_items_for_forgotten_ones(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, self.SCORES, [12]))
        pending.forget(np.array([12, 13], np.int32))
        assert kept(pending, pending.shown_list(0, 99, [-1, 10], 0)) == [10]

    def test_do_not_push_out_the_slate_that_they_are_of(self) -> None:
        pending = Pending(2, KEPT, N_FEATURES)
        put(pending, (1, 7, 0, self.SCORES, [12]), (2, 8, 0, self.SCORES, [12]))
        assert pending.shown_list(0, 99, [10], 0) == 1
        assert sorted(pending.by_slate) == [1, 99]


class TestPlaces:
    def test_of_items_kept(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, {10: 0.5, 11: 1.0}, [11]))
        assert [pending.place(0, item) for item in (11, 10, 12, -1)] == [0, 1, NONE, NONE]

    def test_what_is_forgotten_is_found_nowhere(self, pending: Pending) -> None:
        put(pending, (1, 7, 0, {10: 0.5, 11: 1.0}, [11]), (2, 8, 0, {10: 1.0}, [10]))
        pending.forget(np.array([10, 77], np.int32))
        assert [pending.place(slot, 10) for slot in (0, 1)] == [NONE, NONE]
        assert pending.place(0, 11) == 0
        assert not (pending.slots.items == 10).any()


users = st.integers(0, 3)
moves = st.one_of(
    st.tuples(st.just("put"), st.lists(st.tuples(st.integers(0, 20), users), min_size=1, max_size=6)),
    st.tuples(st.just("see"), users),
    st.tuples(st.just("own"), st.tuples(users, st.integers(100, 120), st.integers(0, 22))),
)


@given(st.lists(moves, max_size=30))
@settings(max_examples=200, deadline=None)
def test_indexes_only_ever_point_to_what_is_there(played: list[tuple[str, Any]]) -> None:
    pending = Pending(N_SLOTS, KEPT, N_FEATURES)
    for what, given_move in played:
        if what == "put":
            put(pending, *(simple(slate, user) for slate, user in given_move))
        elif what == "see" and given_move in pending.latest:
            pending.seen[given_move] = pending.latest[given_move]
        elif what == "own" and given_move[0] in pending.latest:
            user, name, item = given_move
            pending.shown_list(pending.latest[user], name, [item, item + 1], 0)
        assert len(pending) <= N_SLOTS
        for slate, slot in pending.by_slate.items():
            assert pending.slate_of[slot] == slate
        for index in (pending.latest, pending.seen):
            assert len(index) <= N_SLOTS
            assert all(pending.user_of[slot] == user for user, slot in index.items())
        assert (pending.slots.shown <= pending.slots.n).all()
        assert (pending.slots.shown <= pending.served).all()
        for slot in pending.by_slate.values():
            kept(pending, slot)
