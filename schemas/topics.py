"""The one catalogue of topics: name, key, value type, partitions, retention, clean-up policy, owner.

It creates nothing and knows no broker: ``streams`` creates the topics, ``schemas.documents`` describes them.

All topics keep Kafka's ``CreateTime`` timestamps, so that a replayed log carries its own times and ingest
decides on it as it did live. A log older than a topic's retention is deleted on arrival: raise the retention
first, or shift the times.
"""

import re
from dataclasses import dataclass
from types import UnionType
from typing import Final, Literal

from schemas.audit import AuditEntry
from schemas.catalog import Item, Promotion
from schemas.checks import Alert, CheckReport
from schemas.events import AnyEvent, Browse, Feedback, Purchase, Search
from schemas.inventory import Asset
from schemas.metrics import ModelReport
from schemas.outputs import Related, Slate, Trending
from schemas.quality import QualityReport
from schemas.snapshots import Announced, Promoted
from schemas.value import ValueReport

BROWSE: Final = "events.browse"
SEARCH: Final = "events.search"
PURCHASE: Final = "events.purchase"
FEEDBACK: Final = "events.feedback"
DEAD_LETTER: Final = "events.dead-letter"
ITEMS: Final = "catalog.items"
PROMOTIONS: Final = "catalog.promotions"
SLATES: Final = "recommendations.user"
TRENDING: Final = "recommendations.trending"
RELATED: Final = "recommendations.related"
QUALITY: Final = "metrics.quality"
MODEL: Final = "metrics.model"
VALUE: Final = "metrics.value"
CHECKS: Final = "metrics.checks"
ALERTS: Final = "alerts"
AUDIT: Final = "audit.log"
ASSETS: Final = "inventory.assets"
INTERACTIONS: Final = "knowledge.interactions"
PARAMETERS: Final = "knowledge.parameters"
VERSIONS: Final = "models.versions"

BEHAVIOUR: Final = (BROWSE, SEARCH, PURCHASE, FEEDBACK)
"""What shoppers do: keyed by user, co-partitioned with each other, the slates and the changelogs."""

OVERALL: Final = "*"
"""Key of the leaderboard over all categories; a category of this very name gets no leaderboard of its own."""

APP_ID: Final = "rillet"
PARTITIONS: Final = 4
MAX_PARTITIONS: Final = 10_000
MAX_NAME_BYTES: Final = 249

DAY_MS: Final = 86_400_000
FOREVER: Final = -1
MIB: Final = 1024 * 1024
KAFKA_MAX_MESSAGE_BYTES: Final = MIB + 12
"""The broker's own default of ``max.message.bytes``."""

TOMBSTONE_RETENTION_MS: Final = 7 * DAY_MS
"""A reader of a compacted topic may be away this long and still learns of every removal."""

Cleanup = Literal["delete", "compact", "compact,delete"]

