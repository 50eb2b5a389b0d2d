"""Settings of the ingest stage."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas import topics


class Format(StrEnum):
    """In whose words the events of a topic are written."""

    AUTO = "auto"
    CANONICAL = "canonical"
    GA4 = "ga4"
    SEGMENT = "segment"


class IngestSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_lateness_ms: int = Field(
        7 * topics.DAY_MS,
        gt=0,
        description="Events older than this at their record's own timestamp are refused, milliseconds.",
    )
    future_tolerance_ms: int = Field(
        300_000,
        ge=0,
        description="How far ahead of its record's timestamp an event may be: clocks differ, milliseconds.",
    )
    max_value_bytes: int = Field(
        topics.MIB,
        gt=0,
        le=2 * topics.MIB,
        description="Larger values are refused, before and after they are inflated.",
    )
    formats: dict[str, Format] = Field(
        default_factory=dict,
        description="Format of a topic's events. Topics not named are `auto`: a header or a field that "
        "only one format has decides, otherwise canonical.",
    )

    @field_validator("formats")
    @classmethod
    def _only_behaviour_topics(cls, formats: dict[str, Format]) -> dict[str, Format]:
        unknown = sorted(set(formats) - set(topics.BEHAVIOUR))
        if unknown:
            raise ValueError(
                f"formats names {', '.join(unknown)}; only {', '.join(topics.BEHAVIOUR)} have one"
            )
        return formats

    def format_of(self, topic: str) -> Format:
        """The format set for ``topic``."""
        return self.formats.get(topic, Format.AUTO)
