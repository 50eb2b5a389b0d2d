from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learn.estimator import Parameters
from models.learn.ledger import Entry, Ledger
from models.rank.features import VERSION

NAMES = ["x", "y"]
Record = tuple[bytes, bytes]


def step(*values: float) -> Parameters:
    return {"weights": np.array(values, float)}


def fresh() -> Ledger:
    return Ledger(NAMES, {"listwise": step(1.0, 2.0), "sgd": step(0.0, 0.0)})


def total(ledger: Ledger, name: str = "listwise") -> list[float]:
    return ledger.total(name)["weights"].tolist()


def entry(
    *values: float,
    epoch: int = 0,
    n: int = 1,
    features: Sequence[str] = ("x", "y"),
    version: int = VERSION,
    name: str = "weights",
) -> bytes:
    return msgspec.msgpack.encode(
        Entry(list(features), version, epoch, n, {name: np.array(values, "<f8").tobytes()})
    )


class TestAdding:
    def test_the_total_is_the_base_and_what_every_partition_added(self) -> None:
        ledger = fresh()
        ledger.add("listwise", 0, step(0.5, 0.0), 3)
        ledger.add("listwise", 7, step(0.0, -1.0), 2)
        ledger.add("listwise", 0, step(0.25, 0.25), 1)
        assert total(ledger) == [1.75, 1.25]
        assert ledger.n_learned("listwise") == 6
        assert total(ledger, "sgd") == [0.0, 0.0]
        assert ledger.n_learned("sgd") == 0

    def test_records_are_only_of_what_changed(self) -> None:
        ledger = fresh()
        assert list(ledger.records()) == []
        ledger.add("sgd", 1, step(1.0, 1.0), 1)
        ledger.add("listwise", 0, step(1.0, 1.0), 1)
        assert [key for key, _ in ledger.records()] == [b"part/listwise/0", b"part/sgd/1"]
        assert list(ledger.records()) == []
        ledger.add("sgd", 1, step(1.0, 1.0), 1)
        ((key, value),) = ledger.records()
        assert key == b"part/sgd/1"
        # The whole part, so that a compacted topic keeps all of it.
        part = msgspec.msgpack.decode(value, type=Entry)
        assert (part.features, part.version, part.epoch, part.n_learned) == (NAMES, VERSION, 0, 2)
        assert np.frombuffer(part.arrays["weights"], "<f8").tolist() == [2.0, 2.0]

    def test_its_own_records_tell_it_nothing(self) -> None:
        ledger = fresh()
        ledger.add("listwise", 0, step(0.5, 0.5), 1)
        ((key, value),) = ledger.records()
        assert ledger.apply(key, value) is None
        assert total(ledger) == [1.5, 2.5]
        assert ledger.n_foreign == 0

    def test_a_worker_that_takes_a_partition_over_adds_to_its_part(self) -> None:
        before, after = fresh(), fresh()
        before.add("listwise", 3, step(0.5, 0.5), 4)
        for record in before.records():
            assert after.apply(*record) == "listwise"
        assert list(after.records()) == []
        after.add("listwise", 3, step(0.25, 0.0), 1)
        assert total(after) == [1.75, 2.5]
        for record in after.records():
            assert before.apply(*record) == "listwise"
        assert total(before) == total(after)

    def test_what_was_learned_since_gives_way_to_a_part_that_learned_more(self) -> None:
        ledger = fresh()
        ledger.add("listwise", 3, step(9.0, 9.0), 1)
        assert ledger.apply(b"part/listwise/3", entry(0.5, 0.5, n=5)) == "listwise"
        assert total(ledger) == [1.5, 2.5]
        assert list(ledger.records()) == []  # the other's record is out already


class TestBases:
    def test_a_new_base_voids_the_parts(self) -> None:
        ledger = fresh()
        ledger.add("listwise", 0, step(0.5, 0.5), 3)
        ledger.add("sgd", 0, step(0.5, 0.5), 3)
        key, value = ledger.rebase("listwise", step(-1.0, -1.0))
        assert key == b"base/listwise"
        assert (total(ledger), ledger.n_learned("listwise"), ledger.epoch("listwise")) == ([-1.0, -1.0], 0, 1)
        assert (total(ledger, "sgd"), ledger.n_learned("sgd"), ledger.epoch("sgd")) == ([0.5, 0.5], 3, 0)
        assert [key for key, _ in ledger.records()] == [b"part/sgd/0"]
        other = fresh()
        other.add("listwise", 5, step(7.0, 7.0), 1)
        assert other.apply(key, value) == "listwise"
        assert total(other) == [-1.0, -1.0]
        assert other.apply(key, value) is None

    def test_parts_of_an_older_base_come_too_late(self) -> None:
        ledger = fresh()
        ledger.rebase("listwise", step(0.0, 0.0))
        assert ledger.apply(b"part/listwise/0", entry(5.0, 5.0, epoch=0, n=100)) is None
        assert ledger.apply(b"base/listwise", entry(5.0, 5.0, epoch=1)) is None
        assert total(ledger) == [0.0, 0.0]

    def test_a_part_may_come_before_its_base(self) -> None:
        ledger = fresh()
        ledger.add("listwise", 0, step(1.0, 1.0), 1)
        assert ledger.apply(b"part/listwise/1", entry(0.5, 0.5, epoch=1)) is None
        assert total(ledger) == [2.0, 3.0]
        assert ledger.n_learned("listwise") == 1
        assert ledger.apply(b"base/listwise", entry(10.0, 10.0, epoch=1)) == "listwise"
        assert total(ledger) == [10.5, 10.5]

    def test_what_is_added_to_a_base_known_to_be_void_is_lost(self) -> None:
        ledger = fresh()
        ledger.apply(b"part/listwise/1", entry(0.5, 0.5, epoch=1))
        ledger.add("listwise", 1, step(3.0, 3.0), 1)
        assert list(ledger.records()) == []
        ledger.apply(b"base/listwise", entry(10.0, 10.0, epoch=1))
        assert total(ledger) == [10.5, 10.5]


