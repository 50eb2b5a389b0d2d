"""Whether two ways to find what is lost without a source agree on the order of the sources."""

from collections.abc import Iterable
from math import isnan

from scipy.stats import kendalltau

from schemas.value import Value


def agreement(quick: Iterable[Value], true: Iterable[Value], metric: str) -> float | None:
    """Kendall's tau (1938) of ``left_out``, over the sources that both name: 1 the same order, -1 the reverse.

    None of fewer than two, or where one finds all alike.
    """
    lost = {each.player: each.left_out for each in true if each.metric == metric}
    both = [
        (each.left_out, lost[each.player]) for each in quick if each.metric == metric and each.player in lost
    ]
    tau = kendalltau(*zip(*both, strict=True)).statistic if len(both) > 1 else float("nan")
    return None if isnan(tau) else float(tau)
