"""How far a replay came: one small file in the user's state folder, moved on only after delivery.

It is found by what would be sent and where to: the log's name, size and beginning, the mapping, whether times
are shifted, and the cluster. Any other log, mapping or cluster has a bookmark of its own."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from xxhash import xxh3_64_hexdigest

from streams.errors import InputError
from streams.log import Log
from streams.log.source import opened

HEAD_BYTES: Final = 65_536
"""Of the beginning of a log that tell it from others of its name and size."""


class Place(msgspec.Struct, frozen=True):
    """Events delivered, in the order of the log, and by how much their times were shifted."""

    n_events: int = 0
    shift_ms: int | None = None
    done: bool = False
    log: str = ""
    """For whoever looks into the file."""


class Bookmark:
    """The place in one log, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Place:
        """The place of the last run; the beginning when there was none, or its file is damaged."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Place)
        except (FileNotFoundError, msgspec.DecodeError):
            return Place()

    def write(self, place: Place) -> None:
        """Replace the file as a whole, so that a crash leaves the old place or the new one."""
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(place))
        new.replace(self._path)


@contextmanager
def bookmark(key: str) -> Iterator[Bookmark]:
    """The bookmark of this key, for this process alone.

    Raises:
        InputError: another process replays the same log to the same cluster.
    """
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "This log is being replayed to this cluster by another process.",
                fix="Wait for it to end, or stop it.",
            ) from error
        yield Bookmark(folder / f"{key}.json")


def state_folder() -> Path:
    """``$XDG_STATE_HOME/rillet/replay``, by default under ``~/.local/state``."""
    root = os.environ.get("XDG_STATE_HOME")
    return (Path(root) if root else Path.home() / ".local" / "state") / "rillet" / "replay"


def key_of(log: Log, shift: str, cluster: str) -> str:
    """Identifies what is sent, and where to."""
    with opened(log.path) as source:
        head = source.packed.read(HEAD_BYTES)
        size_bytes = source.size_bytes
    name = log.path.rpartition("/")[2]
    said = "\0".join([name, str(size_bytes), log.name, log.mapping.model_dump_json(), shift, cluster])
    return xxh3_64_hexdigest(said.encode() + head)
