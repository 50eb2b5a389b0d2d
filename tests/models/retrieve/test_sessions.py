"""The bounded map of sessions against a dictionary that follows the same rules."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.retrieve.sessions import current_slot, drop_items, empty_sessions, place, remember

ROW = st.tuples(st.integers(0, 12), st.integers(1, 8), st.floats(0.0, 500.0))


@given(rows=st.lists(ROW, max_size=120))
@settings(max_examples=60, deadline=None)
def test_the_map_holds_exactly_the_keys_of_the_slots(rows: list[tuple[int, int, float]]) -> None:
    s = empty_sessions(8, 4)
    for session, user, time_s in rows:
        slot = place(s, np.uint64(session), np.uint64(user), time_s, 50.0)
        if slot >= 0:
            assert 0 <= current_slot(s, np.uint64(user)) < 8
            assert s.first_s[slot] <= time_s <= s.last_s[slot]
    held = s.map_key[s.map_key != 0]
    assert len(set(held.tolist())) == held.size <= 16
    for key, slot in zip(held, s.map_slot[s.map_key != 0], strict=True):
        assert key in (s.key[slot], s.owner[slot])
    keys = s.key[(s.serial >= 0) & (s.key != 0)]
    assert set(keys.tolist()) <= set(held.tolist())


def test_items_move_to_the_end_and_the_oldest_makes_room() -> None:
    s = empty_sessions(1, 3)
    slot = place(s, np.uint64(5), np.uint64(1), 0.0, 50.0)
    assert [remember(s, slot, item) for item in (1, 2, 1, 3, 4)] == [True, True, False, True, True]
    assert s.items[slot].tolist() == [1, 3, 4]


def test_dropped_items_leave_the_others_in_order() -> None:
    s = empty_sessions(1, 4)
    slot = place(s, np.uint64(5), np.uint64(1), 0.0, 50.0)
    for item in (1, 2, 3):
        remember(s, slot, item)
    gone = np.zeros(11, np.bool_)
    gone[2] = True
    drop_items(s, gone)
    assert s.items[slot].tolist() == [1, 3, -1, -1]
    assert s.length[slot] == 2


def test_a_session_follows_the_user_who_logs_in() -> None:
    s = empty_sessions(4, 4)
    slot = place(s, np.uint64(5), np.uint64(1), 0.0, 50.0)
    assert place(s, np.uint64(5), np.uint64(2), 1.0, 50.0) == slot
    assert current_slot(s, np.uint64(2)) == slot
    assert current_slot(s, np.uint64(1)) == -1
