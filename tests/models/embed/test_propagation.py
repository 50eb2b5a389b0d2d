import numpy as np
import pytest
from scipy import sparse

from models.embed.propagation import NEIGHBOURS, graph_of, propagated


def rows(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    here, there = np.array(pairs, np.int64).reshape(-1, 2).T
    return here, there


def dense(here: np.ndarray, there: np.ndarray, n: int) -> np.ndarray:
    graph = graph_of(here, there, n)
    return sparse.csr_array((graph.weights, graph.neighbours, graph.starts), (n, n)).toarray()


def test_weights_are_counts_either_way_over_the_root_of_both_sums() -> None:
    # 0 beside 1 three times, 1 beside 2 once: sums are 3, 4, 1.
    found = dense(*rows((0, 1), (0, 1), (1, 0), (1, 2)), n=4)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 3.0 / np.sqrt(3.0 * 4.0)
    expected[1, 2] = expected[2, 1] = 1.0 / np.sqrt(4.0 * 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_edge_goes_that_is_among_the_most_frequent_of_neither() -> None:
    n = 2 * NEIGHBOURS + 2
    busy = [(hub, 2 + 2 * leaf + hub) for hub in (0, 1) for leaf in range(NEIGHBOURS) for _ in range(2)]
    found = dense(*rows((0, 1), *busy), n=n)
    assert found[0, 1] == 0.0  # both have twenty that came twice
    assert np.count_nonzero(found) == 2 * 2 * NEIGHBOURS
    assert dense(*rows((0, 1), *busy[2:]), n=n)[0, 1] > 0.0  # one has nineteen


def test_an_item_moves_towards_what_follows_it_by_one_hop_and_by_two() -> None:
    vectors = np.eye(3, dtype=np.float32)
    # One pair of sums 1 and 1: S swaps them, and twice gives each back.
    found = propagated(vectors, graph_of(*rows((0, 1)), n=3), share=0.5)
    # 0.5 e0 + 0.25 e1 + 0.25 e0 = (0.75, 0.25), of length 0.790569
    assert found[0] == pytest.approx([0.948683, 0.316228, 0.0], abs=1e-6)
    assert found[1] == pytest.approx([0.316228, 0.948683, 0.0], abs=1e-6)
    assert found[2] == pytest.approx([0.0, 0.0, 1.0])  # nothing followed it


def test_without_pairs_all_stay_where_they_are() -> None:
    vectors = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(propagated(vectors, graph_of(*rows(), n=3), 0.35), vectors)
    assert propagated(vectors[:0], graph_of(*rows(), n=0), 0.35).shape == (0, 3)
