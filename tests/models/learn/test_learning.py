from collections.abc import Callable

import numpy as np
import pytest

from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.vocabulary import Vocabulary
from models.learn.groups import Groups
from models.learn.join import Joined, Label
from models.learn.learning import Learning
from models.learn.settings import LearnSettings
from models.rank.features import feature_names
from models.rank.settings import RankSettings

Toy = Callable[..., Groups]

SOURCES = ["knn"]
SETTINGS = LearnSettings(max_pending=16, kept=8)


@pytest.fixture
def worker() -> Callable[[], Learning]:
    def made() -> Learning:
        return Learning(SETTINGS, RankSettings(), InterestSettings(), SOURCES, Vocabulary(8), "d")

    return made


def outcomes(toy: Toy, n: int, seed: int, sampled: int = 1, partition: int = 0) -> Joined:
    """Choices among all candidates, of which the source's first columns tell which."""
    found = toy(n, seed=seed)
    wide = np.zeros((*found.x.shape[:2], len(feature_names(SOURCES))), np.int16)
    wide[:, :, : found.x.shape[2]] = found.x
    groups = found._replace(x=wide, sampled=np.full(n, sampled, np.uint8))
    labels = [
        Label(0, int(target), Kind.VIEW, 1, 1.0, False, False, 1, partition, 0) for target in groups.target
    ]
    return Joined(labels, groups, list(range(n)))


def test_users_that_are_not_sampled_teach_rivers_learners_nothing(
    toy: Toy, worker: Callable[[], Learning]
) -> None:
    learning = worker()
    before = {name: estimator.weights for name, estimator in learning.estimators.items()}
    learning.learn(outcomes(toy, 20, seed=1, sampled=0), 0)
    assert (learning.estimators["ftrl"].weights == before["ftrl"]).all()
    assert (learning.estimators["listwise"].weights != before["listwise"]).any()
    assert [key for key, _ in learning.records()] == [b"part/listwise/0"]
    learning.learn(outcomes(toy, 20, seed=2, sampled=1), 0)
    assert (learning.estimators["ftrl"].weights != before["ftrl"]).any()


def test_workers_that_hear_each_other_come_to_the_same_weights(
    toy: Toy, worker: Callable[[], Learning]
) -> None:
    workers = [worker(), worker()]
    for turn in range(3):
        records = []
        for partition, learning in enumerate(workers):
            learning.learn(outcomes(toy, 20, seed=10 * turn + partition, partition=partition), turn)
            records += learning.records()
        for learning in workers:
            for record in reversed(records):
                learning.heard(*record)
    for name in ("listwise", "ftrl"):
        one, other = (learning.estimators[name].weights for learning in workers)
        assert one.tobytes() == other.tobytes()
    assert workers[0].model_version == workers[1].model_version
    assert workers[0].model_version.endswith("+120")


def test_what_was_learned_is_judged_before_it_is_learned(toy: Toy, worker: Callable[[], Learning]) -> None:
    learning = worker()
    first = learning.learn(outcomes(toy, 400, seed=1), 0).judged["listwise"]
    again = learning.learn(outcomes(toy, 400, seed=1), 0).judged["listwise"]
    assert again.loss.mean() < first.loss.mean()
