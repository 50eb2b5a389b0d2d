"""Whether the world has changed: the champion's loss, and what the items that people want have in common.

ADWIN (Bifet and Gavaldà, SDM 2007) on each signal and Page-Hinkley (Page, 1954) on the loss, both River's. KSWIN was
left out: at 4,600 values a second it is a thousand times slower.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from river import drift

from models.learn.groups import Groups
from models.learn.judge import Judged
from models.learn.settings import DriftSettings

LOSS: Final = "loss"


class Change(NamedTuple):
    """What was noticed."""

    signal: str
    """``loss``, or the name of a feature."""
    detector: str
    before: float
    """Mean of the signal up to then, since the last change."""
    n_seen: int


class Drift:
    """Watches the loss and the mean of ``watched`` features of wanted items, F features in all."""

    def __init__(self, settings: DriftSettings, names: Sequence[str], watched: Sequence[str]) -> None:
        self._settings = settings
        self._columns = [(name, names.index(name)) for name in watched if name in names]
        self._start()

    def watch(self, groups: Groups, judged: Judged) -> Change | None:
        """Take lists; the first change noticed, after which all signals start over."""
        for g in np.flatnonzero(~np.isnan(judged.loss)).tolist():
            self._n += 1
            wanted = groups.features(g, slice(int(groups.target[g]), int(groups.target[g]) + 1))[0]
            changed = self._loss(float(judged.loss[g])) or self._features(wanted)
            if changed and self._n >= self._settings.rest:
                self._start()
                return changed
        return None

    def _loss(self, loss: float) -> Change | None:
        before = self._adwin[LOSS].estimation
        self._adwin[LOSS].update(loss)
        self._page_hinkley.update(loss)
        if self._adwin[LOSS].drift_detected and self._adwin[LOSS].estimation > before:
            return Change(LOSS, "adwin", before, self._n)
        if self._page_hinkley.drift_detected:
            return Change(LOSS, "page-hinkley", before, self._n)
        return None

    def _features(self, wanted: np.ndarray) -> Change | None:
        for name, column in self._columns:
            detector = self._adwin[name]
            before = detector.estimation
            detector.update(float(wanted[column]))
            if detector.drift_detected:
                return Change(name, "adwin", before, self._n)
        return None

    def _start(self) -> None:
        settings = self._settings
        self._n = 0
        self._adwin = {
            name: drift.ADWIN(delta=settings.delta) for name in (LOSS, *(name for name, _ in self._columns))
        }
        self._page_hinkley = drift.PageHinkley(
            min_instances=settings.rest,
            delta=settings.tolerance,
            threshold=settings.threshold,
            alpha=1.0,  # what forgets rises from its own minimum, as if the loss did
            mode="up",
        )
