"""Why a user sees what they see: the answer of ``rillet explain`` and of a worker's ``/explain``, as JSON.

No topic carries it. Places count from 1. Every figure is that of the ranking itself, none is fitted afterwards.
"""

from typing import Final

from msgspec import Struct

from schemas.events import SCHEMA_VERSION

ABSENT: Final = {
    "unknown": "no worker has seen it in an event or in the catalogue, or it made room for others since",
    "viewed": "it was viewed in this session, and what was viewed is left out",
    "bought": "it was bought, and people do not buy it again",
    "dismissed": "it was dismissed",
    "unavailable": "the catalogue says that it cannot be bought now",
    "no_source": "no source names it for this user",
    "worthless": "its score is not above 0",
    "beyond": "other candidates score higher",
    "diversity": "it is too much like what is in the slate",
    "exploration": "an item that is tried out took its place",
}
"""Why an item is not in a slate."""


class OwnEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user did. ``what`` is the item, or what was searched for; ``age_s`` is told by ``now_ms``."""

    kind: str
    what: str
    time_ms: int
    age_s: float
    dwell_ms: int | None = None


class Taste(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of the user's likings a source went by.

    ``kind`` is ``category``, ``brand``, ``word``, ``query`` or ``platform``; ``weight`` the affinity, of categories and
    brands as a share of 1.
    """

    kind: str
    name: str
    weight: float | None = None


class Says(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one source says of an item: its place there, its score there, and that as a share of the best score.

    ``because`` is the user's own item that brought it, ``event`` what the user last did with that. The contributions
    are those of all features of the source; null where the item was left out before it was scored.
    """

    source: str
    place: int
    score: float
    share: float
    contribution: float | None = None
    above_mean: float | None = None
    because: str | None = None
    event: OwnEvent | None = None
    tastes: list[Taste] = []


class Contribution(Struct, frozen=True, kw_only=True):
    """``contribution = value * weight``; ``above_mean`` is it less its mean over all candidates of the user."""

    feature: str
    value: float
    weight: float
    contribution: float
    above_mean: float


class Demotion(Struct, frozen=True, kw_only=True):
    """The score was multiplied by ``factor``, as the item is like one that was dismissed; ``nearness`` is 0 to 1."""

    factor: float
    item_id: str | None
    nearness: float


class Absence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an item is not in the slate: ``reason`` is a key of ``ABSENT``.

    ``event`` is what the user did with it; ``item_id`` the item that it is too much like, or that took its place.
    """

    reason: str
    detail: str
    event: OwnEvent | None = None
    item_id: str | None = None


class ExplainedItem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item. Scores and places are null where it was left out before it was scored.

    ``raw_score`` is ``w·x``, and exactly the sum of the contributions; features that are 0, and add nothing to the mean
    either, are left out. ``groups`` are their sums by source, ``item``, ``pair`` and ``moment``. ``full_score`` is what
    the scorer makes of it: ``w·x`` itself under fixed weights, ``log(1 + exp(w·x))`` when learned. ``score`` is that
    after demotion. ``rank`` is the place by score, ``greedy_place`` the place after diversity, ``place`` the one after
    exploration.
    """

    item_id: str
    place: int | None = None
    greedy_place: int | None = None
    rank: int | None = None
    score: float | None = None
    full_score: float | None = None
    raw_score: float | None = None
    propensity: float | None = None
    explored: bool = False
    groups: dict[str, float] = {}
    contributions: list[Contribution] = []
    sources: list[Says] = []
    demotion: Demotion | None = None
    absent: list[Absence] = []


class Explanation(Struct, frozen=True, kw_only=True):
    """The slate that follows the user's latest event, ranked with what is known now.

    ``slate_id`` and ``time_ms`` are of that event. ``asked`` is the item that was asked for, ``others`` are the
    candidates outside the slate where they were asked for.
    """

    user_id: str
    slate_id: str
    time_ms: int
    now_ms: int
    model_version: str
    n_candidates: int
    n_places: int
    mean_raw_score: float
    cold_start: bool
    items: list[ExplainedItem]
    asked: ExplainedItem | None = None
    others: list[ExplainedItem] = []
    schema_version: int = SCHEMA_VERSION
