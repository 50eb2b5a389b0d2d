"""Settings of the shared knowledge base: every vocabulary is bounded."""

from pydantic import BaseModel, ConfigDict, Field


class KnowledgeSettings(BaseModel):
    """Frozen; unknown keys are refused. When a vocabulary is full, what was not seen for longest is forgotten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_items: int = Field(200_000, ge=64, le=20_000_000, description="items known at the same time")
    max_categories: int = Field(10_000, ge=8, description="categories known at the same time")
    max_brands: int = Field(50_000, ge=8, description="brands known at the same time")
    max_terms: int = Field(100_000, ge=8, description="tokens of titles and queries known at the same time")
    max_queries: int = Field(50_000, ge=8, description="whole queries known at the same time")
    max_segments: int = Field(64, ge=8, description="cold-start segments known at the same time")
