"""The shape of a record as a consumer hands it over; aiokafka's own record class fits it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.events import AnyEvent
from schemas.rejections import Rejection


class Record(Protocol):
    """One Kafka record. ``timestamp`` is the record's own, in milliseconds: create or append time, as the topic is set."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Accepted(NamedTuple):
    """An event that passed every check, and where it came from."""

    offset: int
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
    """How often each field that the schema does not know was seen (and dropped); at most 64 names, longest tail under ``*``."""
