import numpy as np
import pytest

from models.value.games import SIGNALS, SOURCES
from models.value.report import combined, report
from models.value.valuing import Sums
from schemas.value import ValueReport


def sums_of(values: np.ndarray) -> Sums:
    """Of (n, 2, 3, P) values, list by list."""
    n = len(values)
    return Sums(
        n, values.sum(axis=0), np.square(values).sum(axis=0), np.full(3, 0.5 * n), np.full(3, 0.1 * n)
    )


def told(values: np.ndarray, start_ms: int, k: int = 20) -> ValueReport:
    return report(SOURCES, sums_of(values), k, start_ms, start_ms + 10)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(0.1, 0.3, (600, 2, 3, len(SOURCES.players)))


def test_means_and_their_errors(values: np.ndarray) -> None:
    found = told(values, 0)
    first = found.values[0]
    assert (first.player, first.metric, found.n, found.of) == ("browse", "ndcg", 600, "source")
    assert first.value == pytest.approx(values[:, 0, 0, 0].mean(), abs=1e-6)
    assert first.value_error == pytest.approx(values[:, 0, 0, 0].std() / np.sqrt(600), abs=1e-6)
    assert first.left_out == pytest.approx(values[:, 1, 0, 0].mean(), abs=1e-6)
    assert (found.all_in["ndcg"], found.none_in["mrr"]) == pytest.approx((0.5, 0.1))


def test_windows_together_say_what_one_window_over_all_would(values: np.ndarray) -> None:
    parts = [told(values[:100], 0), told(values[100:450], 10), told(values[450:], 20)]
    whole, both = told(values, 0), combined(parts)
    assert both is not None
    assert (both.n, both.window_start_ms, both.window_end_ms) == (600, 0, 30)
    for a, b in zip(both.values, whole.values, strict=True):
        assert (a.player, a.metric) == (b.player, b.metric)
        assert (a.value, a.value_error, a.left_out, a.left_out_error) == pytest.approx(
            (b.value, b.value_error, b.left_out, b.left_out_error), abs=1e-5
        )


def test_windows_of_other_k_are_left_out(values: np.ndarray) -> None:
    both = combined([told(values[:100], 0, k=10), told(values[100:300], 10, k=20)])
    assert both is not None
    assert (both.n, both.k) == (200, 20)


def test_nothing_of_nothing() -> None:
    assert combined([]) is None


def test_signals_are_reported_as_such() -> None:
    values = np.ones((4, 2, 3, len(SIGNALS.players)))
    found = report(SIGNALS, sums_of(values), 20, 0, 1)
    assert (found.of, found.values[0].player) == ("signal", "neighbours")
    assert combined([found]) == found
