from collections.abc import Callable

import numpy as np
import pytest

from models.embed.exported import Exported
from models.embed.inference import Inference
from models.embed.jury import SHARES, Jury, gain
from models.embed.learner import Learner
from models.embed.settings import EmbedSettings
from models.interest.settings import InterestSettings
from models.knowledge.attributes import Attributes
from models.learn.contest import lower_bound
from models.retrieve.contract import Interactions

Make = Callable[..., Interactions]
MakeAttributes = Callable[[int], Attributes]
N = 40
SMALL = EmbedSettings(
    dim=16,
    length=4,
    n_negatives=32,
    batch_size=64,
    online_rate=0.01,
    dropout=0.0,
    min_count=1,
    max_rows=256,
    max_users=4_096,
    replay=8_192,
    jury_share=0.25,
    jury_examples=512,
)


def rounds(first: int, n_users: int) -> list[tuple[int, int, float]]:
    """Users spread over all shares, who look at neighbours in a ring."""
    return [
        (user * 4_099, (7 * user + step) % N, 10.0 * step)
        for user in range(first, first + n_users)
        for step in range(6)
    ]


def test_its_users_are_kept_apart_and_always_the_same(interactions: Make) -> None:
    jury = Jury(SMALL, N, InterestSettings())
    batch = interactions(rounds(1, 1_000))
    left = jury.apart(batch)
    below = int(0.25 * SHARES)
    assert (left.user % np.uint64(SHARES) >= below).all()
    n_ours = len(batch.user) - len(left.user)
    assert 0.2 < n_ours / len(batch.user) < 0.3
    assert len(jury) == 512  # the latest examples, five of each of its users


def test_no_jury_leaves_everything(interactions: Make) -> None:
    jury = Jury(SMALL.model_copy(update={"jury_share": 0.0}), N, InterestSettings())
    batch = interactions(rounds(1, 10))
    assert (jury.apart(batch).item == batch.item).all()
    assert len(jury) == 0


@pytest.fixture(scope="module")
def versions(interactions: Make) -> tuple[Jury, Exported, Exported]:
    """A jury, a model that has learned little, and one that has learned much."""
    attributes = Attributes(
        np.full(N, -1, np.int32),
        np.full(N, -1, np.int32),
        np.full(N, np.nan, np.float32),
        np.ones(N, np.uint8),
        np.zeros(N),
        np.zeros(N, np.float32),
    )
    jury, learner = (
        Jury(SMALL, N, InterestSettings()),
        Learner(SMALL, N, attributes, InterestSettings(), "cpu"),
    )
    learner.observe(jury.apart(interactions(rounds(1, 60))))
    little = learner.export()
    learner.observe(jury.apart(interactions(rounds(61, 1_500))))
    return jury, little, learner.export()


def test_it_prefers_what_has_learned_more(versions: tuple[Jury, Exported, Exported]) -> None:
    jury, little, much = versions
    worse, better = Inference(little, SMALL, "cpu"), Inference(much, SMALL, "cpu")
    gained = gain(jury.recent(), better, worse)
    assert gained.n == 512
    assert gained.total / gained.n > 0.1
    assert lower_bound(gained, 0.05) > 0.05
    lost = gain(jury.recent(), worse, better)
    assert lost.total == pytest.approx(-gained.total)


def test_a_version_gains_nothing_over_itself(versions: tuple[Jury, Exported, Exported]) -> None:
    jury, _, much = versions
    gained = gain(jury.recent(), Inference(much, SMALL, "cpu"), Inference(much, SMALL, "cpu"))
    assert (gained.total, gained.squares) == (0.0, 0.0)
