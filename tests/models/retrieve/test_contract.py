"""What every retrieval source promises; a new source joins the list through the registry."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.knowledge.attributes import Attributes
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.content import Content
from models.retrieve.contract import Candidates, Interactions, Queries, Source
from models.retrieve.registry import sources
from models.retrieve.settings import (
    CovisitationSettings,
    RetrieveSettings,
    SessionKnnSettings,
    TrendingSettings,
)

NAMES = ["session_knn", "covisitation", "content", "search", "trending", "cold_start"]
"""Sources that learn; ``recent`` only reads the query."""
SMALL = RetrieveSettings(
    session_knn=SessionKnnSettings(n_blocks=128, n_sessions=64, session_items=8, neighbours=20, sample=50),
    covisitation=CovisitationSettings(neighbours=6, n_sessions=64),
    trending=TrendingSettings(pool=16),
)
NOW_S = 1_700_100_000.0
N_ITEMS = 200


def noise(n: int, seed: int = 1) -> Interactions:
    """Interactions of 30 users with popular and rare items, times out of order by up to an hour."""
    rng = np.random.default_rng(seed)
    return Interactions(
        user=rng.integers(1, 30, n).astype(np.uint64),
        session=(rng.integers(0, 2, n) * rng.integers(1, 40, n)).astype(np.uint64),
        item=(N_ITEMS * rng.random(n) ** 2).astype(np.int32),
        kind=rng.choice([1, 2, 3, 5], n).astype(np.uint8),
        time_s=NOW_S - 100_000.0 + 100.0 * np.arange(n) + 3_600.0 * rng.random(n),
        term=rng.integers(-1, 20, n).astype(np.int32),
        segment=rng.integers(-1, 8, n).astype(np.int32),
    )


def indexes(rng: np.random.Generator, n: int, width: int, high: int) -> np.ndarray:
    """(n, width) distinct indexes a row, -1 padded to random lengths."""
    rows = np.stack([rng.permutation(high)[:width] for _ in range(n)]).astype(np.int32)
    rows[np.arange(width) >= rng.integers(0, width + 1, n)[:, None]] = -1
    return rows


def shoppers(n: int, seed: int = 2) -> Queries:
    rng = np.random.default_rng(seed)

    def weighted(width: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        rows = indexes(rng, n, width, high)
        return rows, np.where(rows >= 0, rng.random(rows.shape) + 0.1, 0.0).astype(np.float32)

    items, weights = weighted(6, N_ITEMS)
    category, category_weight = weighted(3, 10)
    brand, brand_weight = weighted(3, 12)
    term, term_weight = weighted(4, 40)
    return Queries(
        now_s=np.full(n, NOW_S),
        user=rng.integers(1, 60, n).astype(np.uint64),
        items=items,
        weights=weights,
        history=items,
        history_age_s=np.zeros(items.shape, np.float32),
        history_times=np.zeros(items.shape, np.int32),
        category=category,
        category_weight=category_weight,
        brand=brand,
        brand_weight=brand_weight,
        log_price=np.where(rng.random(n) < 0.5, np.nan, 2.0).astype(np.float32),
        term=term,
        term_weight=term_weight,
        segment=rng.integers(-1, 8, n).astype(np.int32),
        query=rng.integers(-1, 20, n).astype(np.int32),
    )


def unknown_shoppers(n: int) -> Queries:
    """Users of whom nothing is known, their columns as wide as those of others."""
    return Queries(
        *(
            np.full_like(column, -1) if column.dtype == np.int32 else np.zeros_like(column)
            for column in shoppers(n)
        )
    )


def rows_of(columns: Interactions | Queries, rows: np.ndarray | slice) -> tuple[np.ndarray, ...]:
    return tuple(column[rows] for column in columns)


def same(one: Candidates, other: Candidates) -> None:
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


Make = Callable[[], Source]


@pytest.fixture
def make(name: str, attributes: Attributes, known: KnowledgeSettings) -> Make:
    """Makes sources of one name, their catalogue indexed by two tokens an item."""

    def fresh() -> Source:
        (source,) = (s for s in sources(SMALL, attributes, known) if s.name == name)
        if isinstance(source, Content):
            for item in range(N_ITEMS):
                source.index(item, np.array([item % 40, item % 7], np.int32))
        return source

    return fresh


@pytest.mark.parametrize("name", NAMES)
class TestEverySource:
    def test_answers_are_best_first_with_ties_by_the_lower_index(self, make: Make) -> None:
        source = make()
        source.update(noise(500))
        items, scores, because = source.candidates(shoppers(40), 30)
        assert items.shape == scores.shape == because.shape == (40, 30)
        assert (items.dtype, scores.dtype, because.dtype) == (np.int32, np.float32, np.int32)
        assert (items >= 0).any()
        assert ((scores > 0) == (items >= 0)).all()
        assert (because[items < 0] == -1).all()
        for row, score in zip(items, scores, strict=True):
            n = int((row >= 0).sum())
            assert (row[n:] == -1).all()
            assert len(set(row[:n].tolist())) == n
            assert [*zip(-score[:n], row[:n], strict=True)] == sorted(zip(-score[:n], row[:n], strict=True))

    def test_a_shorter_list_is_the_beginning_of_a_longer_one(self, make: Make) -> None:
        source = make()
        source.update(noise(500))
        short, long = source.candidates(shoppers(20), 5), source.candidates(shoppers(20), 40)
        same(short, Candidates(*(column[:, :5] for column in long)))

    def test_asking_for_nothing_gives_nothing(self, make: Make) -> None:
        source = make()
        source.update(noise(50))
        assert source.candidates(shoppers(3), 0).items.shape == (3, 0)
        assert source.candidates(Queries(*rows_of(shoppers(3), slice(0))), 5).items.shape == (0, 5)

    def test_scoring_writes_nothing(self, make: Make) -> None:
        asked, unasked = make(), make()
        for seed in range(3):
            asked.update(noise(200, seed))
            unasked.update(noise(200, seed))
            asked.candidates(shoppers(30, seed), 20)
        once = asked.candidates(shoppers(30), 20)
        asked.candidates(shoppers(30, 77), 20)
        same(once, asked.candidates(shoppers(30), 20))
        same(once, unasked.candidates(shoppers(30), 20))

    @given(cuts=st.lists(st.integers(0, 400), max_size=6), asks=st.booleans())
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_same_rows_in_any_batching_leave_the_same_answers(
        self, make: Make, cuts: list[int], asks: bool
    ) -> None:
        whole, cut = make(), make()
        batch = noise(400)
        whole.update(batch)
        edges = [0, *sorted(cuts), 400]
        for begin, end in pairwise(edges):
            cut.update(Interactions(*rows_of(batch, slice(begin, end))))
            if asks:
                cut.candidates(shoppers(3), 10)
        same(whole.candidates(shoppers(30), 20), cut.candidates(shoppers(30), 20))

    def test_the_order_of_users_has_no_effect(self, make: Make) -> None:
        source = make()
        source.update(noise(500))
        order = np.random.default_rng(3).permutation(40)
        straight = source.candidates(shoppers(40), 20)
        shuffled = source.candidates(Queries(*rows_of(shoppers(40), order)), 20)
        same(Candidates(*(column[order] for column in straight)), shuffled)

    def test_users_asked_about_one_by_one_get_the_same_as_together(self, make: Make) -> None:
        source = make()
        source.update(noise(500))
        together = source.candidates(shoppers(10), 20)
        for r in range(10):
            alone = source.candidates(Queries(*rows_of(shoppers(10), slice(r, r + 1))), 20)
            same(alone, Candidates(*(column[r : r + 1] for column in together)))

    def test_padding_has_no_effect(self, make: Make) -> None:
        source = make()
        source.update(noise(500))
        asked = shoppers(20)
        wider = Queries(
            *(
                np.pad(column, ((0, 0), (0, 3)), constant_values=-1 if column.dtype == np.int32 else 0)
                if column.ndim == 2
                else column
                for column in asked
            )
        )
        same(source.candidates(asked, 20), source.candidates(wider, 20))

    def test_read_only_strided_input_is_as_good(self, make: Make) -> None:
        source, plain = make(), make()
        batch = noise(100)
        plain.update(batch)
        strided = Interactions(*(np.repeat(column, 2)[::2] for column in batch))
        for column in strided:
            column.flags.writeable = False
        source.update(strided)
        same(plain.candidates(shoppers(9), 20), source.candidates(shoppers(9), 20))

    def test_unknown_users_and_items_are_safe(self, make: Make) -> None:
        source, twin = make(), make()
        source.update(noise(300))
        twin.update(noise(300))
        beyond = noise(6)._replace(
            item=np.array([-1, -7, N_ITEMS, N_ITEMS + 1, 2**31 - 1, -(2**31)], np.int32)
        )
        source.update(beyond._replace(time_s=np.full(6, NOW_S - 200_000.0)))
        same(source.candidates(shoppers(20), 20), twin.candidates(shoppers(20), 20))
        asked = shoppers(4)._replace(
            items=np.full((4, 2), N_ITEMS, np.int32), weights=np.ones((4, 2), np.float32)
        )
        asked = asked._replace(
            **{name: np.full((4, 1), 10_000, np.int32) for name in ("category", "brand", "term")},
            segment=np.full(4, 10_000, np.int32),
            query=np.full(4, 10_000, np.int32),
        )
        assert source.candidates(asked, 20).items.max() < N_ITEMS
        assert source.candidates(unknown_shoppers(5), 20).items.max() < N_ITEMS

    def test_an_empty_batch_changes_nothing(self, make: Make) -> None:
        source, twin = make(), make()
        source.update(noise(0))
        assert source.candidates(shoppers(5), 10).items.shape == (5, 10)
        source.update(noise(300))
        source.update(noise(0))
        twin.update(noise(300))
        same(source.candidates(shoppers(20), 20), twin.candidates(shoppers(20), 20))

    def test_forgotten_items_leave_no_trace(self, make: Make) -> None:
        source = make()
        source.update(noise(1_000))
        gone = np.array([0, 1, 2, 3, 50, 199, -1, N_ITEMS], np.int32)
        source.forget(gone)
        items, _, because = source.candidates(shoppers(200), 200)
        assert (items >= 0).any()
        assert not np.isin(items, gone[gone >= 0]).any()
        assert not np.isin(because, gone[gone >= 0]).any()

    def test_what_forgot_all_answers_nothing_until_it_learns_again(self, make: Make) -> None:
        source = make()
        source.update(noise(1_000))
        source.forget(np.arange(N_ITEMS, dtype=np.int32))
        assert (source.candidates(shoppers(50), 20).items == -1).all()
        source.update(noise(1_000, seed=9))
        assert (source.candidates(shoppers(50), 20).items >= 0).any()

    def test_memory_stays_flat_over_a_million_strangers(self, make: Make) -> None:
        source = make()
        source.update(noise(10))
        source.candidates(shoppers(5), 10)
        before = source.size_bytes
        rng = np.random.default_rng(4)
        n = 250_000
        for part in range(4):
            strangers = noise(n, part)._replace(
                user=rng.integers(0, 2**63, n).astype(np.uint64),
                session=rng.integers(0, 2, n).astype(np.uint64) * rng.integers(0, 2**63, n).astype(np.uint64),
                item=rng.choice([1, 100], n).astype(np.int32)
                * rng.integers(-10, N_ITEMS, n).astype(np.int32),
            )
            source.update(strangers)
            source.candidates(shoppers(5), 10)
        assert source.size_bytes <= before + 8 * 3 * SMALL.trending.pool


def test_the_registry_keeps_its_order_and_leaves_out_what_is_disabled(
    attributes: Attributes, known: KnowledgeSettings
) -> None:
    names = [*NAMES, "recent", "embedding"]
    assert [s.name for s in sources(SMALL, attributes, known)] == names
    for name in names:
        off = SMALL.model_copy(update={name: getattr(SMALL, name).model_copy(update={"enabled": False})})
        assert [s.name for s in sources(off, attributes, known)] == [n for n in names if n != name]
