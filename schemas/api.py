"""What the HTTP API takes and gives beside the values of the topics. No topic carries these."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from schemas.catalog import Promotion
from schemas.events import MAX_LINES, Id, TimeMs
from schemas.explain import Explanation
from schemas.outputs import ReasonCode

T = TypeVar("T")

Limit = Annotated[int, Meta(ge=1, le=500, description="entries on a page")]
Cursor = Annotated[str, Meta(max_length=2048, description="`next` of the page before")]
MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""
SinceMs = Annotated[
    int, Meta(ge=0, le=MAX_MS, description="only those from this time on, milliseconds since 1970-01-01 UTC")
]
UntilMs = Annotated[
    int, Meta(ge=0, le=MAX_MS, description="only those before this time, milliseconds since 1970-01-01 UTC")
]

Context = Literal["home", "product", "cart", "search", "mail"]
MAX_CANDIDATES = 1_000
MAX_IMAGINED = 50


class NoQuery(Struct, frozen=True):
    """No parameters."""


class SlateQuery(Struct, frozen=True, kw_only=True):
    """How much of a slate, and for where."""

    n: Annotated[int, Meta(ge=1, le=200, description="places; fewer when there are not so many")] | None = (
        None
    )
    context: Annotated[
        Context,
        Meta(
            description="where it is shown: `home` is the slate as it is; `product` and `cart` put first what goes "
            "with the items given; `search` ranks for the query `q`, `mail` as if the visit were over"
        ),
    ] = "home"
    item: Annotated[
        list[Id], Meta(max_length=20, description="items on the page or in the cart; may be repeated")
    ] = []
    exclude: Annotated[
        list[Id], Meta(max_length=MAX_LINES, description="items to leave out; may be repeated")
    ] = []
    category: Annotated[
        list[Id], Meta(max_length=20, description="only items of these categories; may be repeated")
    ] = []
    q: Annotated[str, Meta(max_length=1024, description="what was searched for")] | None = None


class UserEventsQuery(Struct, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 50


class ExplainQuery(Struct, frozen=True, kw_only=True):
    """What about."""

    item: Annotated[Id, Meta(description="an item: all of its score, or why it is not there")] | None = None


class PageQuery(Struct, frozen=True, kw_only=True):
    """Which page."""

    limit: Limit = 50
    cursor: Cursor | None = None


class ItemsQuery(Struct, frozen=True, kw_only=True):
    """Which items."""

    prefix: Annotated[str, Meta(max_length=256, description="only ids that begin so")] = ""
    item: Annotated[
        list[Id], Meta(max_length=100, description="only these, all on one page; may be repeated")
    ] = []
    limit: Limit = 50
    cursor: Cursor | None = None


class PromotionsQuery(Struct, frozen=True, kw_only=True):
    """Which promotions."""

    active: Annotated[bool, Meta(description="only those that run now (true), or do not (false)")] | None = (
        None
    )
    item: Annotated[Id, Meta(description="only those that hold for this item")] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class ReportsQuery(Struct, frozen=True, kw_only=True):
    """Which reports."""

    key: Annotated[str, Meta(max_length=256, description="only those of this source or model")] | None = None
    since_ms: SinceMs = 0
    until_ms: UntilMs | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class DeadLettersQuery(Struct, frozen=True, kw_only=True):
    """Which dead letters."""

    reason: Annotated[str, Meta(max_length=64, description="only those refused for this reason")] | None = (
        None
    )
    topic: Annotated[str, Meta(max_length=249, description="only those sent to this topic")] | None = None
    since_ms: SinceMs = 0
    limit: Limit = 50
    cursor: Cursor | None = None


class PostQuery(Struct, frozen=True, kw_only=True):
    """Where to."""

    topic: (
        Annotated[
            Literal["browse", "search", "purchase", "feedback"],
            Meta(
                description="`events.` topic of all events given; without it each is told by its fields: `kind` is "
                "feedback, `lines` a purchase, `query` a search, else it is browse"
            ),
        ]
        | None
    ) = None


class StreamQuery(Struct, frozen=True, kw_only=True):
    """What to follow, and how fast."""

    topics: Annotated[
        str,
        Meta(
            max_length=256,
            description="names joined by commas; `metrics` stands for quality,checks,model,value",
        ),
    ]
    max_per_s: Annotated[
        int, Meta(ge=1, le=50, description="messages a second at most; the newest are sent")
    ] = 20
    since_ms: SinceMs | None = None


class StoredInteraction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a user's recent interactions, as the worker remembers it."""

    item_id: str
    kind: str
    time_ms: int
    category: str | None = None
    price: float | None = None
    dwell_ms: int | None = None


class UserEvents(Struct, frozen=True, kw_only=True):
    """Recent interactions, newest first."""

    user_id: str
    items: list[StoredInteraction]


class Weighted(Struct, frozen=True, kw_only=True):
    """A key of an affinity with its weight now, at each half-life."""

    key: str
    weights: list[float]


class Moment(Struct, frozen=True, kw_only=True):
    """Something and when it last was."""

    what: str
    time_ms: int


class UserTraits(Struct, frozen=True, kw_only=True):
    """Null where nothing is known yet."""

    spending: float | None
    promotion: float | None
    novelty: float | None


