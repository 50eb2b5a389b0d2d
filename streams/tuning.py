"""Searches settings on the early part of logs, by the code that serves: sources by following the log again, weights on
what the sources had said."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import optuna

from models.evaluate.apart import apart
from models.evaluate.evidence import Gatherer, Weighing
from models.retrieve.contract import F32
from streams.errors import InputError
from streams.evaluation import Log, Progress, events_of
from streams.settings import Settings, value_of
from streams.toml_text import toml_value

WEIGHTS: Final = (0.01, 10.0)
"""Range of a source's weight against that of the first source."""

SPACE: Final[Mapping[str, Sequence[Any]]] = {
    "retrieve.session_knn.neighbours": (50, 100, 200, 500),
    "retrieve.session_knn.sample": (500, 1_000, 2_500, 5_000),
    "retrieve.session_knn.step_decay": ("same", "div", "log", "linear"),
    "retrieve.session_knn.position_decay": ("linear", "div", "quadratic", "log"),
    "retrieve.session_knn.distance_decay": (0.0, 0.25, 0.5, 0.75),
    "retrieve.session_knn.idf_weight": (0.0, 0.5, 1.0, 2.0, 5.0),
    "retrieve.covisitation.window": (1, 2, 5, 10),
    "retrieve.covisitation.backward": (0.0, 0.25, 0.5, 1.0),
    "retrieve.covisitation.smoothing": (0.0, 2.0, 5.0, 20.0),
    "retrieve.covisitation.position_decay": ("div", "quadratic", "linear"),
    "retrieve.content.brand_share": (0.2, 0.4, 0.6),
    "retrieve.recent.fade": (0.25, 0.5, 1.0, 2.0),
}
"""Values that are tried of the sources' settings."""


class Share(NamedTuple):
    """Parts of a log: what lies before ``first`` is learned only, what lies behind ``until`` is never read."""

    first: float
    until: float


class Tuned(NamedTuple):
    """What was found."""

    settings: dict[str, Any]
    before: list[float]
    """NDCG of the settings given, by log."""
    after: list[float]


class Tuner:
    """Tunes on one log or several; of several, the mean of what each gains against the settings given."""

    def __init__(self, logs: Sequence[Log], settings: Settings, share: Share, k: int, seed: int) -> None:
        self._logs, self._settings, self._share, self._k, self._seed = logs, settings, share, k, seed
        self._sizes: list[int] = []
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def run(self, n_trials: int, n_weighings: int, progress: Progress) -> Tuned:
        """Try ``n_trials`` settings of the sources, the first of them as given, each with its best weights."""
        self._sizes = [sum(1 for _ in events_of(log, progress, "counting")) for log in self._logs]
        given = self._weighings({}, progress)
        before = [weighing.ndcg(self._weights(weighing.sources)) for weighing in given]
        study = self._study()
        study.enqueue_trial({name: self._value(name) for name in SPACE} if n_trials > 1 else {})
        best: tuple[float, dict[str, Any], list[float]] = (-1.0, {}, before)
        for number in range(n_trials):
            trial = study.ask()
            chosen = {n: trial.suggest_categorical(n, values) for n, values in SPACE.items() if n_trials > 1}
            weighings = self._weighings(chosen, progress) if number else given
            gain, weights, ndcgs = self._weigh(weighings, before, n_weighings)
            study.tell(trial, gain)
            if gain > best[0]:
                best = gain, {**chosen, "rank.source_weights": weights}, ndcgs
        return Tuned(best[1], before, best[2])

    def _weigh(
        self, weighings: Sequence[Weighing], before: Sequence[float], n: int
    ) -> tuple[float, dict[str, float], list[float]]:
        """The weights that gain most, as they are written."""
        heard = set[str]().union(*(weighing.heard() for weighing in weighings))
        first, *others = (name for name in weighings[0].sources if name in heard)
        start = dict(zip(weighings[0].sources, self._weights(weighings[0].sources).tolist(), strict=True))
        study = self._study()
        low, high = WEIGHTS
        study.enqueue_trial({name: min(high, max(low, start[name])) for name in others})
        best: tuple[float, dict[str, float], list[float]] = (-1.0, {}, [])
        for _ in range(n):
            trial = study.ask()
            tried = {name: trial.suggest_float(name, low, high, log=True) for name in others}
            weights = {**start, first: 1.0, **tried}
            rounded = {name: float(f"{weight:.2g}") for name, weight in weights.items()}
            column = np.array(list(rounded.values()), np.float32)
            ndcgs = [weighing.ndcg(column) for weighing in weighings]
            gain = float(np.mean([a / max(b, 1e-9) for a, b in zip(ndcgs, before, strict=True)]))
            study.tell(trial, gain)
            if gain > best[0]:
                best = gain, rounded, ndcgs
        return best

    def _weighings(self, chosen: Mapping[str, Any], progress: Progress) -> list[Weighing]:
        return [
            self._follow(log, size, chosen, progress)
            for log, size in zip(self._logs, self._sizes, strict=True)
        ]

    def _follow(self, log: Log, size: int, chosen: Mapping[str, Any], progress: Progress) -> Weighing:
        gatherer = Gatherer(_with(self._settings, {**chosen, "rank.mmr_lambda": 1.0}).path())
        first, until = int(self._share.first * size), int(self._share.until * size)
        done = 0
        for batch in apart(islice(events_of(log, progress, "following"), until), 32):
            gatherer.trying = done >= first
            gatherer.take(batch)
            done += len(batch)
        evidence = gatherer.evidence()
        if not evidence.trials:
            raise InputError(
                f"{log.path}: no source named what was wanted in any of the {done:,} events that were followed.",
                fix="Give a longer log, or a larger --until.",
            )
        return Weighing(evidence, self._k)

    def _study(self) -> optuna.Study:
        return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=self._seed))

    def _weights(self, sources: Sequence[str]) -> F32:
        rank = self._settings.rank
        return np.array([rank.source_weights.get(s, rank.default_weight) for s in sources], np.float32)

    def _value(self, name: str) -> Any:
        value = value_of(self._settings, name)
        return value if value in SPACE[name] else SPACE[name][0]


def write(path: Path, tuned: Tuned, remark: str) -> None:
    """A settings file of what was found."""
    lines = [f"# {line}" for line in remark.splitlines()]
    for name, value in sorted(tuned.settings.items()):
        lines.append(f"{name} = {toml_value(value)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    tree = settings.model_dump()
    for name, value in changes.items():
        *sections, last = name.split(".")
        branch = tree
        for section in sections:
            branch = branch[section]
        branch[last] = value
    return Settings.model_validate(tree)
