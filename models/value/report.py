"""Sums of values as a report, and reports of several windows or workers as one."""

from collections.abc import Sequence

import numpy as np

from models.retrieve.contract import F64
from models.value.cost import summed
from models.value.games import GAMES, Game
from models.value.masked import MEASURES
from models.value.valuing import Sums, no_sums
from schemas.value import SourceCost, Value, ValueReport

DIGITS = 6


def report(
    game: Game,
    sums: Sums,
    k: int,
    window_start_ms: int,
    window_end_ms: int,
    worker: str | None = None,
    costs: Sequence[SourceCost] = (),
) -> ValueReport:
    """Of at least one list; ``k`` places counted. Errors are of the mean, lists taken as independent."""
    mean, error = _mean(sums)
    return ValueReport(
        of=game.name,
        window_start_ms=window_start_ms,
        window_end_ms=window_end_ms,
        n=sums.n,
        k=k,
        all_in=_by_measure(sums.all_in / sums.n),
        none_in=_by_measure(sums.none_in / sums.n),
        values=[
            Value(
                player=player,
                metric=measure,
                value=_rounded(mean[0, m, p]),
                value_error=_rounded(error[0, m, p]),
                left_out=_rounded(mean[1, m, p]),
                left_out_error=_rounded(error[1, m, p]),
            )
            for m, measure in enumerate(MEASURES)
            for p, player in enumerate(game.players)
        ],
        costs=list(costs),
        worker=worker,
    )


def combined(reports: Sequence[ValueReport]) -> ValueReport | None:
    """As one, weighed by lists, of those of the newest ``k``, all of one game; None of none."""
    if not reports:
        return None
    newest = max(reports, key=lambda each: each.window_end_ms)
    k, game = newest.k, GAMES[newest.of]
    alike = [each for each in reports if each.k == k]
    sums = no_sums(len(game.players))
    for each in alike:
        sums = _added(game, sums, each)
    start, end = min(each.window_start_ms for each in alike), max(each.window_end_ms for each in alike)
    return report(game, sums, k, start, end, costs=summed(alike))


def _mean(sums: Sums) -> tuple[F64, F64]:
    mean = sums.total / sums.n
    spread = np.maximum(sums.squares / sums.n - np.square(mean), 0.0)
    return mean, np.sqrt(spread / sums.n)


def _added(game: Game, sums: Sums, told: ValueReport) -> Sums:
    """Sums with those that ``report`` made the report of."""
    mean, error = np.zeros_like(sums.total), np.zeros_like(sums.total)
    places = {player: p for p, player in enumerate(game.players)}
    for each in told.values:
        if each.player in places and each.metric in MEASURES:
            at = MEASURES.index(each.metric), places[each.player]
            mean[0][at], mean[1][at] = each.value, each.left_out
            error[0][at], error[1][at] = each.value_error, each.left_out_error
    n = told.n
    return Sums(
        sums.n + n,
        sums.total + n * mean,
        sums.squares + n * (n * np.square(error) + np.square(mean)),
        sums.all_in + n * _of_measures(told.all_in),
        sums.none_in + n * _of_measures(told.none_in),
    )


def _by_measure(values: F64) -> dict[str, float]:
    return {measure: _rounded(value) for measure, value in zip(MEASURES, values, strict=True)}


def _of_measures(values: dict[str, float]) -> F64:
    return np.array([values.get(measure, 0.0) for measure in MEASURES])


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0
