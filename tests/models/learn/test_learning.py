from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interest.settings import InterestSettings
from models.kinds import Kind
from models.knowledge.vocabulary import Vocabulary
from models.learn.groups import Groups
from models.learn.join import Joined, Label
from models.learn.judge import judge
from models.learn.learning import CHAMPION, MAX_WEIGHT, Learning
from models.learn.ledger import Ledger
from models.learn.listwise import Listwise
from models.learn.of_river import OfRiver
from models.learn.settings import DriftSettings, Estimator, LearnSettings, Reaction
from models.rank.features import VERSION, feature_names
from models.rank.settings import RankSettings

Toy = Callable[..., Groups]

SOURCES = ["knn"]
SETTINGS = LearnSettings(max_pending=16, kept=8)
TRUTH = (3, -2, 1, 0, 0)
NO_DRIFT = DriftSettings(enabled=False)


def made(**changed: Any) -> Learning:
    """A worker with other settings than these tests' own."""
    of = SETTINGS.model_copy(update=changed)
    return Learning(of, RankSettings(), InterestSettings(), SOURCES, Vocabulary(8), "d")


@pytest.fixture
def worker() -> Callable[[], Learning]:
    return made


def outcomes(
    toy: Toy, n: int, seed: int, sampled: int = 1, partition: int = 0, truth: Sequence[float] = TRUTH
) -> Joined:
    """Choices among all candidates, of which the source's first columns tell which."""
    found = toy(n, seed=seed, truth=truth)
    wide = np.zeros((*found.x.shape[:2], len(feature_names(SOURCES))), np.int16)
    wide[:, :, : found.x.shape[2]] = found.x
    groups = found._replace(x=wide, sampled=np.full(n, sampled, np.uint8))
    labels = [
        Label(0, int(target), Kind.VIEW, 1, 1.0, False, False, 1, partition, 0) for target in groups.target
    ]
    return Joined(labels, groups, list(range(n)))


def test_lists_are_handed_on_with_the_chances_of_their_places(toy: Toy) -> None:
    joined = outcomes(toy, 2, seed=1)
    from_a_slate = joined.labels[0]._replace(attributed=True)
    joined = joined._replace(labels=[from_a_slate, joined.labels[1]])
    learned = made(examination=(1.0, 0.5, 0.25)).learn(joined, 0)
    assert learned.joined.groups.chances[0, :4] == pytest.approx([1.0, 0.5, 0.25, 0.25])
    assert learned.joined.groups.chances[1].tolist() == [1.0] * 8
    assert learned.joined.groups.weight.tolist() == joined.groups.weight.tolist()


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


def loss(groups: Groups, weights: np.ndarray) -> float:
    """Mean over the lists, nats."""
    return float(judge(groups, weights.astype(np.float32)).loss.mean())


def test_two_workers_that_hear_each_other_learn_as_much_as_one_that_sees_all(toy: Toy) -> None:
    workers, alone = [made(challengers=()), made(challengers=())], made(challengers=())
    for turn in range(20):
        halves = [outcomes(toy, 50, 100 * turn + p, partition=p) for p in (0, 1)]
        for learning, half in zip(workers, halves, strict=True):
            learning.learn(half, turn)
            alone.learn(half, turn)
        records = [record for learning in workers for record in learning.records()]
        for learning in workers:
            for record in records:
                learning.heard(*record)
    one, other = (learning.scorer.weights for learning in workers)
    assert one.tobytes() == other.tobytes()
    held_out = outcomes(toy, 2_000, seed=9_999).groups
    # Eight alike lose log 8 = 2.08 nats; both come within 0.02 nats of one another.
    assert loss(held_out, alone.scorer.weights) < 1.4
    assert loss(held_out, one) == pytest.approx(loss(held_out, alone.scorer.weights), abs=0.02)


