"""What would be if: a state after events that did not happen, a ranking with other weights. Nothing is kept of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from models.interest.codec import decode
from models.interest.fold import Catalogue, fold
from models.interest.settings import InterestSettings
from models.interest.state import State
from models.rank.features import OF_ITEM, OF_MOMENT, OF_PAIR
from models.rank.score import FixedWeights, Linear, Scorer
from models.rank.settings import RankSettings
from schemas.events import AnyEvent

IMAGINED: Final = "imagined"
"""Stands where the topic of a real event does: slates after it are named so."""

MAX_SHOWN: Final = 20
"""Names told to who gave a wrong one."""

_GROUPS: Final = {"item": OF_ITEM, "pair": OF_PAIR, "moment": OF_MOMENT}


class ImaginationError(ValueError):
    """What was to be imagined makes no sense."""


class Ranking(NamedTuple):
    """What orders candidates: a scorer and the settings around it."""

    scorer: Scorer
    settings: RankSettings


def after(
    stored: bytes | None,
    events: Sequence[AnyEvent],
    settings: InterestSettings,
    catalogue: Catalogue,
    now_ms: int = 0,
) -> State:
    """The stored state, or that of somebody new, after ``events``; not before ``now_ms``."""
    state = State() if stored is None else decode(stored)
    fold(state, [(IMAGINED, 0, n, event) for n, event in enumerate(events)], settings, catalogue)
    state.latest_ms = max(state.latest_ms, now_ms)
    return state


def moved(
    ranking: Ranking, factors: Mapping[str, float], settings: Mapping[str, Any], sources: Sequence[str]
) -> Ranking:
    """The ranking with weights times ``factors``, by source, group of features or feature, and other ``settings``.

    Raises:
        ImaginationError: a name or value is not one of the ranking's.
    """
    rank = _other(ranking.settings, settings)
    scorer = ranking.scorer
    if isinstance(scorer, FixedWeights):
        weights = {
            name: rank.source_weights.get(name, rank.default_weight) * factors.get(name, 1.0)
            for name in sources
        }
        _refuse_unknown(factors, sources)
        rank = rank.model_copy(update={"source_weights": weights})
        return Ranking(FixedWeights(rank), rank)
    assert isinstance(scorer, Linear), "there are two kinds of scorers"
    _refuse_unknown(factors, [*sources, *_GROUPS, *scorer.names])
    each = np.array([_factor(name, factors) for name in scorer.names], np.float32)
    return Ranking(
        Linear(scorer.names, scorer.sources, scorer.weights * each, scorer.deviations * each), rank
    )


def _factor(name: str, factors: Mapping[str, float]) -> float:
    """Of a feature: its own factor, that of its group and that of its source, multiplied."""
    source, dot, _ = name.partition(".")
    group = source if dot else next(group for group, names in _GROUPS.items() if name in names)
    return factors.get(name, 1.0) * (factors.get(group, 1.0) if group != name else 1.0)


def _other(settings: RankSettings, changes: Mapping[str, Any]) -> RankSettings:
    try:
        return RankSettings.model_validate(settings.model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ImaginationError(f"rank.{name}: {first['msg']}") from error


def _refuse_unknown(factors: Mapping[str, float], known: Sequence[str]) -> None:
    for name in factors:
        if name not in known:
            shown = ", ".join(known[:MAX_SHOWN]) + (" …" if len(known) > MAX_SHOWN else "")
            raise ImaginationError(f"there is no weight {name!r}; known are {shown}")
