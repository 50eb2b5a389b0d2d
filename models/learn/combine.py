"""Reports of several workers, or of several windows of one, as one set of figures. See ``ModelMeasurement``."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np

from models.learn.figures import BIN, count, error, mean
from schemas.metrics import ModelMeasurement, ModelReport

OF_ONE: Final = frozenset({"coverage", "gini"})
"""Workers offer some of the same items, and how many of them no figure tells."""

DERIVED: Final = frozenset({"calibration_error", "calibration_ratio"})

Place = tuple[str, int | None, str | None]


def combined(reports: Iterable[ModelReport]) -> list[ModelMeasurement]:
    """The figures of one scorer over all reports given: counts added up, means weighed by their n.

    Calibration follows from the bins; what holds for one worker only is left out.
    """
    counts: defaultdict[Place, float] = defaultdict(float)
    totals: defaultdict[Place, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for report in reports:
        for figure in report.measurements:
            place = (figure.metric, figure.k, figure.segment)
            if figure.n is None:
                counts[place] += figure.value
            elif figure.metric not in OF_ONE | DERIVED:
                totals[place] += figure.value * figure.n, figure.n
    found = [each for (name, _, segment), n in counts.items() for each in count(name, n, segment)]
    for (name, k, segment), (total, n) in totals.items():
        found += mean(name, total, n, k, segment)
    return [*found, *_calibration(found)]


def _calibration(found: Iterable[ModelMeasurement]) -> list[ModelMeasurement]:
    bins: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    for figure in found:
        if figure.metric in ("predicted", "observed") and (figure.segment or "").startswith(BIN):
            n = figure.n or 0
            column = 1 if figure.metric == "predicted" else 2
            bins[figure.segment or ""][[0, column]] = n, figure.value * n
    if not bins:
        return []
    table = np.stack(list(bins.values()))
    n, predicted, observed = table.sum(axis=0).tolist()
    ratio = mean("calibration_ratio", predicted / observed * n, n) if observed else ()
    return [*mean("calibration_error", error(table) * n, n), *ratio]
