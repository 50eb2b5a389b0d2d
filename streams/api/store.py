"""The read model on disk: newest values by key, reports by time, and how far each partition was read.

One RocksDB. What a batch of records changes and how far it reached is one write, so that a process that is killed goes
on exactly behind what it holds. It knows no broker and no HTTP.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct as Layout
from typing import Any, Final, NamedTuple, Self

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, RdictIter, WriteBatch

from schemas import topics
from streams.errors import RilletError, SettingsError

MIB: Final = 1024 * 1024
FORMAT: Final = b"1"

LATEST: Final = {
    topics.SLATES: b"s",
    topics.TRENDING: b"t",
    topics.RELATED: b"r",
    topics.ITEMS: b"i",
    topics.PROMOTIONS: b"p",
    topics.VERSIONS: b"v",
    topics.ASSETS: b"a",
}
"""Topics of which the newest value of each key is held, with the first byte of their keys on disk."""

LOGS: Final = {
    topics.QUALITY: b"Q",
    topics.CHECKS: b"C",
    topics.MODEL: b"M",
    topics.VALUE: b"V",
    topics.ALERTS: b"A",
    topics.AUDIT: b"U",
    topics.DEAD_LETTER: b"D",
}
"""Topics of which the newest records are held, by time."""

_HEAD: Final = Layout(">qH")
"""Of a value: time_ms, bytes of the id that follows."""
_PLACE: Final = Layout(">qiq")
"""Key of a report: time_ms, partition, offset."""
_SIZE: Final = Layout(">H")
_OFFSET: Final = Layout(">q")
_LOCKED: Final = re.compile("While lock file|lock hold by")
_FORMAT_KEY: Final = b"\0format"
_FOLLOWED_KEY: Final = b"\0followed"
_OFFSETS: Final = b"\0offset/"


class Held(NamedTuple):
    """A newest value. ``id`` names this version of it, empty where records have none."""

    time_ms: int
    id: bytes
    body: bytes


class Logged(NamedTuple):
    """A record of a log, and where it stands among the others: cursors are made of the place."""

    place: bytes
    time_ms: int
    partition: int
    offset: int
    key: bytes
    body: bytes


class StoreError(RilletError):
    """The read model on disk cannot be read or written."""


class Store:
    """Opened by one process at a time, from one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _opened(path)
        held = self._value(_FORMAT_KEY)
        if held is None:
            self._db[_FORMAT_KEY] = FORMAT
        elif held != FORMAT:
            raise StoreError(
                f"The read model in {path} is of another release.", fix="Delete the folder: it is made anew."
            )

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()

    def get(self, topic: str, key: bytes) -> Held | None:
        """The newest value of a key."""
        value = self._value(LATEST[topic] + key)
        return None if value is None else _held(value)

    def ids(self, topic: str, keys: list[bytes]) -> list[bytes | None]:
        """Ids of the newest values of keys, None where there is none."""
        tag = LATEST[topic]
        found = self._value([tag + key for key in keys])
        return [None if value is None else _id(value) for value in found]

    def after(self, topic: str, key: bytes) -> Iterator[tuple[bytes, Held]]:
        """Keys behind ``key`` in their order, with their values."""
        for found, value in self._range(LATEST[topic], LATEST[topic] + key + b"\0"):
            yield found, _held(value)

    def ages(self, topic: str, key: bytes) -> Iterator[tuple[bytes, int]]:
        """As ``after``, the time of each alone."""
        for found, value in self._range(LATEST[topic], LATEST[topic] + key + b"\0"):
            yield found, _HEAD.unpack_from(value)[0]

    def newest(self, topic: str, before: bytes | None = None) -> Iterator[Logged]:
        """Records of a log, the newest first, or those that stand before a place."""
        tag = LOGS[topic]
        it = self._db.iter()
        it.seek_for_prev(tag + (before or b"\xff" * _PLACE.size))
        while it.valid() and (key := it.key()).startswith(tag):
            if key[1:] != before:
                yield _logged(key[1:], it.value())
            it.prev()
        self._check(it)

    def offsets(self) -> dict[tuple[str, int], int]:
        """The next offset of each topic and partition that was read."""
        found = {}
        for name, value in self._range(_OFFSETS, _OFFSETS):
            topic, _, partition = name.rpartition(b"/")
            found[topic.decode(), int(partition)] = _OFFSET.unpack(value)[0]
        return found

    def followed_ms(self) -> int | None:
        """When the topics were last followed, None in a new store."""
        value = self._value(_FOLLOWED_KEY)
        return None if value is None else int(_OFFSET.unpack(value)[0])

    def changes(self) -> "Changes":
        """A write to be."""
        return Changes(self._db, self._path)

    def forget(self, topic: str) -> None:
        """Drop all that is held of a topic, its offsets too."""
        tag = LATEST.get(topic) or LOGS[topic]
        changes = self.changes()
        changes.batch.delete_range(tag, bytes([tag[0] + 1]))
        for name, partition in self.offsets():
            if name == topic:
                changes.batch.delete(_offset_key(topic, partition))
        changes.write()

    @property
    def size_bytes(self) -> int:
        """On disk."""
        return int(self._db.property_int_value("rocksdb.total-sst-files-size") or 0)

    def _range(self, tag: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys without their tag, from ``start`` to the end of the tag."""
        it = self._db.iter()
        it.seek(start)
        while it.valid() and (key := it.key()).startswith(tag):
            yield key[len(tag) :], it.value()
            it.next()
        self._check(it)

    def _value(self, key: Any) -> Any:
        """The value of a key, those of a list of keys."""
        try:
            return self._db.get(key)
        except Exception as error:  # rocksdict raises nothing more precise
            raise _damaged(self._path, error) from error

    def _check(self, it: RdictIter) -> None:
        """An iterator that meets a damaged block is at its end."""
        try:
            it.status()
        except Exception as error:  # rocksdict raises nothing more precise
            raise _damaged(self._path, error) from error


class Changes:
    """What one batch of records changes; all of it is written, or nothing."""

    def __init__(self, db: Rdict, path: Path) -> None:
        self._db, self._path = db, path
        self.batch = WriteBatch(raw_mode=True)

    def put(self, topic: str, key: bytes, held: Held) -> Self:
        """Set the newest value of a key."""
        self.batch.put(LATEST[topic] + key, _HEAD.pack(held.time_ms, len(held.id)) + held.id + held.body)
        return self

    def remove(self, topic: str, keys: Iterable[bytes]) -> Self:
        """Drop keys."""
        for key in keys:
            self.batch.delete(LATEST[topic] + key)
        return self

    def add(self, topic: str, partition: int, offset: int, time_ms: int, key: bytes, body: bytes) -> Self:
        """Add a record to a log."""
        place = _PLACE.pack(max(time_ms, 0), partition, offset)
        self.batch.put(LOGS[topic] + place, _SIZE.pack(len(key)) + key + body)
        return self

    def cut(self, topic: str, places: Iterable[bytes]) -> Self:
        """Drop records of a log."""
        for place in places:
            self.batch.delete(LOGS[topic] + place)
        return self

    def reached(self, topic: str, partition: int, next_offset: int) -> Self:
        """Remember where to go on."""
        self.batch.put(_offset_key(topic, partition), _OFFSET.pack(next_offset))
        return self

    def followed(self, now_ms: int) -> Self:
        """Remember that the topics were followed until now."""
        self.batch.put(_FOLLOWED_KEY, _OFFSET.pack(now_ms))
        return self

    def write(self) -> None:
        """Make it so.

        Raises:
            StoreError: the disk would not.
        """
        try:
            self._db.write(self.batch)
        except Exception as error:  # rocksdict raises nothing more precise
            raise StoreError(
                f"The read model in {self._path} cannot be written: {error}",
                fix="Make room or mend the disk, then start again. A damaged folder may be deleted: it is made anew.",
            ) from error


def _opened(path: Path) -> Rdict:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return Rdict(str(path), options=_options())
    except OSError as error:
        raise SettingsError(
            f"Nothing can be kept in {path}: {error.strerror}.",
            fix="Make it writable, or name another folder with api.datadir (RILLET_API__DATADIR).",
        ) from error
    except Exception as error:  # rocksdict raises nothing more precise
        if _LOCKED.search(str(error)):
            raise SettingsError(
                f"Another process has the read model in {path}.",
                fix="Give each replica a folder of its own: api.datadir (RILLET_API__DATADIR).",
            ) from error
        raise StoreError(
            f"The read model in {path} cannot be opened: {error}", fix="Delete the folder: it is made anew."
        ) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"The read model in {path} cannot be read: {error}",
        fix="Stop the API and delete the folder: it is made anew.",
    )


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(32 * MIB))
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(16 * MIB)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    return options


def _offset_key(topic: str, partition: int) -> bytes:
    return _OFFSETS + f"{topic}/{partition}".encode()


def _id(value: bytes) -> bytes:
    size = _HEAD.unpack_from(value)[1]
    return value[_HEAD.size : _HEAD.size + size]


def _held(value: bytes) -> Held:
    time_ms, size = _HEAD.unpack_from(value)
    start = _HEAD.size + size
    return Held(time_ms, value[_HEAD.size : start], value[start:])


def _logged(place: bytes, value: bytes) -> Logged:
    (size,) = _SIZE.unpack_from(value)
    key_end = _SIZE.size + size
    time_ms, partition, offset = _PLACE.unpack(place)
    return Logged(place, time_ms, partition, offset, value[_SIZE.size : key_end], value[key_end:])