class TestContest:
    """FTRL serves and learns nothing, since no user is sampled; the listwise scorer learns beside it."""

    def rivals(self) -> Learning:
        return made(champion="ftrl", challengers=("listwise",), drift=NO_DRIFT)

    def test_a_better_challenger_is_promoted_once_and_told(self, toy: Toy) -> None:
        learning = self.rivals()
        served = learning.scorer.weights
        told = []
        for turn in range(12):
            learned = learning.learn(outcomes(toy, 100, turn, sampled=0), turn)
            assert learned.champion == ("ftrl" if turn < 5 else "listwise")
            told += [(turn, *happening) for happening in learned.happenings]
        # Fewer than 500 lists decide nothing; FTRL, challenger now, never comes back.
        ((turn, kind, estimator, detail),) = told
        assert (turn, kind, estimator) == (4, "promotion", "listwise")
        assert detail.startswith("NDCG +0.3")
        assert detail.endswith(" on 500 lists against ftrl")
        assert learning.model_version == f"listwise-v{VERSION}-d+1200"
        assert (learning.scorer.weights != served).any()

    def test_only_the_worker_that_leads_promotes_and_the_others_follow_its_record(self, toy: Toy) -> None:
        leader, follower = self.rivals(), self.rivals()
        follower.leads = False
        for turn in range(6):
            assert follower.learn(outcomes(toy, 100, turn, sampled=0, partition=1), turn).happenings == []
            leader.learn(outcomes(toy, 100, 50 + turn, sampled=0, partition=0), turn)
        assert (leader.champion, follower.champion) == ("listwise", "ftrl")
        assert [key for key, _ in follower.records()] == [b"part/listwise/1"]
        records = leader.records()
        assert [key for key, _ in records] == [CHAMPION, b"part/listwise/0"]
        for record in records:
            follower.heard(*record)
        assert follower.model_version == f"listwise-v{VERSION}-d+1200"
        assert follower.scorer.weights.tobytes() == follower.estimators["listwise"].weights.tobytes()
        assert follower.contests["ftrl"].n == 0  # who may take over is asked anew

    def test_an_equal_challenger_is_not_promoted(self, toy: Toy) -> None:
        learning = made(champion="ftrl", challengers=("sgd",), drift=NO_DRIFT)
        for turn in range(10):
            assert learning.learn(outcomes(toy, 100, turn, sampled=0), turn).happenings == []

    @pytest.mark.parametrize("value", [b"", b"\x93", b"\x92\x05\xa6nobody"])
    def test_a_reign_that_cannot_be_read_or_of_nobody_known_changes_nothing(self, value: bytes) -> None:
        learning = self.rivals()
        learning.heard(CHAMPION, value)
        assert learning.champion == "ftrl"


NAMES: tuple[Estimator, ...] = ("listwise", "ftrl", "adagrad", "sgd", "fixed")
decisions = st.lists(st.sampled_from(NAMES), max_size=3)


