"""Two real processes that talk by gloo."""

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from models.embed.learner import Learner
from models.embed.parallel import Leader, help_out
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import Interactions

N = 40
SETTINGS = EmbedSettings(
    dim=16,
    length=5,
    n_negatives=16,
    batch_size=64,
    online_batch=64,
    dropout=0.0,
    id_dropout=0.0,
    attribute_dropout=0.0,
    min_count=1,
    max_users=500,
    replay=4_096,
    given_dim=6,
)


def shoppers() -> Interactions:
    """Who look at items in a ring and buy every fourth thing."""
    rng = np.random.default_rng(4)
    first = rng.integers(0, N, 200)
    steps = np.arange(8)
    n = 200 * 8
    return Interactions(
        user=np.repeat(np.arange(1, 201, dtype=np.uint64), 8),
        session=np.zeros(n, np.uint64),
        item=((first[:, None] + steps) % N).astype(np.int32).ravel(),
        kind=np.where(np.tile(steps, 200) % 4 == 3, Kind.PURCHASE, Kind.VIEW).astype(np.uint8),
        time_s=np.tile(steps * 7.0, 200),
        term=np.repeat(rng.integers(-1, 3, 200), 8).astype(np.int32),
        segment=np.zeros(n, np.int32),
    )


def learned(attributes: Attributes, crew: Leader | None = None) -> Learner:
    learner = Learner(SETTINGS, N, attributes, InterestSettings(), "cpu", crew)
    for item, vector in enumerate(np.random.default_rng(6).normal(size=(N // 2, 6))):
        learner.give(item, vector.tolist())
    learner.observe(shoppers())
    return learner


def meet(rank: int, file: str, n: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=n, timeout=timedelta(60)
    )


def helper(rank: int, file: str, n: int, steps: "multiprocessing.Queue[int]") -> None:
    meet(rank, file, n)
    steps.put(help_out(SETTINGS, "cpu"))
    dist.destroy_process_group()


@pytest.mark.parametrize("n", [2, 3])
def test_several_processes_learn_what_one_learns(
    n: int, tmp_path: Path, attributes: Callable[[int], Attributes]
) -> None:
    alone = learned(attributes(N))
    context, file = multiprocessing.get_context("spawn"), str(tmp_path / "meeting")
    steps: multiprocessing.Queue[int] = context.Queue()
    helpers = [context.Process(target=helper, args=(rank, file, n, steps)) for rank in range(1, n)]
    for each in helpers:
        each.start()
    meet(0, file, n)
    try:
        crew = Leader(SETTINGS, "cpu")
        together = learned(attributes(N), crew)
        crew.close()
        worked = [steps.get(timeout=60) for _ in helpers]
    finally:
        dist.destroy_process_group()
        for each in helpers:
            each.join(60)
    assert worked == [worked[0]] * len(helpers)
    assert worked[0] > 3
    one, other = alone.export(), together.export()
    np.testing.assert_allclose(one.vectors, other.vectors, atol=2e-3)
    for name, weight in one.weights.items():
        np.testing.assert_allclose(weight, other.weights[name], atol=2e-3)
    assert together.loss == pytest.approx(alone.loss, rel=1e-3)
    assert [each.exitcode for each in helpers] == [0] * len(helpers)
