"""The learn stage of one worker: slates served are remembered, outcomes teach every scorer, the champion serves.

Test, then learn: every list is judged by each scorer's weights of before it. What the scorers learned is kept by
partition in the ledger, so that workers can add up. Pure: who tells the others, and when, is the caller's.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.interest.settings import InterestSettings
from models.knowledge.vocabulary import Vocabulary
from models.learn.contest import Sums, wins
from models.learn.drift import LOSS, Change, Drift
from models.learn.estimator import Estimator, Parameters, added
from models.learn.examination import Examination
from models.learn.fixed import Fixed
from models.learn.groups import Groups
from models.learn.join import Joined, Joiner
from models.learn.judge import Judged, judge, ndcg
from models.learn.ledger import BASE, Ledger, scorer_of
from models.learn.listwise import Listwise
from models.learn.of_river import OfRiver
from models.learn.pending import Pending
from models.learn.settings import LearnSettings
from models.learn.without import Without, columns_kept
from models.rank.features import VERSION, feature_names
from models.rank.score import FixedWeights, Linear
from models.rank.settings import RankSettings
from models.rank.slate import Considered
from models.retrieve.contract import F32
from schemas.events import AnyEvent

MAX_WEIGHT: Final = 100.0
LARGE_STEP: Final = 0.5
MAX_RISE: Final = 1.0
"""A step that moves a weight by more than ``LARGE_STEP`` must not raise the loss of its own lists by this, nats."""


CHAMPION: Final = b"champion"
EXAMINATION: Final = "examination"
"""The chances of places are kept in the ledger like a scorer."""


class Reign(msgspec.Struct, array_like=True):
    """Which scorer serves, by the running number of the decision."""

    number: int
    estimator: str


class Happening(NamedTuple):
    """Something that an operator wants to know of: a drift, a promotion, a rollback."""

    kind: str
    estimator: str
    detail: str


class Learned(NamedTuple):
    """What a micro-batch of outcomes showed."""

    joined: Joined
    """With the chances of places."""
    judged: dict[str, Judged]
    """By scorer, row for row with the groups."""
    champion: str
    happenings: list[Happening]


class Learning:
    """Scorers over the features of ``sources``; words are looked up in ``items``, never added.

    ``digest`` stands for all settings, in the version of the model.
    """

    def __init__(
        self,
        settings: LearnSettings,
        rank: RankSettings,
        interest: InterestSettings,
        sources: Sequence[str],
        items: Vocabulary,
        digest: str,
    ) -> None:
        self.settings = settings
        self.names = feature_names(sources)
        first = self._first_weights = FixedWeights(rank).weights_of(self.names)
        self.pending = Pending(settings.max_pending, settings.kept, len(self.names))
        self._joiner = Joiner(self.pending, settings, interest, items.index)
        competing: dict[str, None] = dict.fromkeys((settings.champion, *settings.challengers))
        self.estimators = {name: _made(name, first, self.names, settings) for name in competing}
        self._weights = {name: estimator.weights for name, estimator in self.estimators.items()}
        self._first = {name: estimator.parameters() for name, estimator in self.estimators.items()}
        self.examination = Examination(settings.kept, settings.examination, settings.max_propensity_weight)
        bases = {**self._first, EXAMINATION: self.examination.parameters()}
        self.ledger = Ledger(self.names, bases)
        self.champion: str = settings.champion
        watched = [f"{source}.score" for source in sources]
        self._drift = Drift(settings.drift, self.names, watched) if settings.drift.enabled else None
        self.contests = {name: Sums() for name in self.estimators}
        """By challenger, since the champion changed; of this worker's partitions."""
        self.leads = True
        """Whether this worker decides on promotions and restarts; the others follow its records."""
        self._decided: list[tuple[bytes, bytes]] = []
        self._reigns = 0
        self._sources = list(sources)
        self._serve_champion()
        self._refreshed_ms = 0
        self._digest = f"v{VERSION}-{digest}"

    @property
    def scorer(self) -> Linear:
        """What serves."""
        return self._serving

    @property
    def model(self) -> str:
        """The champion's name with the version of features and settings: a label of few values."""
        return f"{self.champion}-{self._digest}"

    @property
    def model_version(self) -> str:
        """The model, and how many lists had been learned of what now serves."""
        return f"{self.model}+{self._n_serving}"

    def remember(
        self, slates: list[int], users: list[int], time_ms: np.ndarray, considered: Considered
    ) -> None:
        """Keep N slates that were served, named by the hashes of their ids, until their outcomes come."""
        self.pending.put(slates, users, time_ms, *considered)

    def join(self, events: Sequence[tuple[int, AnyEvent]]) -> Joined:
        """Find what (partition, event) say of the slates that wait; teaches nothing yet."""
        return self._joiner.join(events)

    def learn(self, joined: Joined, now_ms: int) -> Learned:
        """Judge, then learn. ``now_ms`` is event time."""
        groups, happenings = joined.groups, list[Happening]()
        judged = {name: judge(groups, weights) for name, weights in self._weights.items()}
        champion = self.champion
        if len(groups.n):
            partitions = np.array([joined.labels[i].partition for i in joined.of])
            groups = self._weighed(joined, partitions)
            joined = joined._replace(groups=joined.groups._replace(chances=groups.chances))
            happenings += self._watch(groups, judged[champion], int(partitions[0]))
            for name in self.estimators:
                happenings += self._teach(name, groups, partitions)
            self._compare(judged)
            happenings += self._crown()
        self._refresh(now_ms)
        return Learned(joined, judged, champion, happenings)

    def records(self) -> list[tuple[bytes, bytes]]:
        """What is new for the other workers since the last call: keys and values for a compacted topic."""
        decided, self._decided = self._decided, []
        return [*decided, *self.ledger.records()]

    def heard(self, key: bytes, value: bytes) -> None:
        """Take in a record of any worker, this one's included."""
        if key == CHAMPION:
            self._heard_reign(value)
            return
        self._admitted(scorer_of(key))
        name = self.ledger.apply(key, value)
        if name == EXAMINATION:
            self.examination.load(self.ledger.total(EXAMINATION))
        elif name is not None and self._is_here(name):
            self._reload(name)
            if key.startswith(f"{BASE}/".encode()):
                self.contests[name] = Sums()
            if name == self.champion and self.settings.refresh_s == 0.0:
                self._serve_champion()

    def _heard_reign(self, value: bytes) -> None:
        """Of two decisions of one number, by workers that both thought they led, the later name holds.

        Who leads says so again after hearing one that does not: a compacted topic keeps the last one written.
        """
        try:
            reign = msgspec.msgpack.decode(value, type=Reign)
        except msgspec.MsgspecError:
            self.ledger.n_foreign += 1
            return
        if self._admitted(reign.estimator):
            self._join(reign.estimator)
        if reign.estimator not in self.estimators:
            return
        heard, held = (reign.number, reign.estimator), (self._reigns, self.champion)
        if heard > held:
            self._enthrone(reign)
        elif heard < held and self.leads:
            self._decided.append((CHAMPION, msgspec.msgpack.encode(Reign(*held))))

    def promote(self, name: str) -> None:
        """Let another scorer serve, here and everywhere."""
        reign = Reign(self._reigns + 1, name)
        self._enthrone(reign)
        self._decided.append((CHAMPION, msgspec.msgpack.encode(reign)))

    def restart(self, name: str) -> None:
        """Let a scorer forget all that it has learned, here and everywhere."""
        self._decided.append(self.ledger.rebase(name, self._first[name]))
        self._reload(name)
        self.contests[name] = Sums()
        self._serve_champion()

    def try_without(self, name: str) -> None:
        """Let a scorer that does without a player, by ``without.name_of``, compete, here and everywhere.

        It starts from what the champion has learned, where that is a listwise scorer.
        """
        assert self._admitted(name), f"{name} names no scorer that does without a player"
        champion = self.estimators[self.champion].parameters()
        self._join(name)
        alike = champion.keys() == self._first[name].keys()
        self.estimators[name].load(champion if alike else self._first[name])
        self._decided.append(self.ledger.rebase(name, self.estimators[name].parameters()))
        self._reload(name)

    def end_trial(self, name: str) -> None:
        """Let such a scorer go, here and everywhere; not while it serves."""
        if name != self.champion:
            self._decided.append(self.ledger.end(name))
            self._leave(name)

    @property
    def trials(self) -> list[str]:
        """Scorers that do without a player, and do not serve."""
        return [name for name in self.estimators if name != self.champion and self._kept(name) is not None]

    def _kept(self, name: str) -> F32 | None:
        return columns_kept(name, self.names)

    def _admitted(self, name: str | None) -> bool:
        """Whether it is a scorer that does without a player; the ledger keeps room for it."""
        kept = None if name is None else self._kept(name)
        if name is None or kept is None:
            return False
        if name not in self._first:
            self._first[name] = self._without(name, kept).parameters()
            self.ledger.admit(name, self._first[name])
        return True

    def _without(self, name: str, kept: F32) -> Without:
        return Without(name, kept, self._first_weights, self.settings.rate, self.settings.l2)

    def _is_here(self, name: str) -> bool:
        """Whether the scorer takes part, now that its record was heard."""
        if self._kept(name) is None or name == self.champion:
            return True
        (self._join if self.ledger.runs(name) else self._leave)(name)
        return name in self.estimators

    def _join(self, name: str) -> None:
        kept = self._kept(name)
        if kept is not None and name not in self.estimators:
            self.estimators[name] = self._without(name, kept)
            self.contests[name] = Sums()
            self._reload(name)

    def _leave(self, name: str) -> None:
        for kept in (self.estimators, self.contests, self._weights):
            kept.pop(name, None)

    def _reload(self, name: str) -> None:
        self.estimators[name].load(self.ledger.total(name))
        self._weights[name] = self.estimators[name].weights

    def _enthrone(self, reign: Reign) -> None:
        self._reigns, self.champion = reign.number, reign.estimator
        self.contests = {each: Sums() for each in self.estimators}
        self._serve_champion()

    def _crown(self) -> list[Happening]:
        """Promote the challenger that is surely better by what this worker saw, the best of them."""
        better = [name for name, sums in self.contests.items() if sums.n and self._wins(name, sums)]
        if not better or not self.leads:
            return []
        best = max(better, key=lambda name: self.contests[name].total)
        sums, before = self.contests[best], self.champion
        gain = sums.total / sums.n
        self.promote(best)
        return [Happening("promotion", best, f"NDCG {gain:+.4f} on {sums.n:.0f} lists against {before}")]

    def _wins(self, name: str, sums: Sums) -> bool:
        contest = self.settings.contest
        return wins(sums, contest, None if self._kept(name) is None else contest.margin_without)

    def _weighed(self, joined: Joined, partitions: np.ndarray) -> Groups:
        """With the chances of places; what came about elsewhere weighs less for users who see slates."""
        groups = joined.groups
        labels = [joined.labels[i] for i in joined.of]
        seen = np.array([label.attributed for label in labels], np.bool_)
        elsewhere = np.array([label.user in self.pending.seen for label in labels], np.bool_) & ~seen
        factor = np.where(elsewhere, np.float32(self.settings.elsewhere), np.float32(1.0))
        chosen = seen & (groups.target >= 0) & (groups.weight > 0.0)
        for partition in sorted(set(partitions[chosen].tolist())):
            before, of = self.examination.parameters(), groups.of(chosen & (partitions == partition))
            self.examination.learn(of, self._weights[self.champion])
            step = added(self.examination.parameters(), before, -1.0)
            self.ledger.add(EXAMINATION, partition, step, len(of.n))
        chances = np.where(seen[:, None], self.examination.chances, np.float32(1.0))
        return groups._replace(weight=groups.weight * factor, chances=chances)

    def _teach(self, name: str, groups: Groups, partitions: np.ndarray) -> list[Happening]:
        happenings = []
        estimator = self.estimators[name]
        if not estimator.parameters():
            return []
        if estimator.samples:
            groups, partitions = groups.of(groups.sampled > 0), partitions[groups.sampled > 0]
        for partition in sorted(set(partitions.tolist())):
            of = groups.of(partitions == partition)
            before = estimator.parameters()
            estimator.learn(of)
            step = added(estimator.parameters(), before, -1.0)
            reason = _unsound(of, step, self._weights[name], estimator.weights)
            if reason:
                estimator.load(before)
                happenings.append(Happening("rollback", name, reason))
                continue
            self._weights[name] = estimator.weights
            self.ledger.add(name, partition, step, len(of.n))
        return happenings

    def _watch(self, groups: Groups, judged: Judged, partition: int) -> list[Happening]:
        change = self._drift.watch(groups, judged) if self._drift else None
        if change is None:
            return []
        told = [Happening("drift", self.champion, _told(change))]
        reactions = self.settings.drift.reactions
        if "faster" in reactions and change.signal == LOSS and self.leads:
            self._quicken(partition)
        if "reset" in reactions and self.leads:
            for name, estimator in self.estimators.items():
                if name != self.champion and estimator.parameters():
                    self.restart(name)
                    told.append(Happening("reset", name, _told(change)))
        return told

    def _quicken(self, partition: int) -> None:
        """Let the champion take larger steps again."""
        estimator = self.estimators[self.champion]
        before = estimator.parameters()
        if "squares" not in before:
            return
        step = {"squares": -self.settings.drift.forget * before["squares"]}
        estimator.load(added(before, step))
        self.ledger.add(self.champion, partition, added(estimator.parameters(), before, -1.0), 1)

    def _compare(self, judged: dict[str, Judged]) -> None:
        k = self.settings.contest.k
        known = ~np.isnan(judged[self.champion].rank)
        ours = ndcg(judged[self.champion].rank[known], k).astype(np.float64)
        for name in self.estimators:
            if name != self.champion:
                self.contests[name] = self.contests[name].plus(ndcg(judged[name].rank[known], k) - ours)

    def _refresh(self, now_ms: int) -> None:
        if abs(now_ms - self._refreshed_ms) >= self.settings.refresh_s * 1000.0:
            self._refreshed_ms = now_ms
            self._serve_champion()

    def _serve_champion(self) -> None:
        champion = self.estimators[self.champion]
        self._n_serving = self.ledger.n_learned(self.champion)
        self._serving = Linear(self.names, self._sources, self._weights[self.champion], champion.spread())


def _made(name: str, first: F32, names: Sequence[str], settings: LearnSettings) -> Estimator:
    if name == "listwise":
        return Listwise(first, settings.rate, settings.l2)
    if name == "fixed":
        return Fixed(first)
    return OfRiver(name, first, names, settings.negatives)


def _unsound(groups: Groups, step: Parameters, before: F32, after: F32) -> str | None:
    """Why a step must not be taken that leads from weights ``before`` to those ``after``."""
    if not np.isfinite(after).all() or not all(np.isfinite(values).all() for values in step.values()):
        return "a parameter is no number any more"
    if np.abs(after).max() > MAX_WEIGHT:
        return f"a weight grew beyond {MAX_WEIGHT:g}"
    if np.abs(after - before).max() > LARGE_STEP:
        rises = judge(groups, after).loss - judge(groups, before).loss
        rise = rises[~np.isnan(rises)].mean() if not np.isnan(rises).all() else 0.0
        if rise > MAX_RISE:
            return f"the loss of the lists just learned rose by {rise:.2f}"
    return None


def _told(change: Change) -> str:
    return f"{change.detector} on {change.signal}, {change.before:.3f} before, after {change.n_seen} lists"
