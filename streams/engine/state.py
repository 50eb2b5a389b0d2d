"""A Faust table used by whole micro-batches: bulk reads, one write a key, changelog through the outbox.

Faust keeps what it is good at: the changelog topic, recovery, standbys, partitions and their RocksDB files.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import faust
from faust.types import TP
from rocksdict import WriteBatch

from streams.engine.outbox import Parcel
from streams.errors import RilletError

MIB = 1024 * 1024

log = logging.getLogger(__name__)

OFFSET_KEY: Final = b"__faust\0offset__"
"""Under this key Faust keeps how far the changelog is in RocksDB, among the values of the table."""


class StateError(RilletError):
    """The state on disk cannot be read or written."""


class StateTable:
    """Values as bytes by key and partition.

    RocksDB is written first, then the changelog; a crash in between is mended by the offset stamps in the values,
    which make the redelivered records write the same values again.

    ``is_older`` compares two values of one key: recovery leaves out what a worker that had lost its partitions, and
    did not know it yet, wrote behind the new owner's. ``on_failure`` is told what goes wrong in recovery, where Faust
    would log it and go on.
    """

    def __init__(
        self,
        app: faust.App,
        name: str,
        partitions: int,
        *,
        is_older: Callable[[bytes, bytes], bool] = lambda _value, _than: False,
        on_failure: Callable[[BaseException], None] = log.critical,
    ) -> None:
        self._table = app.Table(
            name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
            options={
                "block_cache_size": 16 * MIB,
                "write_buffer_size": 8 * MIB,
                "max_write_buffer_number": 2,
                "max_open_files": 256,
                "bloom_filter_size": 10,
            },
        )
        self._table.apply_changelog_batch = self._recover
        self._path = Path(app.conf.datadir)
        self._is_older = is_older
        self._on_failure = on_failure
        self.changelog = self._table.changelog_topic.get_topic_name()

    def load(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values (n,) of ``keys`` (n,) in one partition."""
        with self._disk():
            return list(self._db(partition).get([free(key) for key in keys]))

    def store(self, partition: int, items: Sequence[tuple[bytes, bytes]], parcel: Parcel) -> None:
        """Write ``items`` and send them to the changelog."""
        batch = WriteBatch(raw_mode=True)
        items = [(free(key), value) for key, value in items]
        for key, value in items:
            batch.put(key, value)
        with self._disk():
            self._db(partition).write(batch)
        parcel.add_changelog(self.changelog, partition, items)

    def persisted(self, partition: int, offset: int) -> None:
        """Remember that RocksDB holds the changelog up to ``offset``: recovery starts behind it."""
        with self._disk():
            self._table.data.set_persisted_offset(TP(self.changelog, partition), offset)

    def _recover(self, events: Iterable[Any]) -> None:
        try:
            with self._disk():
                self._table.data.apply_changelog_batch(
                    self._newer(events), to_key=lambda key: key, to_value=lambda value: value
                )
        except Exception as error:
            self._on_failure(error)

    def _newer(self, events: Iterable[Any]) -> Iterator[Any]:
        """Events whose value is not older than the one before it, or than the stored one."""
        newest: dict[tuple[int, bytes], bytes | None] = {}
        for event in events:
            message = event.message
            place = (message.partition, message.key)
            known = newest[place] if place in newest else self._db(message.partition).get(message.key)
            if known and message.value and self._is_older(message.value, known):
                continue
            newest[place] = message.value
            yield event

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # rocksdict raises nothing more precise
            raise StateError(
                f"The state in {self._path} cannot be read or written: {error}",
                fix="Make room or mend the disk, then start the worker again: it goes on from its last commit. A "
                "damaged folder may be deleted: it is rebuilt from the changelog topics.",
            ) from error

    def _db(self, partition: int):  # type: ignore[no-untyped-def]
        return self._table.data._db_for_partition(partition)


def free(key: bytes) -> bytes:
    """``key`` as stored: one more zero byte before Faust's own key and any zero bytes, as a user may be called so."""
    return b"\0" + key if key.endswith(OFFSET_KEY) and not key[: -len(OFFSET_KEY)].strip(b"\0") else key


def freed(key: bytes) -> bytes:
    """The key that ``free`` made this one from."""
    return key[1:] if key != OFFSET_KEY and free(key) != key else key
