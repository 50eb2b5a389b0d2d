"""Windows of several workers are one window: what is combined equals what one worker would have told of both."""

from typing import Any

import numpy as np
import pytest

from models.learn.combine import combined
from models.learn.figures import Calibration
from schemas.metrics import ModelMeasurement, ModelReport


def report(*measurements: ModelMeasurement) -> ModelReport:
    return ModelReport(
        model="m",
        model_version="1",
        window_start_ms=0,
        window_end_ms=1,
        n_events=1,
        measurements=list(measurements),
    )


def figure(metric: str, value: float, n: int | None = None, **more: Any) -> ModelMeasurement:
    return ModelMeasurement(metric=metric, value=value, n=n, **more)


def test_counts_add_up_and_means_weigh_by_what_they_are_of() -> None:
    one = report(
        figure("seen", 3), figure("ndcg", 0.5, 10, k=5), figure("ndcg", 0.5, 1, k=5, segment="kind=view")
    )
    two = report(figure("seen", 4), figure("ndcg", 0.2, 20, k=5))
    assert combined([one, two]) == [
        figure("seen", 7),
        figure("ndcg", 0.3, 30, k=5),  # (0.5 * 10 + 0.2 * 20) / 30
        figure("ndcg", 0.5, 1, k=5, segment="kind=view"),
    ]


def test_calibration_is_that_of_all_lists_together() -> None:
    rng = np.random.default_rng(3)
    chance = rng.random(200).astype(np.float32)
    right = (rng.random(200) < chance / 2).astype(np.float32)
    apart, together = [], Calibration()
    for half in (slice(None, 50), slice(50, None)):
        one = Calibration()
        one.add(chance[half], right[half])
        together.add(chance[half], right[half])
        apart.append(report(*one.measurements()))
    expected = {(each.metric, each.segment): each for each in together.measurements()}
    found = {(each.metric, each.segment): each for each in combined(apart)}
    assert found.keys() == expected.keys()
    for place, each in expected.items():
        assert (found[place].value, found[place].n) == (pytest.approx(each.value, rel=1e-4), each.n)


def test_what_holds_for_one_worker_only_is_left_out() -> None:
    assert combined([report(figure("coverage", 0.5, 10), figure("gini", 0.5, 10))] * 2) == []


def test_of_nothing_there_is_nothing() -> None:
    assert combined([]) == []
