"""What is known of each topic and table: the values of the topic ``inventory.assets``.

Figures about columns are of a sample of the newest records; no value of a record ever appears here. Times and rates are
as they were at ``last_seen_ms``.
"""

from typing import Literal

from msgspec import Struct

from schemas.events import SCHEMA_VERSION
from schemas.quality import Scores

AssetKind = Literal["topic", "table"]
Content = Literal["json", "text", "binary", "registry", "gzip", "empty", "unknown"]
ColumnType = Literal["string", "integer", "number", "boolean", "object", "array", "null", "mixed"]


class Column(Struct, frozen=True, kw_only=True):
    """One field of the values, by its path: ``lines[].price`` is the price of each line."""

    path: str
    type: ColumnType
    format: str | None
    null_share: float
    n_distinct: int
    unique: bool
    personal: str | None
    personal_share: float | None


class Reader(Struct, frozen=True, kw_only=True):
    """A consumer group that reads the asset."""

    group: str
    state: str
    lag: int


class Cost(Struct, frozen=True, kw_only=True):
    """What the asset takes."""

    bytes_per_day: float | None
    lag_share: float | None


class Proposal(Struct, frozen=True, kw_only=True):
    """How records of a topic that Rillet does not know become its events, tried on the sample."""

    vocabulary: str
    mapping: str | None
    events: dict[str, int]
    n_refused: int


class Asset(Struct, frozen=True, kw_only=True):
    """One topic, or one table by its changelog. A null value means that it has been gone for long."""

    asset: str
    kind: AssetKind
    known: bool
    owner: str | None
    description: str | None
    contract: str | None
    key: str | None
    content: Content
    columns: list[Column]
    fingerprint: str
    time_column: str | None
    n_partitions: int
    replication: int
    cleanup: str | None
    retention_ms: int | None
    n_records: int
    size_bytes: int | None
    record_bytes: float | None
    records_per_s: float
    newest_ms: int | None
    freshness_s: float | None
    upstream: list[str]
    downstream: list[str]
    reaches: list[str]
    readers: list[Reader]
    scores: Scores | None
    scores_of: Literal["reports", "sample"] | None
    value: float | None
    cost: Cost
    proposal: Proposal | None
    n_sampled: int
    n_unreadable: int
    first_seen_ms: int
    last_seen_ms: int
    present: bool = True
    schema_version: int = SCHEMA_VERSION
