"""Runs an off-policy evaluation: reads a log, splits it, learns on the first part, judges on the rest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from models.kinds import Kind
from models.ope.attribution import REWARDED
from models.ope.estimators import MODEL_BASED, Weighed
from models.ope.policies import Learned, Policy, Popularity, Uniform
from models.ope.result import LOGGED, OffPolicyEvaluation, judge
from models.ope.reward_model import RewardModel, RewardModelSettings, Scorer
from models.ope.rounds import OTHER, BanditLog, Halves, split
from models.ope.weigh import as_logged, weighed
from streams.errors import InputError
from streams.log.source import opened
from streams.ope.open_bandit import read_open_bandit
from streams.ope.slates import Crediting, Progress, SlateFiles, read_slates

UNIFORM, POPULARITY, LEARNED = "uniform", "popularity", "learned"
POLICIES: Final = (LOGGED, UNIFORM, POPULARITY, LEARNED, f"{LEARNED}:1")
"""Those that are judged by default."""

FEW_UNITS: Final = 30
"""Users below which a bootstrap over them says little."""


class PolicySpec(NamedTuple):
    """``learned:0.5`` is the learned policy at temperature 0.5."""

    name: str
    kind: str
    temperature: float

    @property
    def learns(self) -> bool:
        """Whether it needs training rounds."""
        return self.kind in (POPULARITY, LEARNED)


class Files(NamedTuple):
    """What is read: one log of Open Bandit's form, or slates with their events."""

    log: str
    events: Sequence[str]
    items: str | None


class Plan(NamedTuple):
    """What is judged, and how."""

    policies: Sequence[PolicySpec]
    estimators: Sequence[str]
    rewards: Mapping[Kind, float]
    window_s: float
    all_seen: bool
    train_share: float
    max_arms: int
    clip: float | None
    seed: int

    @property
    def needs_model(self) -> bool:
        """Whether a reward model is learned."""
        return any(spec.kind == LEARNED for spec in self.policies) or any(
            estimator in MODEL_BASED for estimator in self.estimators
        )


def policy_of(text: str) -> PolicySpec:
    """What ``--policy`` says.

    Raises:
        InputError: there is no such policy.
    """
    kind, colon, temperature = text.partition(":")
    try:
        spec = PolicySpec(text, kind, float(temperature) if colon else 0.0)
    except ValueError:
        spec = PolicySpec(text, "", 0.0)
    known = kind in (LOGGED, UNIFORM, POPULARITY, LEARNED)
    if not known or not 0.0 <= spec.temperature < float("inf") or (colon and spec.kind != LEARNED):
        raise InputError(
            f"There is no policy {text!r}.",
            fix=f"Choose among {LOGGED}, {UNIFORM}, {POPULARITY}, {LEARNED}, or {LEARNED}:T with a temperature T.",
        )
    return spec


def reward_of(text: str) -> tuple[Kind, float]:
    """What ``--reward`` says.

    Raises:
        InputError: there is no such kind, or the number is none.
    """
    name, _, worth = text.partition("=")
    kind = next((each for each in REWARDED if each.name.lower() == name), None)
    try:
        value = float(worth)
    except ValueError:
        value = float("nan")
    if kind is None or not np.isfinite(value):
        kinds = ", ".join(each.name.lower() for each in REWARDED)
        raise InputError(
            f"--reward {text} makes no sense.", fix=f"Write --reward click=1; kinds are {kinds}."
        )
    return kind, value


