from collections.abc import Callable

import numpy as np
import pytest

from models.embed.inference import Inference
from models.embed.learner import Learner
from models.embed.sequences import Sequences
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.attributes import Attributes
from models.retrieve.contract import F32, Interactions

N = 20
SETTINGS = EmbedSettings(
    dim=16, length=4, min_count=1, max_users=1_000, replay=10_000, batch_size=64, epochs=8, held_out=0.0
)


def shoppers(seed: int) -> Interactions:
    """Who go on to any item; the upper half are bought half of the time, and held them for a minute and not for 3 s."""
    rng = np.random.default_rng(seed)
    n_users, steps = 400, 6
    items = rng.integers(0, N, (n_users, steps))
    stays = np.where(items >= N // 2, 60.0, 3.0)
    bought = (items >= N // 2) & (rng.random(items.shape) < 0.5)
    n = items.size
    return Interactions(
        user=np.repeat(np.arange(n_users, dtype=np.uint64) + 1_000 * seed, steps),
        session=np.zeros(n, np.uint64),
        item=items.astype(np.int32).ravel(),
        kind=np.where(bought, Kind.PURCHASE, Kind.VIEW).astype(np.uint8).ravel(),
        time_s=(np.cumsum(stays, axis=1) - stays).ravel(),
        term=np.full(n, -1, np.int32),
        segment=np.full(n, -1, np.int32),
    )


@pytest.fixture(scope="module")
def answers() -> Callable[[float], F32]:
    def of(task_weight: float) -> F32:
        """(2, N) log odds of a purchase, and log(1 + seconds) of a stay, of a user who has seen one item."""
        attributes = Attributes(
            np.full(N, -1, np.int32),
            np.full(N, -1, np.int32),
            np.full(N, np.nan, np.float32),
            np.ones(N, np.uint8),
            np.zeros(N),
            np.zeros(N, np.float32),
        )
        settings = SETTINGS.model_copy(update={"task_weight": task_weight, "propagation": 0.0})
        learner = Learner(settings, N, attributes, InterestSettings(), "cpu")
        learner.observe(shoppers(1), learn=False)
        learner.fit()
        inference = Inference(learner.export(), settings, "cpu")
        none = np.full(1, -1, np.int32)
        past = Sequences(
            np.array([[3, -1, -1, -1]], np.int32),
            np.zeros((1, 4), np.float32),
            np.array([[1, 0, 0, 0]], np.uint8),
            none,
            none,
        )
        vectors = inference.users_and_tasks(past)[0, 1:]
        return vectors @ inference.items(np.arange(N, dtype=np.int32)).T + inference.usual[:, None]

    return of


def test_purchases_are_foretold_as_often_as_they_come(answers: Callable[[float], F32]) -> None:
    chance = 1.0 / (1.0 + np.exp(-answers(1.0)[0]))
    assert chance[N // 2 :].mean() == pytest.approx(0.5, abs=0.12)
    assert chance[: N // 2].mean() < 0.1


def test_stays_are_foretold(answers: Callable[[float], F32]) -> None:
    log_s = answers(1.0)[1]
    assert log_s[N // 2 :].mean() == pytest.approx(np.log(61.0), abs=0.5)
    assert log_s[: N // 2].mean() == pytest.approx(np.log(4.0), abs=0.5)


def test_tasks_that_count_nothing_learn_nothing(answers: Callable[[float], F32]) -> None:
    assert abs(answers(0.0)[1].mean()) < 1.0
