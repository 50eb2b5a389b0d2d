"""The shape of a record as a consumer hands it over; aiokafka's own record class fits it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.catalog import Item, Promotion
from schemas.events import AnyEvent
from schemas.rejections import Rejection


class Record(Protocol):
    """One Kafka record. ``timestamp`` is its own, in milliseconds since 1970, below 0 when it has none."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was produced, or appended, as the topic is set."""

    @property
    def key(self) -> bytes | None:
        """What it is partitioned by."""

    @property
    def value(self) -> bytes | None:
        """The event; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Names may repeat; producers may leave values null."""


class Accepted(NamedTuple):
    """An event that passed every check, and where it came from."""

    offset: int
    timestamp: int
    """The record's."""
    event: AnyEvent


class Rejected(NamedTuple):
    """A record that did not, untouched, and why."""

    record: Record
    rejection: Rejection


class Ingested(NamedTuple):
    """What one batch of one topic and partition became: every record is in exactly one of the two lists."""

    accepted: list[Accepted]
    rejected: list[Rejected]
    unknown_fields: dict[str, int]
    """How often each field that the schema does not know was seen in an accepted event, and dropped.

    At most 64 names, most frequent first kept, the rest under ``*``.
    """


class Change(NamedTuple):
    """A new entry of the catalogue, or its removal when ``entry`` is None."""

    offset: int
    id: str
    entry: Item | Promotion | None


class IngestedCatalog(NamedTuple):
    """What one batch of a ``catalog.*`` topic became; ``changes`` in the order of the records."""

    changes: list[Change]
    rejected: list[Rejected]
    unknown_fields: dict[str, int]