def evaluate(files: Files, plan: Plan, progress: Progress) -> OffPolicyEvaluation:
    """Judge the policies of ``plan`` over a log.

    Raises:
        InputError: a file or the plan makes no sense.
    """
    _check(plan)
    log, notes = _read(files, plan, progress)
    halves = split(log, plan.train_share, plan.max_arms)
    _check_halves(halves, plan)
    scorer = _learned(halves.train, progress) if plan.needs_model else None
    test = halves.test
    columns = dict(_weighed(halves, plan, scorer, progress))
    n_units = len(np.unique(test.rounds.unit))
    judged = judge(test.rounds, columns, plan.estimators, plan.clip, plan.seed)
    return OffPolicyEvaluation(
        log=files.log,
        rewards={kind.name.lower(): value for kind, value in plan.rewards.items()},
        train_share=plan.train_share,
        clip=plan.clip,
        n_train=halves.train.rounds.n,
        n_rounds=test.rounds.n,
        n_units=n_units,
        n_arms=len(test.arms.ids),
        n_other=int((test.rounds.arm == OTHER).sum()),
        n_rewarded=int((test.rounds.reward != 0.0).sum()),
        on_policy=judged.on_policy,
        policies=judged.policies,
        notes=[*notes, *_notes(halves, len(log.arms.ids), n_units)],
    )


def _check(plan: Plan) -> None:
    asks = [spec.name for spec in plan.policies if spec.learns]
    asks += [name for name in plan.estimators if name in MODEL_BASED]
    if plan.train_share == 0.0 and asks:
        raise InputError(
            f"{', '.join(asks)} must learn from rounds that are not judged, and --train 0 leaves none.",
            fix="Leave --train out, or ask for --policy logged --policy uniform --estimator ips --estimator snips.",
        )


def _check_halves(halves: Halves, plan: Plan) -> None:
    if plan.train_share > 0.0 and not halves.train.rounds.n:
        raise InputError(
            "No round is earlier than the first that would be judged: all have the same time.",
            fix="Give a longer log, or --train 0 with policies that learn nothing.",
        )


def _read(files: Files, plan: Plan, progress: Progress) -> tuple[BanditLog, list[str]]:
    if _is_json(files.log):
        crediting = Crediting(plan.rewards, round(plan.window_s * 1_000), plan.all_seen)
        return read_slates(SlateFiles(*files), crediting, progress)
    if files.events:
        raise InputError(
            f"{files.log} is no JSON lines, and --events goes with slates.",
            fix="Give slates as JSON lines, or leave --events out for a CSV of Open Bandit's form.",
        )
    name = Path(files.log).name
    log = read_open_bandit(files.log, files.items, plan.rewards, lambda done, of: progress(name, done, of))
    return log, []


def _is_json(path: str) -> bool:
    """Told by the first byte that is no space."""
    with opened(path) as source:
        return source.unpacked.read(1_024).lstrip().startswith(b"{")


def _learned(train: BanditLog, progress: Progress) -> Scorer:
    model = RewardModel(train, RewardModelSettings())
    for done in model.learn():
        if done % 100 == 0 or done == train.rounds.n:
            progress("learning", done, train.rounds.n)
    return model.scorer()


def _weighed(
    halves: Halves, plan: Plan, scorer: Scorer | None, progress: Progress
) -> Iterator[tuple[str, Weighed]]:
    rounds, n_arms = halves.test.rounds, len(halves.test.arms.ids)
    for n, spec in enumerate(plan.policies, 1):
        if spec.kind == LOGGED:
            yield spec.name, as_logged(scorer, rounds, n_arms)
        else:
            yield spec.name, weighed(_policy(spec, halves.train, scorer), scorer, rounds, n_arms)
        progress("judging", n, len(plan.policies))


def _policy(spec: PolicySpec, train: BanditLog, scorer: Scorer | None) -> Policy:
    if spec.kind == UNIFORM:
        return Uniform(len(train.arms.ids))
    if spec.kind == POPULARITY:
        return Popularity(train)
    assert scorer is not None, "a plan with a learned policy needs a model"
    return Learned(scorer, spec.temperature)


def _notes(halves: Halves, n_items: int, n_units: int) -> Iterator[str]:
    train, arms = halves.train.rounds, halves.test.arms.ids
    if len(arms) < n_items:
        yield f"{n_items - len(arms):,} of {n_items:,} items are no arms: not shown in training, or too rarely"
    if train.n and not train.reward.any():
        yield "no training round earned anything: popularity and the reward model have learned nothing"
    if n_units < FEW_UNITS:
        yield f"only {n_units} users or rounds were drawn from: the intervals are too narrow"
