import numpy as np
import pytest
import torch

from models.embed.table import DynamicTable, distinct_of


def table(max_rows: int = 100, min_count: int = 1, spread: float = 0.1) -> DynamicTable:
    return DynamicTable(4, max_rows, min_count, spread, np.random.default_rng(1), "cpu")


def indexes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def learn(of: DynamicTable, which: np.ndarray, rate: float = 0.1, decay: float = 0.0) -> None:
    gathered = of.gather(which)
    (gathered.values[gathered.at] ** 2).sum().backward()
    of.step(gathered, rate, decay)


def test_an_index_gets_a_row_once_it_was_seen_often_enough() -> None:
    of = table(min_count=3)
    of.see(indexes(7, 7, 5, -1))
    assert of.rows(indexes(7, 5)).tolist() == [0, 0]
    of.see(indexes(5, 7))
    assert of.indexes.tolist() == [7]
    of.see(indexes(5))
    assert set(of.indexes.tolist()) == {5, 7}
    assert len({0, *of.rows(indexes(5, 7)).tolist()}) == 3


def test_rows_are_not_shared_and_outlast_growth() -> None:
    of = table(max_rows=10_000)
    of.see(indexes(3))
    first = of.values[of.rows(indexes(3))].clone()
    of.see(np.arange(5_000, dtype=np.int32))
    assert len(np.unique(of.rows(np.arange(5_000, dtype=np.int32)))) == 5_000
    assert (of.values[of.rows(indexes(3))] == first).all()


def test_there_are_never_more_rows_than_the_maximum() -> None:
    of = table(max_rows=3)
    of.see(indexes(0, 1, 2, 3, 4))
    assert len(of) == 3
    of.forget(indexes(1))
    of.see(indexes(4))
    assert sorted(of.indexes.tolist()) == [0, 2, 4]


def test_a_forgotten_row_begins_afresh_for_the_next() -> None:
    of = table()
    of.see(indexes(1, 2))
    for _ in range(5):
        learn(of, indexes(1, 2))
    row = of.rows(indexes(1))
    of.forget(indexes(1))
    assert of.rows(indexes(1)).tolist() == [0]
    of.see(indexes(9))
    state = of.state()
    at = state["index"].tolist().index(9)
    assert of.rows(indexes(9)) == row
    assert not state["mean"][at].any()
    assert not state["square"][at].any()
    assert state["values"][at].any()


def test_what_has_no_row_is_zero_and_stays_so() -> None:
    of = table()
    of.see(indexes(1))
    learn(of, indexes(1, 5, -1))
    gathered = of.gather(indexes(5, -1))
    assert not gathered.values[gathered.at].detach().numpy().any()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_are_those_of_adam(decay: float) -> None:
    of = table()
    of.see(indexes(1, 2))
    rows = torch.from_numpy(of.rows(indexes(1, 2)).astype(np.int64))
    dense = of.values[rows].clone().requires_grad_()
    adam = torch.optim.AdamW([dense], lr=0.1, weight_decay=decay)
    for _ in range(4):
        learn(of, indexes(2, 1), decay=decay)
        adam.zero_grad()
        (dense**2).sum().backward()
        adam.step()
    assert of.values[rows].numpy() == pytest.approx(dense.detach().numpy(), abs=1e-6)


def test_rows_that_a_batch_does_not_read_stay() -> None:
    of = table()
    of.see(indexes(1, 2))
    before = of.values.clone()
    learn(of, indexes(1))
    moved = (of.values != before).any(dim=1).numpy()
    assert np.flatnonzero(moved).tolist() == of.rows(indexes(1)).tolist()


def test_a_table_goes_on_elsewhere_under_other_indexes() -> None:
    one, other = table(min_count=2), table(min_count=2)
    one.see(indexes(1, 1, 2, 2, 3))
    learn(one, indexes(1, 2))
    state = one.state()
    moved = {1: 11, 2: -1, 3: 13}
    state["index"] = indexes(*(moved[i] for i in state["index"].tolist()))
    state["seen"] = indexes(*(moved[i] for i in state["seen"].tolist()))
    other.load(state)
    assert other.indexes.tolist() == [11]
    other.see(indexes(13))  # was seen once before
    assert sorted(other.indexes.tolist()) == [11, 13]
    learn(one, indexes(1))
    learn(other, indexes(11))
    a, b = (of.values[of.rows(indexes(i))] for of, i in ((one, 1), (other, 11)))
    assert (a == b).all()


def test_distinct_rows_and_where_each_is() -> None:
    distinct, at = distinct_of(np.array([[5, 2], [5, 9]], np.int32), 10, always=0)
    assert distinct.tolist() == [0, 2, 5, 9]
    assert at.tolist() == [[2, 1], [2, 3]]
