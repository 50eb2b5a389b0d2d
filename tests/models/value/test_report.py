import numpy as np
import pytest

from models.value.games import SIGNALS, SOURCES
from models.value.masked import MEASURES
from models.value.report import combined, report, with_multiples
from models.value.seen import Seen
from models.value.valuing import Sums
from schemas.value import ValueReport


def sums_of(values: np.ndarray, seen: Seen) -> Sums:
    """Of (n, 2, 5, P) values, list by list."""
    n, squares = len(values), np.square(values).sum(axis=0)
    return Sums(n, seen, values.sum(axis=0), squares, np.full(5, 0.5 * n), np.full(5, 0.1 * n))


def told(values: np.ndarray, start_ms: int, k: int = 20, seen: Seen | None = None) -> ValueReport:
    return report(SOURCES, sums_of(values, seen or Seen()), k, start_ms, start_ms + 10)


def some_seen(n: int) -> Seen:
    """Eight slates to a list, one of four clicked and valued if drawn; a quarter is."""
    return Seen(n=8 * n, clicks=2 * n, purchases=n, valued=2.0 * n, squares=0.4 * n, limited=0.1 * n)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(0.1, 0.3, (600, 2, 5, len(SOURCES.players)))


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


def test_where_no_slate_was_seen_there_is_no_click_through(values: np.ndarray) -> None:
    found = told(values, 0)
    assert found.seen is None
    assert list(found.all_in) == list(found.none_in) == ["ndcg", "hit_rate", "mrr"]
    assert {each.metric for each in found.values} == {"ndcg", "hit_rate", "mrr"}


def test_click_through_is_over_slates_seen(values: np.ndarray) -> None:
    found = told(values, 0, seen=some_seen(600))
    assert list(found.all_in) == list(MEASURES)
    first = next(each for each in found.values if each.metric == "click_through")
    # 600 lists of 1,200 slates: a quarter of 4,800.
    assert first.value == pytest.approx(values[:, 0, 3, 0].sum() / 1_200, abs=1e-6)
    assert first.value_error == pytest.approx(np.sqrt(np.square(values[:, 0, 3, 0]).sum()) / 1_200, abs=1e-6)
    assert found.all_in["click_through"] == pytest.approx(300 / 1_200)
    seen = found.seen
    assert seen is not None
    assert (seen.n_seen, seen.n_clicks, seen.n_purchases, seen.valued_share) == (4_800, 1_200, 600, 0.25)
    assert seen.effective_clicks == pytest.approx(300**2 / 240)
    assert seen.limited_share == pytest.approx(60 / 300)


def test_windows_together_say_of_slates_what_one_window_would(values: np.ndarray) -> None:
    parts = [
        told(values[:100], 0, seen=some_seen(100)),
        told(values[100:450], 10, seen=some_seen(350)),
        told(values[450:], 20, seen=some_seen(150)),
    ]
    whole, both = told(values, 0, seen=some_seen(600)), combined(parts)
    assert both is not None
    assert both.seen == whole.seen
    assert both.all_in == pytest.approx(whole.all_in)
    for a, b in zip(both.values, whole.values, strict=True):
        assert (a.value, a.value_error, a.left_out) == pytest.approx(
            (b.value, b.value_error, b.left_out), abs=1e-5
        )


def test_precision_recall_and_f1_are_multiples_of_the_hit_rate(values: np.ndarray) -> None:
    found = with_multiples(told(values, 0, k=20))
    of = {(each.player, each.metric): each for each in found.values}
    hits = of["browse", "hit_rate"]
    # One of one wanted item is found among 20: recall 1, precision 1/20, F1 2/21.
    for metric, by in (("recall", 1.0), ("precision", 1 / 20), ("f1", 2 / 21)):
        assert found.all_in[metric] == pytest.approx(0.5 * by, abs=1e-6)
        assert found.none_in[metric] == pytest.approx(0.1 * by, abs=1e-6)
        each = of["browse", metric]
        assert (each.value, each.value_error, each.left_out, each.left_out_error) == pytest.approx(
            (by * hits.value, by * hits.value_error, by * hits.left_out, by * hits.left_out_error), abs=1e-6
        )


def test_windows_of_other_k_are_left_out(values: np.ndarray) -> None:
    both = combined([told(values[:100], 0, k=10), told(values[100:300], 10, k=20)])
    assert both is not None
    assert (both.n, both.k) == (200, 20)


def test_nothing_of_nothing() -> None:
    assert combined([]) is None


def test_signals_are_reported_as_such() -> None:
    values = np.ones((4, 2, 5, len(SIGNALS.players)))
    found = report(SIGNALS, sums_of(values, Seen()), 20, 0, 1)
    assert (found.of, found.values[0].player) == ("signal", "neighbours")
    assert combined([found]) == found
