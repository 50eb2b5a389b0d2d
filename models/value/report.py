"""Sums of values as a report, and reports of several windows or workers as one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec.structs import replace

from models.retrieve.contract import F64
from models.value.cost import summed
from models.value.games import TOLD, Game
from models.value.masked import MEASURES, RANKED
from models.value.seen import OFF_POLICY, Seen
from models.value.valuing import CLICKS, Sums, no_sums
from schemas.value import SeenSlates, SourceCost, Value, ValueReport

DIGITS = 6
MULTIPLES: Final[Mapping[str, Callable[[int], float]]] = {
    "precision": lambda k: 1.0 / k,
    "recall": lambda _: 1.0,
    "f1": lambda k: 2.0 / (k + 1),
}
"""What the hit rate at k is to be taken times: one item of a list is wanted, so that it has all of them or none."""
ONCE: Final = np.array([[measure in RANKED] for measure in MEASURES])
"""(M, 1) where what is counted is counted once a list."""
METRICS: Final = (*RANKED, *MULTIPLES, *OFF_POLICY)


def report(
    game: Game,
    sums: Sums,
    k: int,
    window_start_ms: int,
    window_end_ms: int,
    worker: str | None = None,
    costs: Sequence[SourceCost] = (),
) -> ValueReport:
    """Of at least one list; ``k`` places counted. Errors are of the mean, lists taken as independent.

    Click-through and conversion are there where a slate was seen; of them clicks are taken as independent, as many as
    by Poisson's law, since a slate may have several.
    """
    told = MEASURES if sums.seen.n else RANKED
    mean, error = _mean(sums)
    return ValueReport(
        of=game.name,
        window_start_ms=window_start_ms,
        window_end_ms=window_end_ms,
        n=sums.n,
        k=k,
        all_in=_by_measure(told, _over(sums.all_in, sums.counts)),
        none_in=_by_measure(told, _over(sums.none_in, sums.counts)),
        values=[
            Value(
                player=player,
                metric=measure,
                value=_rounded(mean[0, m, p]),
                value_error=_rounded(error[0, m, p]),
                left_out=_rounded(mean[1, m, p]),
                left_out_error=_rounded(error[1, m, p]),
            )
            for m, measure in enumerate(told)
            for p, player in enumerate(game.players)
        ],
        costs=list(costs),
        seen=_seen_slates(sums) if sums.seen.n else None,
        worker=worker,
    )


def with_multiples(told: ValueReport) -> ValueReport:
    """With precision, recall and F1, which are multiples of the hit rate."""

    def of_all(values: Mapping[str, float]) -> dict[str, float]:
        hits = values.get("hit_rate", 0.0)
        return {**values, **{name: _rounded(times(told.k) * hits) for name, times in MULTIPLES.items()}}

    hits = [each for each in told.values if each.metric == "hit_rate"]
    more = [_times(each, name, times(told.k)) for name, times in MULTIPLES.items() for each in hits]
    return replace(
        told, all_in=of_all(told.all_in), none_in=of_all(told.none_in), values=[*told.values, *more]
    )


def _times(each: Value, metric: str, by: float) -> Value:
    return Value(
        player=each.player,
        metric=metric,
        value=_rounded(by * each.value),
        value_error=_rounded(by * each.value_error),
        left_out=_rounded(by * each.left_out),
        left_out_error=_rounded(by * each.left_out_error),
    )


def _seen_slates(sums: Sums) -> SeenSlates:
    """Effective clicks are those that would tell as much if all counted the same (Kish, 1965)."""
    seen = sums.seen
    share = seen.valued / seen.n
    return SeenSlates(
        n_seen=seen.n,
        n_clicks=seen.clicks,
        n_purchases=seen.purchases,
        valued_share=_rounded(share),
        effective_clicks=_rounded(sums.all_in[CLICKS] ** 2 / seen.squares if seen.squares else 0.0),
        limited_share=_rounded(seen.limited / (seen.clicks * share) if seen.clicks else 0.0),
    )


def combined(reports: Sequence[ValueReport]) -> ValueReport | None:
    """As one, weighed by lists, of those of the newest ``k``, all of one game; None of none."""
    if not reports:
        return None
    newest = max(reports, key=lambda each: each.window_end_ms)
    k, game = newest.k, TOLD[newest.of]
    alike = [each for each in reports if each.k == k]
    sums = no_sums(len(game.players))
    for each in alike:
        sums = _added(game, sums, each)
    start, end = min(each.window_start_ms for each in alike), max(each.window_end_ms for each in alike)
    return report(game, sums, k, start, end, costs=summed(alike))


def _mean(sums: Sums) -> tuple[F64, F64]:
    counts = sums.counts[:, None]
    mean = _over(sums.total, counts)
    spread = np.maximum(_over(sums.squares, counts) - ONCE * np.square(mean), 0.0)
    return mean, np.sqrt(_over(spread, counts))


def _over(values: F64, counts: F64) -> F64:
    """Means, 0 of nothing."""
    return np.asarray(values / np.where(counts > 0.0, counts, 1.0))


def _added(game: Game, sums: Sums, told: ValueReport) -> Sums:
    """Sums with those that ``report`` made the report of."""
    mean, error = np.zeros_like(sums.total), np.zeros_like(sums.total)
    places = {player: p for p, player in enumerate(game.players)}
    for each in told.values:
        if each.player in places and each.metric in MEASURES:
            at = MEASURES.index(each.metric), places[each.player]
            mean[0][at], mean[1][at] = each.value, each.left_out
            error[0][at], error[1][at] = each.value_error, each.left_out_error
    new = no_sums(len(game.players))._replace(n=told.n, seen=_seen(told))
    n = new.counts[:, None]
    return Sums(
        sums.n + told.n,
        sums.seen.plus(new.seen),
        sums.total + n * mean,
        sums.squares + n * (n * np.square(error) + ONCE * np.square(mean)),
        sums.all_in + new.counts * _of_measures(told.all_in),
        sums.none_in + new.counts * _of_measures(told.none_in),
    )


def _seen(told: ValueReport) -> Seen:
    seen = told.seen
    if seen is None:
        return Seen()
    valued = seen.n_seen * seen.valued_share
    counted = valued * told.all_in.get(MEASURES[CLICKS], 0.0)
    return Seen(
        seen.n_seen,
        seen.n_clicks,
        seen.n_purchases,
        valued,
        counted**2 / seen.effective_clicks if seen.effective_clicks else 0.0,
        seen.limited_share * seen.n_clicks * seen.valued_share,
    )


def _by_measure(told: Sequence[str], values: F64) -> dict[str, float]:
    return {measure: _rounded(value) for measure, value in zip(told, values, strict=False)}


def _of_measures(values: dict[str, float]) -> F64:
    return np.array([values.get(measure, 0.0) for measure in MEASURES])


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0
