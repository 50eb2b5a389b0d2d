import numpy as np
import pytest
import torch

from models.embed.loss import contenders, sampled_softmax

N = 40
SCORES = np.random.default_rng(3).normal(0.0, 2.0, N).astype(np.float32)


def indexes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_one_row_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.0, 2.0]])
    found = sampled_softmax(scores, torch.tensor([0]), torch.log(torch.tensor([0.5, 0.25, 0.5])))
    # The target is there for sure; the others stand for 4 and 2 of their like.
    z = np.exp(1.0) + 4.0 * np.exp(0.0) + 2.0 * np.exp(2.0)
    assert found.tolist() == pytest.approx([-np.log(np.exp(1.0) / z)], rel=1e-5)


def test_a_small_catalogue_is_a_full_softmax() -> None:
    every = np.arange(N, dtype=np.int32)
    among = contenders(indexes(3, 7, 3), np.zeros(N, np.int64), every, N, np.random.default_rng(1))
    assert among.items.tolist() == every.tolist()
    assert not among.log_chance.any()
    scores = torch.from_numpy(np.tile(SCORES, (3, 1)))
    found = sampled_softmax(scores, torch.from_numpy(among.target), torch.from_numpy(among.log_chance))
    expected = [np.log(np.exp(SCORES).sum()) - SCORES[i] for i in (3, 7, 3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_an_item_that_is_drawn_and_a_target_is_there_once() -> None:
    among = contenders(
        indexes(2, 2, 5), np.ones(N, np.int64), np.arange(6, dtype=np.int32), 5, np.random.default_rng(1)
    )
    assert len(set(among.items.tolist())) == len(among.items)
    assert among.items[among.target].tolist() == [2, 2, 5]


def test_the_sum_over_the_catalogue_is_right_on_average() -> None:
    rng = np.random.default_rng(2)
    popularity = rng.dirichlet(np.full(N, 0.5))
    counts = np.round(popularity * 1e6).astype(np.int64)
    every = np.arange(N, dtype=np.int32)
    sums = []
    for _ in range(4_000):
        targets = rng.choice(N, 8, p=popularity).astype(np.int32)
        targets[0] = 0  # the row asked about: its target is no matter of chance
        among = contenders(targets, counts, every, 10, rng)
        scores = torch.from_numpy(SCORES[among.items])[None]
        loss = sampled_softmax(scores, torch.from_numpy(among.target[:1]), torch.from_numpy(among.log_chance))
        sums.append(float(np.exp(loss.item() + SCORES[0])))
    # 7 of the 8 targets are drawn by popularity and all 8 are counted: within a few percent.
    assert np.mean(sums) == pytest.approx(np.exp(SCORES).sum(), rel=0.05)
