from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.embed.index import Exact, ExactTorch, Hnsw, Index, made
from models.embed.quantise import PANEL, Precision
from models.embed.settings import IndexSettings
from models.retrieve.contract import F32, I32

torch = pytest.importorskip("torch")
pytest.importorskip("usearch")

D = 8
MAKERS: dict[str, Callable[[], Index]] = {
    "exact": lambda: Exact(D),
    "exact_torch": lambda: ExactTorch(D, "cpu", block=16),
    "hnsw": lambda: Hnsw(D, IndexSettings(precision="f32")),
}
EXACT = ["exact", "exact_torch"]
GRID = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5])
"""Sums of products of these have no rounding, so that ties are ties."""
VECTOR = st.lists(GRID, min_size=D, max_size=D)


def i32(*items: int) -> I32:
    return np.array(items, np.int32)


def f32(rows: list[list[float]]) -> F32:
    return np.array(rows, np.float32).reshape(-1, D)


def axes(*which: int) -> F32:
    return np.eye(D, dtype=np.float32)[list(which)]


def clustered(n: int, dimension: int, seed: int = 1) -> F32:
    """Unit vectors around a hundred centres."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(100, dimension))[rng.integers(0, 100, n)]
    vectors += 0.6 * rng.normal(size=vectors.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute_force(known: dict[int, list[float]], user: F32, k: int) -> tuple[list[int], list[float]]:
    scores = {item: float(np.dot(f32([vector])[0], user)) for item, vector in known.items()}
    best = sorted(scores, key=lambda item: (-scores[item], item))[:k]
    return best + [-1] * (k - len(best)), [scores[item] for item in best] + [0.0] * (k - len(best))


def recall(found: I32, items: F32, users: F32) -> float:
    best = np.argsort(-(users @ items.T), axis=1)[:, : found.shape[1]]
    return float(np.mean([np.isin(row, true).mean() for row, true in zip(found, best, strict=True)]))


@pytest.fixture(params=MAKERS)
def index(request: pytest.FixtureRequest) -> Index:
    return MAKERS[request.param]()


@pytest.mark.parametrize("name", EXACT)
@given(
    known=st.dictionaries(st.integers(0, 40), VECTOR, max_size=30),
    users=st.lists(VECTOR, max_size=6),
    k=st.integers(0, 12),
)
@settings(max_examples=80, deadline=None)
def test_an_exact_search_is_brute_force_with_ties_by_the_lower_index(
    name: str, known: dict[int, list[float]], users: list[list[float]], k: int
) -> None:
    index = MAKERS[name]()
    index.put(i32(*known), f32(list(known.values())))
    items, scores = index.search(f32(users), k)
    assert items.shape == scores.shape == (len(users), k)
    for row, user in enumerate(f32(users)):
        expected, expected_scores = brute_force(known, user, k)
        assert items[row].tolist() == expected
        assert scores[row].tolist() == expected_scores


@pytest.mark.parametrize("name", MAKERS)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.lists(st.tuples(st.integers(0, 12), VECTOR), max_size=6)),
            st.tuples(st.just("remove"), st.lists(st.integers(-1, 14), max_size=6)),
            st.tuples(st.just("compact"), st.none()),
        ),
        max_size=12,
    ),
    user=VECTOR,
)
@settings(max_examples=60, deadline=None)
def test_an_index_holds_what_was_put_and_not_removed(name: str, steps: list, user: list[float]) -> None:
    index, known = MAKERS[name](), {}
    for step, given_ in steps:
        if step == "put":
            index.put(i32(*(item for item, _ in given_)), f32([vector for _, vector in given_]))
            known |= dict(given_)
        elif step == "remove":
            index.remove(i32(*given_))
            known = {item: vector for item, vector in known.items() if item not in given_}
        else:
            index = index.compacted()
    assert len(index) == len(known)
    items, scores = index.search(f32([user]), 15)
    expected, expected_scores = brute_force(known, f32([user])[0], 15)
    # So few are all linked to each other: the graph finds every one, with equals in any order.
    assert scores[0].tolist() == pytest.approx(expected_scores, abs=1e-6)
    assert sorted(items[0].tolist()) == sorted(expected)


@pytest.mark.parametrize("n_users", [1, 3, 4, 7, 130])
@pytest.mark.parametrize("name", EXACT)
def test_many_items_over_many_panels_are_searched_for_any_number_of_users(name: str, n_users: int) -> None:
    items, users = clustered(3 * PANEL + 7, D), clustered(n_users, D, seed=2)
    index = MAKERS[name]()
    index.put(np.arange(len(items), dtype=np.int32), items)
    found, scores = index.search(users, 300)
    true = users @ items.T
    assert recall(found, items, users) > 0.999
    np.testing.assert_allclose(scores, -np.sort(-true, axis=1)[:, :300], atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0.0).all()


@pytest.mark.parametrize("name", EXACT)
def test_equals_beyond_the_k_best_are_those_of_the_lowest_index(name: str) -> None:
    n = 3 * PANEL
    order = np.random.default_rng(1).permutation(n).astype(np.int32)
    index = MAKERS[name]()
    index.put(order, np.repeat(axes(0), n, axis=0))
    assert index.search(-axes(0), 40)[0].tolist() == [list(range(40))]
    assert index.search(axes(0, 1), 3)[0].tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize("best_first", [True, False])
@pytest.mark.parametrize("k", [1, 20])
@pytest.mark.parametrize("name", EXACT)
def test_the_best_are_kept_wherever_they_lie(name: str, k: int, best_first: bool) -> None:
    n = 3 * PANEL
    # The cosine falls by at least 0.0003 from an angle to the next.
    angles = 0.5 + np.arange(n) / n
    items = np.zeros((n, D), np.float32)
    items[:, 0], items[:, 1] = np.cos(angles), np.sin(angles)
    order = np.arange(n, dtype=np.int32) if best_first else np.arange(n, dtype=np.int32)[::-1].copy()
    index = MAKERS[name]()
    index.put(order, items[order])
    assert index.search(axes(0), k)[0].tolist() == [list(range(k))]


@pytest.mark.parametrize(
    ("precision", "least", "bytes_an_item"), [("f32", 0.99, 300), ("f16", 0.98, 160), ("i8", 0.95, 90)]
)
def test_fewer_bytes_cost_little_recall(precision: Precision, least: float, bytes_an_item: int) -> None:
    items, users = clustered(8 * PANEL, 64), clustered(64, 64, seed=2)
    index = Exact(64, precision)
    index.put(np.arange(len(items), dtype=np.int32), items)
    found, scores = index.search(users, 20)
    assert recall(found, items, users) >= least
    np.testing.assert_allclose(scores, np.take_along_axis(users @ items.T, found, 1), atol=5e-3)
    assert index.size_bytes / len(items) < bytes_an_item


@pytest.mark.parametrize(("precision", "least"), [("f32", 0.95), ("f16", 0.95), ("i8", 0.9)])
def test_a_graph_finds_nearly_all_of_the_best(precision: Precision, least: float) -> None:
    items, users = clustered(5_000, 32), clustered(128, 32, seed=2)
    index = Hnsw(32, IndexSettings(precision=precision))
    index.put(np.arange(len(items), dtype=np.int32), items)
    found, scores = index.search(users, 20)
    assert recall(found, items, users) >= least
    np.testing.assert_allclose(scores, np.take_along_axis(users @ items.T, found, 1), atol=0.02)
    assert [row.tolist() for row in index.search(users[:1], 20)[0]] == [found[0].tolist()]


def test_a_graph_still_finds_nearly_all_after_every_item_was_removed_and_put_again() -> None:
    items, users = clustered(3_000, 32), clustered(64, 32, seed=2)
    index = Hnsw(32, IndexSettings())
    everything = np.arange(len(items), dtype=np.int32)
    index.put(everything, clustered(3_000, 32, seed=3))
    for some in np.array_split(np.random.default_rng(1).permutation(everything), 10):
        index.remove(some)
        index.put(some, items[some])
    assert len(index) == 3_000
    assert recall(index.search(users, 20)[0], items, users) >= 0.95


def test_a_graph_without_most_of_its_items_is_linked_afresh_in_less_memory() -> None:
    items, users = clustered(4_000, 32), clustered(64, 32, seed=2)
    index = Hnsw(32, IndexSettings())
    index.put(np.arange(4_000, dtype=np.int32), items)
    assert index.compacted() is index
    index.remove(np.arange(500, 4_000, dtype=np.int32))
    found = index.search(users, 20)[0]
    assert found.max() < 500
    fresh = index.compacted()
    assert fresh is not index
    assert len(fresh) == 500
    assert fresh.compacted() is fresh
    assert recall(fresh.search(users, 20)[0], items[:500], users) >= 0.95


@pytest.mark.parametrize("name", EXACT)
def test_a_table_without_most_of_its_items_gives_memory_back(name: str) -> None:
    index = MAKERS[name]()
    index.put(np.arange(4 * PANEL, dtype=np.int32), clustered(4 * PANEL, D))
    held, best = index.size_bytes, index.search(axes(0), 5)[0]
    index.remove(np.setdiff1d(np.arange(4 * PANEL, dtype=np.int32), best))
    index = index.compacted()
    assert index.size_bytes < held / 2
    assert index.search(axes(0), 6)[0].tolist() == [[*best[0].tolist(), -1]]


def test_an_empty_index_answers_padding(index: Index) -> None:
    items, scores = index.search(axes(0, 1), 3)
    assert items.tolist() == [[-1] * 3] * 2
    assert scores.tolist() == [[0.0] * 3] * 2
    assert index.search(axes(), 3)[0].shape == (0, 3)
    index.remove(i32(0, 7))
    assert len(index.compacted()) == 0


def test_a_removed_item_never_comes_back_until_it_is_put_again(index: Index) -> None:
    index.put(i32(3, 1, 2), axes(0, 1, 2))
    index.remove(i32(1, 1))
    assert len(index) == 2
    assert 1 not in index.search(axes(1), 9)[0]
    index.put(i32(9), axes(1))
    assert index.search(axes(1), 1)[0].tolist() == [[9]]
    index.put(i32(1), axes(5))
    assert index.search(axes(5), 1)[0].tolist() == [[1]]


def test_of_an_item_named_twice_the_last_vector_holds(index: Index) -> None:
    index.put(i32(4, 5, 4), axes(0, 1, 2))
    assert len(index) == 2
    assert index.search(axes(2), 1)[0].tolist() == [[4]]
    # Nothing of its first vector is left: 0 like item 5's.
    assert index.search(axes(0), 2)[1].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.5])
def test_what_is_no_unit_vector_is_refused_and_changes_nothing(index: Index, wrong: float) -> None:
    vectors = axes(0, 1)
    vectors[1, 3] = wrong
    with pytest.raises(ValueError, match="vector of item 8 is not finite or longer than one"):
        index.put(i32(7, 8), vectors)
    assert len(index) == 0


def test_a_user_that_is_not_finite_is_refused(index: Index) -> None:
    users = axes(0, 1)
    users[1, 0] = np.nan
    with pytest.raises(ValueError, match="vector 1 of the users has a component that is not finite"):
        index.search(users, 3)


def test_what_does_not_fit_is_refused(index: Index) -> None:
    with pytest.raises(ValueError, match=r"vectors are \(1, 3\), this index wants \(n, 8\)"):
        index.search(np.zeros((1, 3), np.float32), 1)
    with pytest.raises(ValueError, match="2 items with 1 vectors"):
        index.put(i32(1, 2), axes(0))
    with pytest.raises(ValueError, match="item -1 is no index"):
        index.put(i32(-1), axes(0))


def test_the_number_of_items_chooses_the_layout() -> None:
    chosen = IndexSettings(exact_up_to=10)
    assert isinstance(made(D, 10, chosen), Exact)
    assert isinstance(made(D, 11, chosen), Hnsw)
    assert isinstance(made(D, 11, chosen.model_copy(update={"layout": "exact"})), Exact)
    assert isinstance(made(D, 1, chosen.model_copy(update={"layout": "hnsw"})), Hnsw)
    assert made(D, 10, chosen).size_bytes >= 10 * D


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_answers_as_the_processor_does() -> None:
    items, users = clustered(5_000, D), clustered(9, D, seed=2)
    on_gpu, here = made(D, 5_000, IndexSettings(precision="f32"), "cuda"), Exact(D)
    for index in (on_gpu, here):
        index.put(np.arange(len(items), dtype=np.int32), items)
    np.testing.assert_allclose(on_gpu.search(users, 20)[1], here.search(users, 20)[1], atol=1e-5)
