from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from models.embed.exported import Exported
from models.embed.inference import Inference
from models.embed.learner import Epoch, Learner, schedule
from models.embed.ranks import ranks_of
from models.embed.sequences import Examples, Sequences
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import Interactions

Make = Callable[..., Interactions]
MakeAttributes = Callable[[int], Attributes]
N = 60
SMALL = EmbedSettings(
    dim=16,
    length=4,
    n_negatives=32,
    batch_size=64,
    online_batch=64,
    rate=0.01,
    online_rate=0.01,
    dropout=0.0,
    min_count=1,
    max_rows=1_000,
    max_users=500,
    replay=5_000,
    epochs=6,
    held_out=0.1,
)


def rounds(n_users: int, seed: int = 1, steps: int = 6) -> Iterator[tuple[int, int, float]]:
    """Shoppers who look at every item after the one before it, in a ring."""
    rng = np.random.default_rng(seed)
    for user in range(n_users):
        first = int(rng.integers(0, N))
        for step in range(steps):
            yield user + 1 + 1_000 * seed, (first + step) % N, 10.0 * step


def learner(attributes: MakeAttributes, **changed: object) -> Learner:
    return Learner(SMALL.model_copy(update=changed), N + 4, attributes(N + 4), InterestSettings(), "cpu")


VIEWED = np.ones(1, np.uint8), np.full(1, np.nan, np.float32)


def after(item: int, length: int = 4) -> Sequences:
    """What a shopper in the ring has read when ``item`` is the newest."""
    items = np.array([[item % N, (item - 1) % N, *([-1] * (length - 2))]], np.int32)
    age_s = np.array([[0.0, 10.0, *([0.0] * (length - 2))]], np.float32)
    evidence = np.array([[1, 1, *([0] * (length - 2))]], np.uint8)
    none = np.full(1, -1, np.int32)
    return Sequences(items, age_s, evidence, none, none)


def share_right(found: Learner) -> float:
    inference = Inference(found.export(), found.settings, "cpu")
    ranks = [
        ranks_of(inference, Examples(after(i), np.array([(i + 1) % N], np.int32), *VIEWED)) for i in range(N)
    ]
    return float(np.mean(np.concatenate(ranks) <= 2.0))


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_fitting_finds_what_comes_next(encoder: str, interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes, encoder=encoder)
    found.observe(interactions(list(rounds(400))), learn=False)
    assert share_right(found) < 0.2
    epochs: list[Epoch] = []
    found.fit(epochs.append)
    assert share_right(found) > 0.9
    assert epochs[-1].loss < epochs[0].loss
    assert found.n_examples == 2_000
    assert found.loss != found.loss  # nothing was tested online


