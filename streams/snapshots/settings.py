"""Settings of where snapshots lie and how many are kept."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

GIB: Final = 1 << 30


class SnapshotSettings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        ".rillet/models",
        min_length=1,
        description="Where snapshots of models lie: a folder that trainer and workers share, or a URL that "
        "fsspec knows, such as `s3://bucket/models`; credentials come from that package's own environment.",
    )
    keep: int = Field(
        8,
        ge=2,
        le=1_000,
        description="Snapshots that are kept; older ones go, but not the one that serves and the one before.",
    )
    max_bytes: int = Field(
        4 * GIB, ge=1 << 20, description="Size of a snapshot above which it is neither written nor read."
    )
