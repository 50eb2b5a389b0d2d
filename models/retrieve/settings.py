"""Settings of the retrieval sources, one nested model each, and how many of everything they are built for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.interest.terms import MAX_ITEM_TERMS

Decay = Literal["same", "linear", "div", "log", "quadratic"]
Seconds = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0


class SourceSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Whether the source is asked for candidates, and learns.")


class SessionKnnSettings(SourceSettings):
    """VMIS-kNN over the latest sessions; the defaults were chosen on the last training days of Diginetica."""

    neighbours: int = Field(100, ge=1, le=10_000, description="k, the most similar sessions that vote.")
    sample: int = Field(
        500, ge=1, le=100_000, description="m, the most recent sessions among which neighbours are sought."
    )
    query_items: int = Field(
        10, ge=1, le=64, description="Latest distinct items of the session that are asked about."
    )
    position_decay: Decay = Field(
        "linear", description="How items of the session lose weight by their position."
    )
    step_decay: Decay = Field(
        "div", description="How a neighbour's vote loses weight the older the newest item it shares is."
    )
    distance_decay: Share = Field(
        0.5,
        description="Items of a neighbour d places from the newest shared one weigh 1 - this * (1 - 1 / d).",
    )
    idf_weight: float = Field(
        1.0,
        ge=0.0,
        le=100.0,
        description="Votes are multiplied by 1 + idf_weight * log(sessions / with the item).",
    )
    n_blocks: int = Field(
        1 << 18,
        ge=2,
        le=1 << 28,
        description="Blocks of up to 6 sessions of one item, rounded up to a power of two; 68 bytes each.",
    )
    n_sessions: int = Field(
        1 << 17,
        ge=1,
        le=1 << 28,
        description="Sessions kept, rounded up to a power of two; 92 + 4 session_items bytes.",
    )
    session_items: int = Field(32, ge=2, le=1_024, description="Latest distinct items kept of a session.")
    idle_s: Seconds = Field(
        30 * MINUTE_S, description="Idle time that ends a session the shop sent no id for."
    )


class CovisitationSettings(SourceSettings):
    """Items that follow one another within sessions."""

    neighbours: int = Field(32, ge=1, le=1_024, description="Neighbours kept of an item; 12 bytes each.")
    window: int = Field(
        5, ge=1, le=64, description="Items of the session before an interaction that it is paired with."
    )
    backward: Share = Field(
        0.5, description="Weight of `B before A` for the list of A, where `A before B` weighs 1."
    )
    half_life_s: Seconds = Field(14 * DAY_S, description="Half-life of a pair's count.")
    smoothing: float = Field(
        5.0,
        ge=0.0,
        description="Weight added to the total of an item's pairs: less is made of seldom seen items.",
    )
    query_items: int = Field(
        10, ge=1, le=1_024, description="Latest items of the session that are asked about."
    )
    position_decay: Decay = Field(
        "div", description="How items of the session lose weight by their position."
    )
    n_sessions: int = Field(
        1 << 17,
        ge=1,
        le=1 << 28,
        description="Sessions kept open, rounded up to a power of two; 92 + 4 window bytes.",
    )
    idle_s: Seconds = Field(
        30 * MINUTE_S, description="Idle time that ends a session the shop sent no id for."
    )


class TrendingSettings(SourceSettings):
    """What is popular now."""

    half_lives_s: tuple[Seconds, ...] = Field(
        (10 * MINUTE_S, 6 * HOUR_S, 7 * DAY_S),
        min_length=1,
        max_length=8,
        description="Half-lives of the counts.",
    )
    blend: tuple[Share, ...] = Field(
        (0.2, 0.3, 0.5),
        min_length=1,
        max_length=8,
        description="Weight of an item's share at each half-life.",
    )
    pool: int = Field(
        256, ge=1, le=65_536, description="Best items of each half-life that the blend is made from."
    )

    def model_post_init(self, _context: object) -> None:
        """Refuse lists of different lengths."""
        if len(self.blend) != len(self.half_lives_s):
            raise ValueError(
                f"blend has {len(self.blend)} weights for {len(self.half_lives_s)} half-lives: give one each"
            )


class ContentSettings(SourceSettings):
    """Items by attributes and words."""

    half_life_s: Seconds = Field(7 * DAY_S, description="Half-life of an item's popularity.")
    row_items: int = Field(
        64, ge=1, le=4_096, description="Items kept of a category or brand; 12 bytes each."
    )
    posted_items: int = Field(128, ge=1, le=65_536, description="Items kept of a token; 4 bytes each.")
    item_terms: int = Field(16, ge=1, le=MAX_ITEM_TERMS, description="Tokens kept of an item; 4 bytes each.")
    brand_share: Share = Field(
        0.4, description="Weight of the brands' part; the categories' is the rest to 1."
    )
    text_share: float = Field(1.0, ge=0.0, le=100.0, description="Weight of the part that the words have.")
    price_band: float = Field(
        0.7,
        gt=0.0,
        description="Distance in log(1 + price) at which an item's score falls to its half.",
    )
    smoothing: float = Field(5.0, ge=0.0, description="Weight added to the total of a category or brand.")
    new_item_weight: float = Field(
        0.1, gt=0.0, description="Weight of a new catalogue item where its category or brand has room."
    )


class SearchIntentSettings(SourceSettings):
    """Items that followed the same query."""

    half_life_s: Seconds = Field(14 * DAY_S, description="Half-life of a count.")
    row_items: int = Field(32, ge=1, le=4_096, description="Items kept of a query; 12 bytes each.")
    smoothing: float = Field(2.0, ge=0.0, description="Weight added to the total of a query.")


class ColdStartSettings(SourceSettings):
    """Popularity by segment."""

    half_life_s: Seconds = Field(3 * DAY_S, description="Half-life of a count.")
    row_items: int = Field(256, ge=1, le=65_536, description="Items kept of a segment; 12 bytes each.")
    prior_weight: float = Field(
        200.0, gt=0.0, description="Weight of interactions at which a segment's own popularity counts half."
    )


class RecentSettings(SourceSettings):
    """The user's own items."""

    current: bool = Field(
        False, description="Whether the item of this moment is named: of use where it may next be bought."
    )
    fade: float = Field(
        1.0, ge=0.0, le=10.0, description="An item n places before the last one weighs 1 / n to this power."
    )


class EmbeddingSettings(SourceSettings):
    """Items near the user in the space of the embedding model; silent until there is one."""

    sharpness: float = Field(
        16.0, gt=0.0, le=100.0, description="An item loses its score by exp(this * the cosine it lacks)."
    )


class RetrieveSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_knn: SessionKnnSettings = SessionKnnSettings()
    covisitation: CovisitationSettings = CovisitationSettings()
    trending: TrendingSettings = TrendingSettings()
    content: ContentSettings = ContentSettings()
    search: SearchIntentSettings = SearchIntentSettings()
    cold_start: ColdStartSettings = ColdStartSettings()
    recent: RecentSettings = RecentSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