def test_online_each_batch_is_tested_before_it_is_learned(
    interactions: Make, attributes: MakeAttributes
) -> None:
    found = learner(attributes)
    losses = []
    for seed in range(1, 9):
        found.observe(interactions(list(rounds(100, seed))))
        losses.append(found.loss)
    assert losses[0] > np.log(N)  # no better than chance
    assert losses[-1] < 0.5 * losses[0]
    assert found.n_kept == 64 * (8 * 500 // 64)


def test_any_split_of_the_interactions_teaches_the_same(
    interactions: Make, attributes: MakeAttributes
) -> None:
    rows = list(rounds(60))
    whole, parts = learner(attributes), learner(attributes)
    whole.observe(interactions(rows), learn=False)
    for start in range(0, len(rows), 7):
        parts.observe(interactions(rows[start : start + 7]), learn=False)
    assert whole.n_kept == parts.n_kept
    for column, other in zip(
        (*whole._replay.of(np.arange(300)).sequences, whole._replay.of(np.arange(300)).item),
        (*parts._replay.of(np.arange(300)).sequences, parts._replay.of(np.arange(300)).item),
        strict=True,
    ):
        np.testing.assert_array_equal(column, other)


def test_an_item_never_seen_is_near_those_of_its_category(
    interactions: Make, attributes: MakeAttributes
) -> None:
    known = attributes(N + 4)
    known.category[:N] = np.arange(N) // 10
    known.category[N] = 3
    found = Learner(SMALL, N + 4, known, InterestSettings(), "cpu")
    rng = np.random.default_rng(5)
    rows = [
        (user + 1, int(10 * (user % 6) + rng.integers(0, 10)), 10.0 * step)
        for user in range(400)
        for step in range(5)
    ]
    found.observe(interactions(rows), learn=False)
    found.fit()
    exported = found.export()
    assert exported.items.tolist() == list(range(N + 1))  # of the others nothing is known
    nearest = np.argsort(-(exported.vectors[:N] @ exported.vectors[N]))[:10]
    assert set((nearest // 10).tolist()) == {3}


def test_words_alone_make_a_vector(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes)
    found.describe(1, np.array([4, 5], np.int32))
    found.describe(N, np.array([4], np.int32))
    found.describe(N + 1, np.array([6], np.int32))
    found.observe(interactions([(1, 0, 0.0), (1, 1, 1.0)]), learn=False)
    assert found.export().items.tolist() == [0, 1, N]  # word 6 was never met
    found.describe(N, np.array([], np.int32))
    assert found.export().items.tolist() == [0, 1]


def test_seldom_seen_items_have_no_vector(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes, min_count=2)
    found.observe(interactions([(1, 0, 0.0), (1, 1, 1.0), (2, 0, 0.0)]))
    assert found.export().items.tolist() == [0]


def test_repeats_are_no_examples_if_so_wished(interactions: Make, attributes: MakeAttributes) -> None:
    rows = [(1, 0, 0.0), (1, 0, 1.0), (1, 1, 2.0), (1, 0, 3.0)]
    every, some = learner(attributes), learner(attributes, learn_repeats=False)
    for found in (every, some):
        found.observe(interactions(rows), learn=False)
    assert (every.n_examples, some.n_examples) == (3, 2)


def test_what_is_worth_more_pulls_more(interactions: Make, attributes: MakeAttributes) -> None:
    def liking(kind_power: float) -> float:
        """How much nearer the bought item is than the viewed one to those who saw item 0."""
        found = learner(attributes, kind_power=kind_power, held_out=0.0)
        for user in range(200):
            kind, item = (Kind.PURCHASE, 1) if user % 2 else (Kind.VIEW, 2)
            found.observe(
                interactions([(user + 1, 0, 0.0), (user + 1, user // 2 % 20 + 10, 1.0)]), learn=False
            )
            found.observe(interactions([(user + 1, item, 2.0)], kind), learn=False)
        found.fit()
        inference = Inference(found.export(), found.settings, "cpu")
        items = np.array([[12, 0, -1, -1]], np.int32)
        user = inference.users(after(0)._replace(items=items))
        bought, viewed = inference.items(np.array([1, 2], np.int32)) @ user[0]
        return float(bought - viewed)

    assert liking(1.0) > liking(0.0) + 0.01


def test_learning_goes_on_elsewhere_as_it_would_have_here(
    interactions: Make, attributes: MakeAttributes
) -> None:
    one, other = (learner(attributes, replay_share=0.0, n_negatives=1_000, propagation=0.0) for _ in range(2))
    one.observe(interactions(list(rounds(100)), term=3, segment=1))
    one.observe(interactions(list(rounds(100)), term=3, segment=1), learn=False)  # none waits
    other.load({name: array.copy() for name, array in one.state().items()})
    same_places(one, other)
    assert (other.n_examples, other.loss) == (one.n_examples, one.loss)
    for found in (one, other):
        found._waiting.clear()
        found._histories = type(found._histories)(500, 4, InterestSettings())
        found.observe(interactions(list(rounds(64, 2)), term=3, segment=1))
    same_places(one, other)


def same_places(one: Learner, other: Learner) -> None:
    a, b = one.export(), other.export()
    order = [np.argsort(e.items) for e in (a, b)]
    assert a.items[order[0]].tolist() == b.items[order[1]].tolist()
    np.testing.assert_allclose(a.vectors[order[0]], b.vectors[order[1]], atol=1e-5)
    np.testing.assert_allclose(a.query_vectors, b.query_vectors, atol=1e-5)
    for name, weight in a.weights.items():
        np.testing.assert_allclose(weight, b.weights[name], atol=1e-5)


def test_forgotten_items_leave_no_trace(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes)
    found.observe(interactions(list(rounds(100))))
    gone = np.array([1, 2, 30], np.int32)
    found.forget(gone)
    assert not set(gone.tolist()) & set(found.export().items.tolist())
    left = found._replay.of(np.arange(found.n_kept))
    assert not np.isin(left.sequences.items, gone).any()
    assert not np.isin(left.item, gone).any()
    assert (left.sequences.items[:, 0] >= 0).all()
    assert found._replay.counts.sum() == len(left.item)
    found.observe(interactions(list(rounds(20, 2))))  # the index is another item's by now
    assert set(gone.tolist()) <= set(found.export().items.tolist())


def test_memory_is_bounded(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes, replay=256, max_users=16)
    found.observe(interactions(list(rounds(200))))
    before = found.size_bytes
    found.observe(interactions(list(rounds(200, 2))))
    assert found.size_bytes == before
    assert found.n_kept == 256


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
class TestInference:
    @pytest.fixture
    def found(self, encoder: str, interactions: Make, attributes: MakeAttributes) -> Learner:
        made = learner(attributes, encoder=encoder, dropout=0.2)
        made.observe(interactions(list(rounds(100)), term=3, segment=1))
        return made

    def test_a_user_does_not_depend_on_the_others(self, found: Learner) -> None:
        inference = Inference(found.export(), found.settings, "cpu")
        full = Sequences(
            np.array([[4, 3, 2, 1]], np.int32),
            np.array([[0.0, 5.0, 1e4, 1e9]], np.float32),
            np.array([[4, 1, 0, 0]], np.uint8),
            np.array([3], np.int32),
            np.array([1], np.int32),
        )
        empty = Sequences(
            np.full((1, 4), -1, np.int32),
            np.zeros((1, 4), np.float32),
            np.zeros((1, 4), np.uint8),
            np.full(1, -1, np.int32),
            np.full(1, -1, np.int32),
        )
        pasts = [full, empty, after(3), full._replace(query=np.array([99], np.int32)), after(N + 3)]
        together = inference.users(Sequences(*(np.concatenate(c) for c in zip(*pasts, strict=True))))
        alone = np.concatenate([inference.users(past) for past in pasts])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
        assert np.abs(together[0] - together[3]).max() > 1e-3  # the query counts

    def test_no_users_and_no_items_are_no_error(self, found: Learner) -> None:
        inference = Inference(found.export(), found.settings, "cpu")
        assert inference.users(after(0).of(slice(0, 0))).shape == (0, 16)
        assert inference.items(np.zeros(0, np.int32)).shape == (0, 16)

    def test_an_export_survives_as_named_arrays(self, found: Learner) -> None:
        exported = found.export()
        again = Exported.of_arrays(exported.arrays())
        one, other = (Inference(e, found.settings, "cpu") for e in (exported, again))
        assert (one.users(after(7)) == other.users(after(7))).all()
        assert (
            one.items(np.array([7, -1, N + 3], np.int32)) == other.items(np.array([7, -1, N + 3], np.int32))
        ).all()
        assert not one.items(np.array([-1, N + 3], np.int32)).any()
        assert one.rows(np.array([0, -1, 10_000], np.int32)).tolist() == [0, -1, -1]

    def test_an_empty_model_answers(self, encoder: str, attributes: MakeAttributes) -> None:
        exported = learner(attributes, encoder=encoder).export()
        assert len(exported.items) == 0
        users = Inference(exported, SMALL.model_copy(update={"encoder": encoder}), "cpu").users(after(1))
        assert np.linalg.norm(users, axis=1) == pytest.approx([1.0], abs=1e-5)


def test_served_items_stand_nearer_to_what_follows_them_than_was_learned(
    attributes: MakeAttributes, interactions: Make
) -> None:
    drawn, plain = (learner(attributes, propagation=share) for share in (0.35, 0.0))
    for each in (drawn, plain):
        each.observe(interactions(list(rounds(50))))

    def nearness(of: Learner) -> float:
        vectors = of.export().vectors
        return float((vectors[:-1] * vectors[1:]).sum(axis=1).mean())

    assert nearness(drawn) > nearness(plain) + 0.1
    drawn.forget(np.arange(N, dtype=np.int32))
    assert drawn.export().items.tolist() == []


def test_the_step_size_rises_and_falls() -> None:
    assert schedule(0.0, 0.1) < 0.02
    assert schedule(0.1, 0.1) == pytest.approx(1.0)
    assert schedule(0.55, 0.1) == pytest.approx(0.5)
    assert schedule(1.0, 0.1) == pytest.approx(0.0)


def test_fitting_nothing_changes_nothing(attributes: MakeAttributes) -> None:
    found = learner(attributes)
    before = found.export().weights
    epochs: list[Epoch] = []
    found.fit(epochs.append)
    assert [epoch.n_examples for epoch in epochs] == [0] * SMALL.epochs
    assert all((weight == before[name]).all() for name, weight in found.export().weights.items())


def test_the_seed_alone_decides_the_first_weights(attributes: MakeAttributes) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, other, third = (learner(attributes, seed=seed).export() for seed in (1, 1, 2))
    Inference(one, SMALL, "cpu")
    assert torch.rand(1) == expected  # the global generator is left alone
    assert all((weight == other.weights[name]).all() for name, weight in one.weights.items())
    assert any((weight != third.weights[name]).any() for name, weight in one.weights.items())


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        EmbedSettings(encoder="transformer", dim=10, heads=4)


def test_items_that_nobody_took_are_pushed_away_as_well(
    interactions: Make, attributes: MakeAttributes
) -> None:
    """Half of a category sells, the other half never does: to know them from each other, both must be told of."""
    known = attributes(N + 4)
    known.category[:N] = 7
    found = Learner(SMALL.model_copy(update={"unseen_share": 1.0}), N + 4, known, InterestSettings(), "cpu")
    rows = [(u + 1, (3 * u + s) % (N // 2), 10.0 * s) for u in range(300) for s in range(5)]
    found.observe(interactions(rows), learn=False)
    found.fit()
    inference = Inference(found.export(), found.settings, "cpu")
    users = inference.users(after(5))
    scores = (users @ inference.items(np.arange(N, dtype=np.int32)).T)[0]
    assert scores[: N // 2].mean() > scores[N // 2 :].mean() + 0.1


def test_items_without_a_row_are_negatives_by_turns(interactions: Make, attributes: MakeAttributes) -> None:
    known = attributes(N)
    known.category[:] = 7
    settings = SMALL.model_copy(update={"unseen_share": 0.25})
    found = Learner(settings, N, known, InterestSettings(), "cpu")
    found.observe(interactions([(u + 1, u % 30, float(u)) for u in range(60)]), learn=False)
    drawn = [set(found._batcher._drawn_from().tolist()) for _ in range(4)]
    seen, unseen = set(range(30)), set(range(30, N))
    assert all(each >= seen for each in drawn)
    assert [len(each & unseen) for each in drawn] == [8, 8, 8, 8]
    assert set.union(*drawn) == seen | unseen


def test_forgotten_items_are_not_read_any_more(interactions: Make, attributes: MakeAttributes) -> None:
    found = learner(attributes)
    found.observe(interactions(list(rounds(60))))
    inference = Inference(found.export(), found.settings, "cpu")
    before = inference.users(after(7))
    inference.forget(np.array([7, N + 3, 10_000], np.int32))
    assert not inference.items(np.array([7], np.int32)).any()
    assert np.abs(inference.users(after(7)) - before).max() > 1e-3
