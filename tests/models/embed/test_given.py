"""What encoders of images or text say of items."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given as of_any
from hypothesis import strategies as st

from models.embed.given import FIRST_ROWS, GivenVectors
from models.embed.learner import Learner
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.knowledge.attributes import Attributes
from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.contract import Interactions
from models.retrieve.settings import RetrieveSettings
from schemas.catalog import Item

Make = Callable[..., Interactions]
MakeAttributes = Callable[[int], Attributes]
N, DIM = 60, 8
SMALL = EmbedSettings(
    dim=16,
    length=4,
    n_negatives=32,
    batch_size=64,
    online_batch=64,
    dropout=0.0,
    min_count=1,
    max_users=500,
    replay=5_000,
    epochs=6,
    held_out=0.1,
    given_dim=DIM,
)


def learner(attributes: MakeAttributes, **changed: object) -> Learner:
    return Learner(SMALL.model_copy(update=changed), N + 4, attributes(N + 4), InterestSettings(), "cpu")


def indexes(*items: int) -> np.ndarray:
    return np.array(items, np.int32)


def like(group: int, rng: np.random.Generator) -> list[float]:
    """Of items in one of six groups: nearly the same direction."""
    return [float(v) for v in 100.0 * np.eye(DIM)[group] + rng.normal(0.0, 5.0, DIM)]


def test_vectors_are_kept_at_unit_length() -> None:
    kept = GivenVectors(2, 5_000)
    kept.put(3, [3.0, 4.0])
    kept.put(4_000, [0.0, -1e9])
    np.testing.assert_allclose(kept.gather(indexes(3, 0, 4_000)), [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-3)
    assert kept.has(indexes(3, 0, 4_000, 4_999)).tolist() == [True, False, True, False]
    assert len(kept) == 2


@pytest.mark.parametrize("unfit", [[1.0], [1.0, 2.0, 3.0], [0.0, 0.0], [np.nan, 1.0]])
def test_what_is_unfit_is_counted_and_takes_the_place_of_what_was(unfit: list[float]) -> None:
    kept = GivenVectors(2, 10)
    kept.put(3, [3.0, 4.0])
    kept.put(3, unfit)
    assert (kept.n_unfit, kept.unfit_length, len(kept)) == (1, len(unfit), 0)
    assert not kept.gather(indexes(3)).any()


def test_where_none_are_read_none_take_memory_or_are_counted() -> None:
    kept = GivenVectors(0, 1 << 20)
    kept.put(3, [3.0, 4.0])
    kept.forget(indexes(3))
    assert (kept.size_bytes, kept.n_unfit, len(kept)) == (0, 0, 0)
    assert kept.gather(indexes(3, 4)).shape == (2, 0)


def test_memory_follows_the_items_that_have_one() -> None:
    kept = GivenVectors(4, 1 << 20)
    kept.put(7, [1.0, 0.0, 0.0, 0.0])
    assert kept.size_bytes == (1 << 20) + FIRST_ROWS * 4 * 2


@of_any(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["put", "none", "forget"])), max_size=40))
def test_it_holds_what_was_put_last(steps: list[tuple[int, str]]) -> None:
    kept, expected = GivenVectors(3, 10), np.zeros((10, 3), np.float32)
    for number, (item, step) in enumerate(steps):
        expected[item] = np.eye(3)[number % 3] if step == "put" else 0.0
        if step == "forget":
            kept.forget(indexes(item))
        else:
            kept.put(item, expected[item].tolist() if step == "put" else None)
    np.testing.assert_array_equal(kept.gather(np.arange(10, dtype=np.int32)), expected)
    assert kept.n_unfit == 0


def test_an_item_known_by_its_vector_alone_has_a_place_at_once(attributes: MakeAttributes) -> None:
    found = learner(attributes)
    assert found.export().items.tolist() == []
    found.give(5, [1.0] * DIM)
    exported = found.export()
    assert exported.items.tolist() == [5]
    assert np.linalg.norm(exported.vectors[0]) == pytest.approx(1.0, abs=1e-5)
    found.give(5, None)
    assert found.export().items.tolist() == []


def test_items_given_alike_are_near_each_other_before_anything_is_learned(attributes: MakeAttributes) -> None:
    found, rng = learner(attributes), np.random.default_rng(1)
    for item in range(N):
        found.give(item, like(item // 10, rng))
    vectors = found.export().vectors
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, :10]  # (N, 10)
    assert (nearest // 10 == np.arange(N)[:, None] // 10).mean() > 0.9


def test_an_item_never_seen_is_near_those_given_alike(interactions: Make, attributes: MakeAttributes) -> None:
    """Who looks at items of a group goes on to the next group: the vectors alone do not tell that."""
    found, rng = learner(attributes), np.random.default_rng(5)
    for item in range(N):
        found.give(item, like(item // 10, rng))
    found.give(N, like(3, rng))
    rows = [
        (user + 1, int(10 * ((user + step) % 6) + rng.integers(0, 10)), 10.0 * step)
        for user in range(400)
        for step in range(5)
    ]
    found.observe(interactions(rows), learn=False)
    before = [p.clone() for name, p in found._model.named_parameters() if name == "given.weight"]
    found.fit()
    assert not torch.equal(before[0], dict(found._model.named_parameters())["given.weight"])
    exported = found.export()
    assert exported.items.tolist() == list(range(N + 1))
    nearest = np.argsort(-(exported.vectors[:N] @ exported.vectors[N]))[:10]
    assert set((nearest // 10).tolist()) == {3}


def test_a_vector_is_hidden_with_the_other_attributes(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes, attribute_dropout=0.999, id_dropout=0.0)
    found.observe(interactions([(1, 0, 0.0), (1, 1, 1.0)]), learn=False)
    parts = found._tower.gather(indexes(0, 1, 2))
    found.give(0, [1.0] * DIM)
    found.give(2, [1.0] * DIM)
    given = found._tower.gather(indexes(0, 1, 2))
    model = found._model.train()
    without, hidden = model.items(parts), model.items(given)
    assert torch.equal(without[:2], hidden[:2])
    assert hidden[2].norm().item() == pytest.approx(1.0), "an item that has nothing else keeps it"
    assert not torch.equal(model.eval().items(given)[0], without[0])


def test_a_forgotten_item_leaves_its_vector_behind(attributes: MakeAttributes) -> None:
    found = learner(attributes)
    found.give(5, [1.0] * DIM)
    found.forget(indexes(5))
    assert found.export().items.tolist() == []


def test_learning_goes_on_from_a_state_with_what_vectors_mean(
    interactions: Make, attributes: MakeAttributes
) -> None:
    one, other = (learner(attributes, seed=seed, propagation=0.0) for seed in (1, 2))
    for each in (one, other):
        each.give(5, [1.0] * DIM)
    one.observe(interactions([(u, i, 9.0 * i) for u in range(40) for i in range(4)]))
    other.load(one.state())
    np.testing.assert_allclose(one.export().vectors, other.export().vectors, atol=1e-6)


class Recorder:
    """A pupil that keeps what was given."""

    def __init__(self) -> None:
        self.given: dict[int, list[float] | None] = {}

    def update(self, batch: Interactions) -> None:
        return None

    def fit(self) -> None:
        return None

    def describe(self, item: int, terms: np.ndarray) -> None: ...

    def give(self, item: int, vector: list[float] | None) -> None:
        self.given[item] = vector

    def forget(self, items: np.ndarray) -> None: ...


def entry(**more: object) -> Item:
    return Item(**{"item_id": "a", "time_ms": 1_700_000_000_000, **more})


def test_the_latest_entry_of_the_catalogue_says_what_is_given() -> None:
    retrieve = RetrieveSettings()
    knowledge = KnowledgeBase(
        KnowledgeSettings(),
        retrieve.model_copy(update={"embedding": retrieve.embedding.model_copy(update={"enabled": True})}),
    )
    assert knowledge.embedding is not None
    pupil = knowledge.embedding.pupil = Recorder()
    for item, expected in (
        (entry(vector=[1.0, 2.0]), [1.0, 2.0]),
        (entry(title="of no vector"), None),
        (entry(vector=[3.0]), [3.0]),
        (None, None),
    ):
        knowledge.describe([("a", item)])
        assert pupil.given == {0: expected}