class UserState(Struct, frozen=True, kw_only=True):
    """What the worker remembers of a user, decayed to ``now_ms``."""

    user_id: str
    now_ms: int
    latest_ms: int
    n_events: int
    n_impressions: int
    platform: str | None
    traits: UserTraits
    half_lives_s: list[float]
    categories: list[Weighted]
    brands: list[Weighted]
    bands: list[Weighted]
    terms: list[Weighted]
    stores: list[Weighted]
    bought: list[Moment]
    dismissed: list[Moment]
    searches: list[Moment]
    recents: list[StoredInteraction]


class RankRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Candidates to order for a user, and what was searched for."""

    user_id: Id
    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_CANDIDATES)]
    query: Annotated[str, Meta(max_length=1024)] | None = None


class RankedCandidate(Struct, frozen=True, kw_only=True):
    """A candidate at its place. One that no worker knows has no score, and comes last in the order given."""

    item_id: str
    place: int
    score: float | None
    known: bool
    available: bool
    reasons: list[ReasonCode]


class RankAnswer(Struct, frozen=True, kw_only=True):
    """All candidates, best first."""

    user_id: str
    model_version: str
    cold_start: bool
    items: list[RankedCandidate]


class WhatIfRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to imagine: events that come now, weights times a factor, other settings of ranking."""

    events: Annotated[
        list[dict[str, Any]],
        Meta(
            max_length=MAX_IMAGINED,
            description="as posted; `event_id`, `user_id` and `time_ms` may be left out and mean now",
        ),
    ] = []
    weights: Annotated[
        dict[str, Annotated[float, Meta(ge=0.0, le=100.0)]],
        Meta(description="factor by source, group of features (`item`, `pair`, `moment`) or feature"),
    ] = {}
    settings: Annotated[
        dict[str, Any], Meta(description="settings of the section `rank`, such as `mmr_lambda`")
    ] = {}
    item: Id | None = None


class WhatIfOf(WhatIfRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same, as a worker is asked."""

    user_id: Id


class SlateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A slate that a worker is to make now."""

    user_id: Id
    query: Annotated[str, Meta(max_length=1024)] | None = None
    after_visit: bool = False


class WhatIfAnswer(Struct, frozen=True, kw_only=True):
    """The slate as it is and as it would be. Nothing is remembered."""

    now: Explanation
    imagined: Explanation


class Delivered(Struct, frozen=True, kw_only=True):
    """An event that is on the broker."""

    index: int
    event_id: str
    topic: str
    partition: int
    offset: int


class PostAnswer(Struct, frozen=True, kw_only=True):
    """What became of the events given."""

    accepted: int
    events: list[Delivered]
    rejected: list["Refused"] = []


class Refused(Struct, frozen=True, kw_only=True):
    """An event that was not taken; ``index`` counts from 0."""

    index: int
    reason: str
    detail: str
    fix: str


class ProblemDetails(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as RFC 9457 has it; ``fix`` is what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    fix: str
    rejected: list[Refused] = []


class Report(Struct, Generic[T], frozen=True, kw_only=True):
    """A record of a topic of reports; ``value`` is as the topic has it."""

    key: str
    time_ms: int
    value: T


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some of them, and where the others begin; ``next`` is null on the last page."""

    items: list[T]
    next: str | None


class Leaderboard(Struct, frozen=True, kw_only=True):
    """Name of a leaderboard: a category, or ``*`` for all."""

    name: str
    updated_ms: TimeMs


class RunningPromotion(Promotion, frozen=True, kw_only=True, omit_defaults=True):
    """A promotion, and whether it runs now."""

    active: bool = False


class DeadLetterSummary(Struct, frozen=True, kw_only=True):
    """A refused record, without its bytes."""

    partition: int
    offset: int
    refused_ms: int
    reason: str
    detail: str
    attempt: int
    key: str | None
    size_bytes: int
    topic: str | None = None
    source_partition: int | None = None
    source_offset: int | None = None


class DeadLetterFull(Struct, frozen=True, kw_only=True):
    """A refused record with its headers and bytes. ``value_text`` holds at most the first 4,000 bytes."""

    summary: DeadLetterSummary
    headers: list[tuple[str, str]]
    value_text: str
    value_base64: str


class ReplayRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to send back to their topics."""

    reason: Annotated[str, Meta(max_length=64)] | None = None
    topic: Annotated[str, Meta(max_length=249)] | None = None
    since_ms: SinceMs | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 3
    dry_run: bool = False


class ReplayAnswer(Struct, frozen=True, kw_only=True):
    """What became of them: sent by topic, left as refused too often, left as not from a topic of the shop."""

    dry_run: bool
    sent: dict[str, int]
    exhausted: int
    homeless: int


class TopicStanding(Struct, frozen=True, kw_only=True):
    """How far the read model is on a topic."""

    topic: str
    newest_ms: int | None
    offsets: dict[str, int]


class WorkerStanding(Struct, frozen=True, kw_only=True):
    """A worker as it answers now."""

    address: str
    ready: bool
    missing: list[str]


class System(Struct, frozen=True, kw_only=True):
    """The API, its read model, and the workers that it asks."""

    version: str
    uptime_s: float
    caught_up: bool
    n_streams: int
    size_bytes: int
    topics: list[TopicStanding]
    workers: list[WorkerStanding]


class Health(Struct, frozen=True, kw_only=True):
    """``missing`` is what keeps it from being ready."""

    status: str
    missing: list[str] = []
    uptime_s: float | None = None