class TestForeign:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            (b"part/listwise/0", entry(1.0, 1.0, version=VERSION + 1)),
            (b"part/listwise/0", entry(1.0, 1.0, features=("y", "x"))),
            (b"part/listwise/0", entry(1.0, 1.0, features=("x",))),
            (b"part/listwise/0", entry(1.0, np.nan)),
            (b"base/listwise", entry(np.inf, 1.0, epoch=1)),
            (b"part/listwise/0", entry(1.0, 1.0, 1.0)),  # of three features
            (b"part/listwise/0", entry(1.0, 1.0, name="z")),
            (b"part/unheard-of/0", entry(1.0, 1.0)),
            (b"base/unheard-of", entry(1.0, 1.0, epoch=1)),
            (b"rumour/listwise/0", entry(1.0, 1.0)),
            (b"part/listwise", entry(1.0, 1.0)),
            (b"part/listwise/", entry(1.0, 1.0)),
            (b"part/listwise/one", entry(1.0, 1.0)),
            (b"part/listwise/" + b"9" * 5_000, entry(1.0, 1.0)),
            (b"part/listwise/0/0", entry(1.0, 1.0)),
            (b"base/listwise/0", entry(1.0, 1.0, epoch=1)),
            (b"\xff\xfe", entry(1.0, 1.0)),
            (b"", b""),
            (b"part/listwise/0", b""),
            (b"part/listwise/0", b"\x91" * 100_000),
            (b"part/listwise/0", b"\x96" + entry(1.0, 1.0)[1:] + b"\x91" * 100_000),
            (b"part/listwise/0", entry(1.0, 1.0)[:-1]),
            (
                b"part/listwise/0",
                msgspec.msgpack.encode(Entry(NAMES, VERSION, 0, 1, {"weights": b"\0" * 15})),
            ),
        ],
    )
    def test_is_left_out_and_counted(self, key: bytes, value: bytes) -> None:
        ledger = fresh()
        assert ledger.apply(key, value) is None
        assert ledger.n_foreign == 1
        assert (total(ledger), total(ledger, "sgd")) == ([1.0, 2.0], [0.0, 0.0])
        assert ledger.epoch("listwise") == 0

    @given(st.binary(max_size=40), st.binary(max_size=80), st.integers(0, 200), st.integers(0, 255))
    @settings(max_examples=300, deadline=None)
    def test_no_bytes_make_it_raise(self, key: bytes, value: bytes, at: int, byte: int) -> None:
        ledger, sound = fresh(), entry(1.0, 1.0)
        spoilt = sound[: at % len(sound)] + bytes([byte]) + sound[at % len(sound) + 1 :]
        for each in (value, spoilt):
            ledger.apply(key, each)
            ledger.apply(b"part/listwise/0", each)
        assert np.isfinite(total(ledger)).all()


def history(
    workers: Sequence[Sequence[tuple[int, float]]], restarts: set[int]
) -> tuple[list[Record], list[float]]:
    """All records that partitions' owners wrote, each told of a new base when it is made, and the last total.

    ``workers`` are the steps of each partition, round by round; before a round of ``restarts`` there is a new base.
    """
    ledgers = [fresh() for _ in workers]
    log: list[Record] = []
    for turn in range(max(len(steps) for steps in workers)):
        if turn in restarts:
            base = ledgers[0].rebase("listwise", step(float(turn), 0.0))
            log.append(base)
            for ledger in ledgers[1:]:
                ledger.apply(*base)
        for partition, (ledger, steps) in enumerate(zip(ledgers, workers, strict=True)):
            if turn < len(steps):
                n, value = steps[turn]
                ledger.add("listwise", partition, step(value, -value), n)
                log += ledger.records()
    everyone = ledgers[0]
    for record in log:
        everyone.apply(*record)
    return log, total(everyone)


one_step = st.tuples(st.integers(1, 5), st.integers(-64, 64).map(lambda n: n / 8.0))


@given(
    st.lists(st.lists(one_step, min_size=1, max_size=4), min_size=1, max_size=3),
    st.sets(st.integers(0, 3)),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_any_order_and_repetition_of_records_gives_the_same_total(
    workers: list[list[tuple[int, float]]], restarts: set[int], data: st.DataObject
) -> None:
    log, expected = history(workers, restarts)
    repeated = log + data.draw(st.lists(st.sampled_from(log), max_size=5))
    reader = fresh()
    for key, value in data.draw(st.permutations(repeated)):
        reader.apply(key, value)
    assert total(reader) == expected
    assert reader.n_foreign == 0


@given(
    st.lists(st.lists(one_step, min_size=1, max_size=4), min_size=1, max_size=3), st.sets(st.integers(0, 3))
)
@settings(max_examples=100, deadline=None)
def test_the_last_record_of_every_key_is_enough(
    workers: list[list[tuple[int, float]]], restarts: set[int]
) -> None:
    log, expected = history(workers, restarts)
    reader = fresh()
    for key, value in dict(log).items():
        reader.apply(key, value)
    assert total(reader) == expected
    # Steps of the last base alone: eighths, so that their sums are exact.
    last = max((turn for turn in restarts if turn < max(map(len, workers))), default=None)
    rounds = slice(last or 0, None)
    start = 1.0 if last is None else float(last)
    assert expected[0] == start + sum(value for steps in workers for _, value in steps[rounds])
