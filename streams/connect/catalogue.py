"""What was last said of each item of the catalogue, so that what did not change is not sent again.

The members of a group judge apart, and entries of one item come to several of them. All follow ``catalog.items``, and
of two entries the later by its own time is right: who sees one there that is older than what it was given sends its
own again. So the last record of every item ends as the latest, whoever was slow. Nothing here talks to Kafka.
"""

from collections import OrderedDict
from typing import Final, NamedTuple, TypeVar, cast

import msgspec
from xxhash import xxh3_64_intdigest

from models.ingest.record import Change
from schemas.catalog import Item

MAX_ITEMS: Final = 200_000
"""Items remembered, those that were heard of last; about 60 MB."""
MAX_GIVEN: Final = 20_000
"""Entries kept whole, to be sent again."""
REFRESH_MS: Final = 600_000
"""An entry that did not change goes again when the one on the topic is older by this, so that its time is known."""

_encode = msgspec.json.Encoder().encode
_item = msgspec.json.Decoder(Item)
_T = TypeVar("_T")


class Sending(NamedTuple):
    """A record for ``catalog.items``; a value of None removes the item."""

    item_id: str
    value: bytes | None
    timestamp_ms: int


class _Said(NamedTuple):
    """``content`` is a hash of all but the time."""

    time_ms: int
    content: int

    def says_no_more_than(self, before: "_Said") -> bool:
        """Whether it is the same, and its time not much later."""
        return self.content == before.content and self.time_ms - before.time_ms < REFRESH_MS


class Catalogue:
    """Of one member. ``offset`` of a record is its place in the item's partition."""

    def __init__(self) -> None:
        self._on_topic: OrderedDict[str, tuple[int, _Said]] = OrderedDict()
        """Offset and entry of the last record known; one that was sent has no offset before it is delivered."""
        self._given: OrderedDict[str, tuple[_Said, Sending]] = OrderedDict()

    def give(self, change: Change, timestamp_ms: int) -> Sending | None:
        """What is to be sent of an entry that a record of ``timestamp_ms`` became; None where it says nothing new.

        A removal is always sent. Its time is the record's.
        """
        entry = cast("Item | None", change.entry)
        said = _said(entry, timestamp_ms)
        offset, before = self._on_topic.get(change.id, (-1, None))
        given, _ = self._given.get(change.id, (None, None))
        if entry is not None and any(each and said.time_ms < each.time_ms for each in (before, given)):
            return None
        sending = Sending(change.id, None if entry is None else _encode(entry), timestamp_ms)
        _keep(self._given, change.id, (said, sending), MAX_GIVEN)
        if entry is not None and before is not None and said.says_no_more_than(before):
            return None
        _keep(self._on_topic, change.id, (offset, said), MAX_ITEMS)
        return sending

    def delivered(self, item_id: str, offset: int) -> None:
        """What was sent stands on the topic at ``offset``."""
        if item_id in self._on_topic:
            before, said = self._on_topic[item_id]
            self._on_topic[item_id] = max(before, offset), said

    def hear(self, item_id: str, value: bytes | None, timestamp_ms: int, offset: int) -> Sending | None:
        """Take a record of the topic, once all that was sent is delivered; what is to be sent in answer to it."""
        known, _ = self._on_topic.get(item_id, (-1, None))
        if offset <= known:
            return None
        try:
            said = _said(None if value is None else _item.decode(value), timestamp_ms)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        given, again = self._given.get(item_id, (None, None))
        if given is not None and given.time_ms > said.time_ms and given.content != said.content:
            _keep(self._on_topic, item_id, (offset, given), MAX_ITEMS)
            return again
        _keep(self._on_topic, item_id, (offset, said), MAX_ITEMS)
        return None


def _said(entry: Item | None, timestamp_ms: int) -> _Said:
    if entry is None:
        return _Said(timestamp_ms, 0)
    return _Said(entry.time_ms, xxh3_64_intdigest(_encode(msgspec.structs.replace(entry, time_ms=0))))


def _keep(of: "OrderedDict[str, _T]", item_id: str, what: _T, most: int) -> None:
    of[item_id] = what
    of.move_to_end(item_id)
    if len(of) > most:
        of.popitem(last=False)
