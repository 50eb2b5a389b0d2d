"""A scorer that does without a source or signal: the same everywhere, and it serves only when it is surely better."""

from collections.abc import Callable, Iterable
from itertools import permutations

import numpy as np
import pytest

from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.vocabulary import Vocabulary
from models.learn.groups import Groups
from models.learn.join import Joined, Label
from models.learn.learning import Learning
from models.learn.settings import ContestSettings, DriftSettings, LearnSettings
from models.learn.without import Without, columns_kept, name_of
from models.rank.features import feature_names
from models.rank.settings import RankSettings

Toy = Callable[..., Groups]
Records = list[tuple[bytes, bytes]]

SOURCES = ["session_knn", "search"]
NAMES = feature_names(SOURCES)
NAME = name_of("source", "search")
SETTINGS = LearnSettings(max_pending=16, kept=8, challengers=(), drift=DriftSettings(enabled=False))


def worker(**changed: object) -> Learning:
    settings = SETTINGS.model_copy(update=changed)
    return Learning(settings, RankSettings(), InterestSettings(), SOURCES, Vocabulary(8), "d")


def lists(toy: Toy, n: int, seed: int, *, noise: float = 0.0) -> Joined:
    """Choices that the first source tells; what the second says is noise, or nothing."""
    found = toy(n, seed=seed, truth=(3, 2, 1, 0, 0))
    wide = np.zeros((*found.x.shape[:2], len(NAMES)), np.int16)
    wide[:, :, : found.x.shape[2]] = found.x
    loud = np.random.default_rng((seed, 1)).normal(0.0, noise * 8_192.0, found.x.shape[:2])
    wide[:, :, NAMES.index("search.score")] = loud.clip(-32_000, 32_000).astype(np.int16)
    labels = [Label(0, int(t), Kind.VIEW, 1, 1.0, False, False, 1, 0, 0) for t in found.target]
    groups = found._replace(x=wide, sampled=np.ones(n, np.uint8))
    return Joined(labels, groups, list(range(n)))


def hear(learning: Learning, records: Iterable[tuple[bytes, bytes]]) -> None:
    for key, value in records:
        learning.heard(key, value)


def test_it_reads_none_of_the_columns_that_need_the_player() -> None:
    kept = columns_kept(NAME, NAMES)
    assert kept is not None
    lost = [name for name, keep in zip(NAMES, kept.tolist(), strict=True) if not keep]
    assert lost == [name for name in NAMES if name.startswith("search.")]


@pytest.mark.parametrize(
    "name", ["listwise", "without-", "without-source", "without-source-moon", "search", "../x"]
)
def test_other_names_are_of_no_such_scorer(name: str) -> None:
    assert columns_kept(name, NAMES) is None


def test_what_it_does_without_has_no_weight_whatever_is_learned_or_loaded(toy: Toy) -> None:
    kept = columns_kept(NAME, NAMES)
    assert kept is not None
    scorer = Without(NAME, kept, np.ones(len(NAMES), np.float32), 0.5, 0.01)
    joined = lists(toy, 200, seed=1, noise=1.0)
    scorer.learn(joined.groups)
    assert scorer.weights[kept == 0].tolist() == [0.0] * int((kept == 0).sum())
    assert scorer.weights[0] != 1.0
    scorer.load({**scorer.parameters(), "weights": np.full(len(NAMES), 2.0)})
    assert np.array_equal(scorer.weights, 2.0 * kept)


def test_a_challenger_begins_where_the_champion_is_in_every_worker(toy: Toy) -> None:
    here, there = worker(), worker()
    here.learn(lists(toy, 300, seed=2), 0)
    here.try_without(NAME)
    records = here.records()
    hear(there, records)
    assert here.trials == there.trials == [NAME]
    assert np.array_equal(here.estimators[NAME].weights, there.estimators[NAME].weights)
    assert here.estimators[NAME].weights[0] == here.estimators["listwise"].weights[0]
    there.learn(lists(toy, 50, seed=3), 0)
    hear(here, there.records())
    assert np.allclose(here.estimators[NAME].weights, there.estimators[NAME].weights)


def test_a_challenger_that_is_given_up_is_gone_everywhere_and_may_come_again(toy: Toy) -> None:
    here, there = worker(), worker()
    here.try_without(NAME)
    hear(there, here.records())
    there.learn(lists(toy, 50, seed=3), 0)
    late = there.records()
    here.end_trial(NAME)
    hear(there, here.records())
    hear(here, late)  # what the other had learned of it before it heard
    assert here.trials == there.trials == []
    there.learn(lists(toy, 50, seed=4), 0)
    here.try_without(NAME)
    hear(there, here.records())
    assert here.trials == there.trials == [NAME]
    assert there.ledger.n_learned(NAME) == 0


def served(toy: Toy, learning: Learning, n: int, noise: float) -> list[str]:
    told = []
    for seed in range(n):
        told += learning.learn(lists(toy, 500, seed=100 + seed, noise=noise), 0).happenings
    return [each.estimator for each in told if each.kind == "promotion"]


def test_without_what_only_harms_it_takes_over_and_a_new_worker_knows(toy: Toy) -> None:
    learning = worker(rate=0.002)  # it would take long to learn that what counts at first is noise
    learning.try_without(NAME)
    records: Records = learning.records()
    assert served(toy, learning, 40, noise=1.5) == [NAME]
    assert (learning.champion, learning.scorer.weights[NAMES.index("search.score")]) == (NAME, 0.0)
    records += learning.records()
    newest = dict(records)
    for order in list(permutations(newest.items()))[:24]:
        other = worker(rate=0.002)
        hear(other, order)
        assert other.champion == NAME
        assert np.array_equal(other.estimators[NAME].weights, learning.estimators[NAME].weights)


def test_without_what_is_needed_it_never_does(toy: Toy) -> None:
    learning = worker()
    learning.try_without(name_of("source", "browse"))
    assert served(toy, learning, 10, noise=0.0) == []
    assert learning.champion == "listwise"


def test_what_dropping_may_lose_is_a_setting(toy: Toy) -> None:
    learning = worker(contest=ContestSettings(margin_without=-0.01))
    learning.try_without(NAME)
    assert served(toy, learning, 40, noise=0.0) == [NAME], "it reads nothing there: the two are equal"
    strict = worker()
    strict.try_without(NAME)
    assert served(toy, strict, 40, noise=0.0) == []
