"""What is remembered of a user, as the API gives it: times in milliseconds, weights decayed to now."""

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Final

from models.interest.settings import InterestSettings
from models.interest.state import Affinity, Interaction, State, decayed, interactions, traits
from schemas.api import Moment, StoredInteraction, UserEvents, UserState, UserTraits, Weighted

DIGITS: Final = 4


def user_events(state: State, user_id: str, limit: int) -> UserEvents:
    """The latest interactions, newest first."""
    newest_first = list(interactions(state.recents))[: -limit - 1 : -1]
    return UserEvents(user_id=user_id, items=[_stored(each) for each in newest_first])


def user_state(state: State, user_id: str, settings: InterestSettings, now_ms: int) -> UserState:
    """All of it; affinities strongest first at the longest half-life, ties by key."""
    spending, promotion, novelty = (None if isnan(value) else _rounded(value) for value in traits(state))
    return UserState(
        user_id=user_id,
        now_ms=now_ms,
        latest_ms=state.latest_ms,
        n_events=state.n_events,
        n_impressions=state.n_impressions,
        platform=state.platform.name if state.platform else None,
        traits=UserTraits(spending=spending, promotion=promotion, novelty=novelty),
        half_lives_s=list(settings.half_lives_s),
        categories=_weighted(state.categories, now_ms, settings),
        brands=_weighted(state.brands, now_ms, settings),
        bands=_weighted(state.bands, now_ms, settings),
        terms=_weighted(state.terms, now_ms, settings),
        stores=_weighted(state.stores, now_ms, settings),
        bought=_moments(state.bought),
        dismissed=_moments(state.dismissed),
        searches=[Moment(what=each.text, time_ms=each.time_ms) for each in reversed(state.searches)],
        recents=user_events(state, user_id, len(state.recents.items)).items,
    )


def _stored(each: Interaction) -> StoredInteraction:
    return StoredInteraction(
        item_id=each.item,
        kind=each.kind.name.lower(),
        time_ms=each.time_ms,
        category=each.category,
        price=None if isnan(each.price) else _rounded(each.price),
        dwell_ms=each.dwell_ms or None,
    )


def _weighted(affinity: Affinity, now_ms: int, settings: InterestSettings) -> list[Weighted]:
    weights = zip(affinity.keys, decayed(affinity, now_ms, settings).tolist(), strict=True)
    ordered: Iterable[tuple[str, list[float]]] = sorted(weights, key=lambda each: (-each[1][-1], each[0]))
    return [Weighted(key=key, weights=[_rounded(value) for value in values]) for key, values in ordered]


def _moments(times: Mapping[str, int]) -> list[Moment]:
    newest_first = sorted(times.items(), key=lambda each: (-each[1], each[0]))
    return [Moment(what=what, time_ms=time_ms) for what, time_ms in newest_first]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
