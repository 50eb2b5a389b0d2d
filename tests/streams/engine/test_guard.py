from faust.types import TP

from streams.engine.guard import CONFIRM_AFTER, OffsetGuard, Sequence, Verdict

A, B = TP("events.browse", 0), TP("events.browse", 1)


def guarded(**starts: int) -> OffsetGuard:
    guard = OffsetGuard()
    guard.begin({A: starts["a"]} | ({B: starts["b"]} if "b" in starts else {}))
    return guard


def test_batches_that_follow_each_other_are_delivered_whole():
    guard = guarded(a=10)
    assert guard.admit(A, 10, 19) == (Verdict.DELIVER, 0, 10)
    assert guard.admit(A, 20, 20) == (Verdict.DELIVER, 0, 20)
    assert guard.expected(A) == 21


def test_a_batch_beyond_the_expected_offset_is_sought_back_and_changes_nothing():
    guard = guarded(a=10)
    assert guard.admit(A, 12, 19).verdict is Verdict.SEEK_BACK
    assert guard.expected(A) == 10
    assert guard.admit(A, 10, 19).verdict is Verdict.DELIVER


def test_records_delivered_before_are_told_and_the_expected_offset_never_falls():
    guard = guarded(a=10)
    guard.admit(A, 10, 19)
    assert guard.admit(A, 15, 24) == (Verdict.DELIVER, 5, 20)
    assert guard.admit(A, 10, 14) == (Verdict.DELIVER, 15, 25)
    assert guard.expected(A) == 25


def test_a_jump_that_stays_after_seeking_is_a_hole_in_the_log():
    guard = guarded(a=10)
    for _ in range(CONFIRM_AFTER):
        assert guard.admit(A, 12, 19).verdict is Verdict.SEEK_BACK
    assert guard.admit(A, 12, 19) == (Verdict.HOLE, 0, 10)
    assert guard.expected(A) == 20


def test_a_new_epoch_starts_at_the_commits_and_forgets_partitions_given_away():
    guard = guarded(a=10, b=5)
    guard.admit(A, 10, 19)
    before = guard.epoch
    guard.begin({A: 12})
    assert guard.epoch == before + 1
    assert guard.expected(A) == 12
    assert guard.expected(B) is None


def test_the_agent_sees_a_batch_that_slipped_away_and_takes_it_when_it_comes_again():
    sequence = Sequence(guarded(a=0, b=7))
    assert sequence.follows(A, epoch=1, starts_at=0, end=10)
    assert sequence.follows(B, epoch=1, starts_at=7, end=9)
    assert not sequence.follows(A, epoch=1, starts_at=20, end=30)
    assert sequence.expected(A, otherwise=20) == 10
    assert sequence.follows(A, epoch=1, starts_at=10, end=20)
    assert sequence.follows(A, epoch=1, starts_at=20, end=30)


def test_the_first_batch_of_an_epoch_must_start_where_the_epoch_does():
    sequence = Sequence(guarded(a=5))
    assert not sequence.follows(A, epoch=1, starts_at=8, end=10)
    assert sequence.follows(A, epoch=1, starts_at=5, end=8)


def test_a_batch_delivered_twice_leaves_no_gap_and_moves_nothing_back():
    sequence = Sequence(guarded(a=0))
    assert sequence.follows(A, epoch=1, starts_at=0, end=10)
    assert sequence.follows(A, epoch=1, starts_at=0, end=10)
    assert sequence.follows(A, epoch=1, starts_at=10, end=12)