@given(decisions, decisions, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_workers_that_all_thought_they_led_come_to_one_champion_in_any_order_of_hearing(
    ours: list[str], theirs: list[str], chance: Any
) -> None:
    one, other, follower = (made(challengers=NAMES, drift=NO_DRIFT) for _ in range(3))
    follower.leads = False
    for leader, names in ((one, ours), (other, theirs)):
        for name in names:
            leader.promote(name)
    log, heard = one.records() + other.records(), 0
    while heard < len(log):
        news, heard = log[heard:], len(log)
        for worker in (one, other, follower):
            shuffled = news * 2
            chance.shuffle(shuffled)
            for record in shuffled:
                worker.heard(*record)
            log += worker.records()
        assert len(log) < 100, "they never come to rest"
    reigns = [(0, "listwise"), *enumerate(ours, 1), *enumerate(theirs, 1)]
    assert {worker.champion for worker in (one, other, follower)} == {max(reigns)[1]}
    # A worker that starts now hears only what a compacted topic keeps: the last decision written.
    late = made(challengers=NAMES, drift=NO_DRIFT)
    for record in log[-1:]:
        late.heard(*record)
    assert late.champion == one.champion


def test_what_learning_does_not_better_takes_over_and_is_told_to_nobody(toy: Toy) -> None:
    """The fixed weights name the source's score, as shoppers here do in the end; learning follows slowly."""
    learning = made(challengers=("fixed",), drift=NO_DRIFT, rate=0.02)
    first, score = learning.scorer.weights, learning.names.index("knn.score")
    for turn in range(20):
        learning.learn(outcomes(toy, 200, turn, truth=(0, -3, 0, 0, 0)), turn)
    assert learning.champion == "listwise"
    assert learning.scorer.weights[score] < 0.0 < first[score]
    learning.promote("listwise")  # the count begins anew
    told = []
    for turn in range(10):
        told += learning.learn(outcomes(toy, 200, 100 + turn, truth=(0, 3, 0, 0, 0)), turn).happenings
    assert [(kind, estimator) for kind, estimator, _ in told] == [("promotion", "fixed")]
    assert learning.scorer.weights.tolist() == first.tolist()
    assert learning.model_version == f"fixed-v{VERSION}-d+0"
    assert not any(key.startswith(b"part/fixed") for key, _ in learning.records())


class TestDrift:
    BEFORE, AFTER = (3, 0, -2, 0, 0), (-3, 0, 2, 0, 0)

    def learned(self, toy: Toy, seed: int, reactions: tuple[Reaction, ...]) -> Learning:
        """One that has seen 4,000 lists of what was wanted before."""
        learning = made(challengers=(), drift=DriftSettings(reactions=reactions))
        for turn in range(20):
            found = learning.learn(outcomes(toy, 200, 1_000 * seed + turn, truth=self.BEFORE), turn)
            assert found.happenings == []
        return learning

    def lists_to_recover(self, toy: Toy, seed: int, reactions: tuple[Reaction, ...]) -> int:
        """Until the loss is within 0.1 nats of that of the truth, in steps of 50."""
        learning, told = self.learned(toy, seed, reactions), list[str]()
        held_out = outcomes(toy, 1_000, 1_000 * seed + 999, truth=self.AFTER).groups
        truth = np.zeros(len(learning.names))
        truth[:5] = self.AFTER
        for turn in range(40):
            new = outcomes(toy, 50, 1_000 * seed + 100 + turn, truth=self.AFTER)
            told += [happening.kind for happening in learning.learn(new, turn).happenings]
            if loss(held_out, learning.scorer.weights) < loss(held_out, truth) + 0.1:
                assert told == ["drift"]
                return 50 * (turn + 1)
        raise AssertionError("never recovered")

    def test_larger_steps_recover_in_fewer_lists(self, toy: Toy) -> None:
        """200, 200 and 250 lists against 500, 500 and 550."""
        for seed in (1, 2, 3):
            faster = self.lists_to_recover(toy, seed, ("faster",))
            assert faster <= 300
            assert faster < 0.6 * self.lists_to_recover(toy, seed, ())

    def test_challengers_start_afresh_everywhere(self, toy: Toy) -> None:
        leader, follower = (made(drift=DriftSettings(reactions=("reset",))) for _ in range(2))
        follower.leads = False
        first = leader.estimators["ftrl"].weights
        for turn in range(10):
            for partition, learning in enumerate((leader, follower)):
                learning.learn(
                    outcomes(toy, 100, 10 * turn + partition, partition=partition, truth=self.BEFORE), turn
                )
        for record in leader.records() + follower.records():
            follower.heard(*record)
            leader.heard(*record)
        assert (follower.estimators["ftrl"].weights != first).any()
        told = leader.learn(outcomes(toy, 50, 500, sampled=0, truth=self.AFTER), 10).happenings
        assert [(kind, estimator) for kind, estimator, _ in told] == [
            ("drift", "listwise"),
            ("reset", "ftrl"),
        ]
        for record in leader.records():
            follower.heard(*record)
        for learning in (leader, follower):
            assert learning.estimators["ftrl"].weights.tolist() == pytest.approx(first.tolist())
            assert learning.ledger.n_learned("ftrl") == 0
            assert learning.contests["ftrl"].n <= 50  # those lists themselves
            assert learning.ledger.n_learned("listwise") == 2_050

    def test_a_follower_tells_of_it_and_leaves_the_reaction_to_the_leader(self, toy: Toy) -> None:
        follower = self.learned(toy, 1, ("faster", "reset"))
        follower.leads = False
        before = follower.estimators["listwise"].parameters()["squares"]
        told = follower.learn(outcomes(toy, 50, 500, truth=self.AFTER), 20).happenings
        assert [happening.kind for happening in told] == ["drift"]
        assert (follower.estimators["listwise"].parameters()["squares"] >= before).all()


class Poisoned(Listwise):
    """Learns, and then adds ``poison`` to its weights or squares."""

    def __init__(self, first: np.ndarray, poison: float, of: str = "_w") -> None:
        super().__init__(first.astype(np.float32), rate=0.5)
        self._poison, self._of = poison, of

    def learn(self, groups: Groups) -> None:
        super().learn(groups)
        getattr(self, self._of)[0] += self._poison


class TestPoison:
    def finite(self, ledger: Ledger) -> bool:
        return all(np.isfinite(values).all() for values in ledger.total("listwise").values())

    @pytest.mark.parametrize(
        ("poison", "of", "reason"),
        [
            (np.nan, "_w", "a parameter is no number any more"),
            (np.inf, "_w", "a parameter is no number any more"),
            (2.0 * MAX_WEIGHT, "_w", "a weight grew beyond 100"),
            (-60.0, "_w", "the loss of the lists just learned rose by "),
            (np.nan, "_squares", "a parameter is no number any more"),
        ],
    )
    def test_it_is_rolled_back_and_told_and_the_last_good_weights_serve(
        self, toy: Toy, poison: float, of: str, reason: str
    ) -> None:
        learning = made(challengers=(), drift=NO_DRIFT)
        learning.learn(outcomes(toy, 100, seed=1), 0)
        good, records = learning.scorer.weights, learning.records()
        sound = learning.estimators["listwise"]
        poisoned = Poisoned(good, poison, of)
        poisoned.load(sound.parameters())
        learning.estimators["listwise"] = poisoned
        for turn in (1, 2):
            ((kind, estimator, told),) = learning.learn(outcomes(toy, 50, seed=turn + 1), turn).happenings
            assert (kind, estimator) == ("rollback", "listwise")
            assert told.startswith(reason)
        assert learning.scorer.weights.tobytes() == good.tobytes()
        assert learning.model_version.endswith("+100")
        assert np.isfinite(learning.scorer.deviations).all()
        assert self.finite(learning.ledger)
        assert learning.records() == []
        assert poisoned.parameters()["weights"] == pytest.approx(sound.parameters()["weights"])
        # What it has told before still is what another worker starts from.
        other = made(challengers=(), drift=NO_DRIFT)
        for record in records:
            other.heard(*record)
        assert other.scorer.weights.tobytes() == good.tobytes()
        # Sound again, it goes on.
        learning.estimators["listwise"] = sound
        assert learning.learn(outcomes(toy, 50, seed=9), 3).happenings == []
        assert learning.model_version.endswith("+150")

    def test_a_poisoned_challenger_leaves_the_champion_alone(self, toy: Toy) -> None:
        class Spoilt(OfRiver):
            def learn(self, groups: Groups) -> None:
                super().learn(groups)
                self._model._weights["always"] = np.nan

        learning = made(drift=NO_DRIFT)
        first = learning.estimators["ftrl"].weights
        spoilt = Spoilt("ftrl", first, learning.names, negatives=3)
        learning.estimators["ftrl"] = spoilt
        told = learning.learn(outcomes(toy, 50, seed=1), 0).happenings
        assert [(kind, estimator) for kind, estimator, _ in told] == [("rollback", "ftrl")]
        assert spoilt.weights == pytest.approx(first)
        assert [key for key, _ in learning.records()] == [b"part/listwise/0"]
        assert learning.model_version == f"listwise-v{VERSION}-d+50"

    def test_what_one_partition_teaches_may_be_poison_while_the_others_is_not(self, toy: Toy) -> None:
        class Second(Poisoned):
            def learn(self, groups: Groups) -> None:
                poison, self._poison = self._poison, 0.0 if len(groups.n) == 30 else self._poison
                super().learn(groups)
                self._poison = poison

        learning = made(challengers=(), drift=NO_DRIFT)
        learning.estimators["listwise"] = Second(learning.scorer.weights, np.nan)
        sound, poison = outcomes(toy, 30, seed=1, partition=4), outcomes(toy, 20, seed=2, partition=5)
        one, other = sound.groups, poison.groups
        groups = Groups._make(np.concatenate([a, b]) for a, b in zip(one, other, strict=True))
        learned = learning.learn(Joined(sound.labels + poison.labels, groups, list(range(50))), 0)
        assert [happening.kind for happening in learned.happenings] == ["rollback"]
        assert [key for key, _ in learning.records()] == [b"part/listwise/4"]
        assert learning.model_version.endswith("+30")

    def test_a_poisoned_record_of_another_worker_is_not_taken_in(self, toy: Toy) -> None:
        learning = made(challengers=(), drift=NO_DRIFT)
        learning.learn(outcomes(toy, 50, seed=1), 0)
        good = learning.scorer.weights
        other = made(challengers=(), drift=NO_DRIFT)
        nothing = other.estimators["listwise"].parameters()
        other.ledger.add("listwise", 7, {name: np.full_like(v, np.nan) for name, v in nothing.items()}, 9)
        for record in other.records():
            learning.heard(*record)
        assert learning.scorer.weights.tobytes() == good.tobytes()
        assert learning.ledger.n_foreign == 1


class TestRefresh:
    def test_what_was_learned_serves_at_once_by_default(self, toy: Toy) -> None:
        learning = made(challengers=())
        before = learning.scorer.weights
        learning.learn(outcomes(toy, 20, seed=1), 1)
        assert (learning.scorer.weights != before).any()
        assert learning.model_version == f"listwise-v{VERSION}-d+20"

    def test_it_serves_only_after_that_time_and_the_version_counts_what_serves(self, toy: Toy) -> None:
        learning, start_ms = made(challengers=(), refresh_s=60.0), 1_700_000_000_000
        learning.learn(outcomes(toy, 20, seed=0), start_ms)  # the first time is always due
        served = learning.scorer.weights
        assert learning.model_version.endswith("+20")
        for seed, at_ms in enumerate((1_000, 30_000, 59_999), 1):
            learning.learn(outcomes(toy, 20, seed), start_ms + at_ms)
            assert learning.scorer.weights.tobytes() == served.tobytes()
            assert learning.model_version.endswith("+20")
        assert (learning.estimators["listwise"].weights != served).any()
        learning.learn(outcomes(toy, 20, seed=5), start_ms + 60_000)
        assert learning.scorer.weights.tobytes() == learning.estimators["listwise"].weights.tobytes()
        assert learning.model_version.endswith("+100")

    def test_what_others_learned_waits_as_well(self, toy: Toy) -> None:
        learning, other = made(challengers=(), refresh_s=60.0), made(challengers=())
        learning.learn(outcomes(toy, 20, seed=0), 1_000_000)
        other.learn(outcomes(toy, 20, seed=1, partition=1), 1_000_000)
        for record in other.records():
            learning.heard(*record)
        assert learning.model_version.endswith("+20")
        learning.learn(outcomes(toy, 5, seed=2), 1_060_000)
        assert learning.model_version.endswith("+45")