_NAME = re.compile(r"[a-zA-Z0-9]+(?:[.-][a-zA-Z0-9]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """One topic. ``value_type`` is ``bytes`` if not JSON; agents get ``batched`` ones as whole fetches."""

    name: str
    key: str
    value_type: type | UnionType
    description: str
    owner: str
    partitions: int
    retention_ms: int
    cleanup: Cleanup = "delete"
    max_message_bytes: int = KAFKA_MAX_MESSAGE_BYTES
    batched: bool = False
    internal: bool = False
    """Read by Rillet itself only: its values may change with any release."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > MAX_NAME_BYTES:
            raise ValueError(
                f"topic name {self.name!r}: groups of letters and digits joined by dots or hyphens, "
                f"at most {MAX_NAME_BYTES} in all (underscores collide with dots in metric names)"
            )
        if not 1 <= self.partitions <= MAX_PARTITIONS:
            raise ValueError(
                f"topic {self.name}: {self.partitions} partitions, allowed are 1 to {MAX_PARTITIONS}"
            )

    @property
    def compacted(self) -> bool:
        """Whether the newest record of each key outlives older ones, and a null value removes the key."""
        return "compact" in self.cleanup

    def config(self) -> dict[str, str]:
        """Settings of the topic as Kafka names them."""
        settings = {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }
        return settings | ({"delete.retention.ms": str(TOMBSTONE_RETENTION_MS)} if self.compacted else {})


def catalogue(partitions: int = PARTITIONS) -> tuple[Topic, ...]:
    """Every topic but the changelogs.

    ``partitions`` can never change later: a user's state lives in the partition that the user id hashes to.
    """
    return (
        *_behaviour(partitions),
        _dead_letter(partitions),
        *_catalog(partitions),
        *_recommendations(partitions),
        *_metrics(),
        _audit(),
        _assets(),
        _versions(),
        _interactions(),
        _parameters(),
    )


def changelogs(app_id: str = APP_ID, partitions: int = PARTITIONS) -> tuple[Topic, ...]:
    """The changelogs of the worker's tables, under the names that Faust expects.

    Compacted only: a changelog that also expires hangs recovery.
    """
    tables = {
        "interest": (
            "user_id",
            "One user's state, with the offsets folded into it.",
        ),
        "quality": ("source_partition", "Decayed counters and sketches of one source topic and partition."),
    }
    return tuple(
        Topic(
            name=f"{app_id}-{table}-changelog",
            key=key,
            value_type=bytes,
            description=f"{text} Compact binary, read by the worker only.",
            owner=app_id,
            partitions=partitions,
            retention_ms=FOREVER,
            cleanup="compact",
            internal=True,
        )
        for table, (key, text) in tables.items()
    )


def topic(name: str, partitions: int = PARTITIONS) -> Topic:
    """The topic of that name; ``KeyError`` naming the known ones when there is none."""
    known = {each.name: each for each in catalogue(partitions)}
    if name not in known:
        raise KeyError(f"no topic {name!r} in the catalogue, which holds: {', '.join(known)}")
    return known[name]


def of_event(event: AnyEvent) -> str:
    """The topic that an event belongs on."""
    return _TOPIC_OF.get(type(event), FEEDBACK)


_TOPIC_OF: Final[dict[type, str]] = {Browse: BROWSE, Search: SEARCH, Purchase: PURCHASE}


def _behaviour(partitions: int) -> tuple[Topic, ...]:
    values: tuple[tuple[str, type | UnionType, str], ...] = (
        (BROWSE, Browse, "Looks at item pages."),
        (SEARCH, Search, "Queries typed by shoppers."),
        (PURCHASE, Purchase, "Orders with their lines."),
        (
            FEEDBACK,
            Feedback,
            "What was shown, clicked, put into the cart, kept, dismissed, rated or dwelt on.",
        ),
    )
    note = (
        " Not compacted and not transactional, so that offsets have no gaps and a jump means loss."
        " Takes records of up to 2 MiB so that ingest itself refuses what exceeds 1 MiB, visibly."
        " Kept 28 days: long enough to replay, short enough that erasure within 30 days needs no rewriting."
    )
    return tuple(
        Topic(
            name=name,
            key="user_id",
            value_type=value,
            description=text + note,
            owner="shop",
            partitions=partitions,
            retention_ms=28 * DAY_MS,
            max_message_bytes=2 * MIB,
            batched=True,
        )
        for name, value, text in values
    )


def _dead_letter(partitions: int) -> Topic:
    return Topic(
        name=DEAD_LETTER,
        key="key of the refused record",
        value_type=bytes,
        description="Refused records: key, value and headers verbatim, with source coordinates and reason in "
        "further headers. 3 MiB leave room for the largest record and what is added to it.",
        owner="rillet",
        partitions=partitions,
        retention_ms=28 * DAY_MS,
        max_message_bytes=3 * MIB,
    )


def _catalog(partitions: int) -> tuple[Topic, ...]:
    values: tuple[tuple[str, str, type, str], ...] = (
        (ITEMS, "item_id", Item, "The items the shop sells."),
        (PROMOTIONS, "promotion_id", Promotion, "The promotions that run or will run."),
    )
    return tuple(
        Topic(
            name=name,
            key=key,
            value_type=value,
            description=f"{text} The newest record of a key holds, a null value removes it.",
            owner="shop",
            partitions=partitions,
            retention_ms=FOREVER,
            cleanup="compact",
        )
        for name, key, value, text in values
    )


def _recommendations(partitions: int) -> tuple[Topic, ...]:
    return (
        Topic(
            name=SLATES,
            key="user_id",
            value_type=Slate,
            description="The latest slate of each user. One not refreshed for 7 days goes.",
            owner="rillet",
            partitions=partitions,
            retention_ms=7 * DAY_MS,
            cleanup="compact,delete",
        ),
        Topic(
            name=TRENDING,
            key="category",
            value_type=Trending,
            description=f"The latest leaderboard of each category, and of all under the key `{OVERALL}`.",
            owner="rillet",
            partitions=1,
            retention_ms=FOREVER,
            cleanup="compact",
        ),
        Topic(
            name=RELATED,
            key="item_id",
            value_type=Related,
            description="The items that go with each item. A null value when the item left the catalogue.",
            owner="rillet",
            partitions=partitions,
            retention_ms=FOREVER,
            cleanup="compact",
        ),
    )


def _metrics() -> tuple[Topic, ...]:
    values: tuple[tuple[str, str, type, str], ...] = (
        (QUALITY, "source", QualityReport, "Data quality of each source, window by window."),
        (MODEL, "model", ModelReport, "Prequential figures of each model version, window by window."),
        (VALUE, "of", ValueReport, "What each source of data is worth to the ranking, window by window."),
        (CHECKS, "source", CheckReport, "Checks of each source over all partitions, window by window."),
        (ALERTS, "source", Alert, "Checks that changed their status, with the evidence; recoveries too."),
    )
    return tuple(
        Topic(
            name=name,
            key=key,
            value_type=value,
            description=f"{text} One partition, so that windows are in order; aggregates only, kept 90 days.",
            owner="rillet",
            partitions=1,
            retention_ms=90 * DAY_MS,
        )
        for name, key, value, text in values
    )


def _audit() -> Topic:
    return Topic(
        name=AUDIT,
        key="subject",
        value_type=AuditEntry,
        description="Promotions, resets and rollbacks of models: who, what, when and why. Only ever added to. "
        "One partition, so that they are in order; kept 400 days.",
        owner="rillet",
        partitions=1,
        retention_ms=400 * DAY_MS,
    )


def _assets() -> Topic:
    return Topic(
        name=ASSETS,
        key="asset",
        value_type=Asset,
        description="What is known of each topic and table of the cluster, by its name. One that went away says so "
        "for a while; then a null value removes it. One partition.",
        owner="rillet",
        partitions=1,
        retention_ms=FOREVER,
        cleanup="compact",
    )


def _versions() -> Topic:
    return Topic(
        name=VERSIONS,
        key="announced/model/version or promoted/model",
        value_type=Announced | Promoted,
        description="Snapshots of models that can be served, and which of them does. A null value when a "
        "snapshot was removed. One partition; every worker reads all of it.",
        owner="rillet",
        partitions=1,
        retention_ms=FOREVER,
        cleanup="compact",
    )


def _interactions() -> Topic:
    return Topic(
        name=INTERACTIONS,
        key="source topic and partition",
        value_type=bytes,
        description="Accepted interactions as columnar micro-batches, from which all workers learn "
        "the shared knowledge base. One partition, so that all fold in the same order; each reads all "
        "of it anyway. Kept 7 days: what a fresh worker needs to be warm.",
        owner="rillet",
        partitions=1,
        retention_ms=7 * DAY_MS,
        max_message_bytes=4 * MIB,
        internal=True,
    )


def _parameters() -> Topic:
    return Topic(
        name=PARAMETERS,
        key="base/scorer, part/scorer/partition or champion",
        value_type=bytes,
        description="What the scorers have learned: by partition, to be added up, and which of them serves. "
        "One partition; every worker reads all of it and starts from it.",
        owner="rillet",
        partitions=1,
        retention_ms=FOREVER,
        cleanup="compact",
        internal=True,
    )
