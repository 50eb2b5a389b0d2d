"""What a worker answers under ``/explain``, from the states of its own partitions. It changes nothing.

::

    200  the explanation                     421  the user's partition is another worker's
    400  no user, or an id that is too long  503  the worker is not ready
    404  nothing is remembered of the user

Everything but 200 is ``{"error", "fix"}``. Asking takes the event loop some 2 ms for a slate of 20.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from models.interest.codec import InterestError, decode
from models.path import Path
from schemas import topics
from schemas.events import MAX_ID_BYTES
from streams.partitioner import partition_of

Load = Callable[[int, Sequence[bytes]], Sequence[bytes | None]]
"""Stored states of user keys in a partition."""

_NO_STATE: Final = (
    "Nothing is remembered of this user.",
    "Check the id: it is the key of the events. `rillet state show` reads all partitions, `rillet dead-letter list` "
    "tells what was refused.",
)


class Answer(NamedTuple):
    """Status and JSON of an answer."""

    status: int
    body: bytes


class Answerer:
    """Explains to whoever asks, as long as the worker is ready and the user is of its partitions."""

    def __init__(
        self,
        path: Path,
        load: Load,
        partitions: int,
        owns: Callable[[str, int], bool],
        missing: Callable[[], list[str]],
    ) -> None:
        self._path = path
        self._load = load
        self._partitions = partitions
        self._owns = owns
        self._missing = missing

    def __call__(self, user_id: str, item_id: str | None) -> Answer:
        """The answer for a user, and an item that is asked for."""
        if wrong := _wrong(user_id, item_id):
            return refusal(
                400,
                wrong,
                f"Ask for /explain?user=U or /explain?user=U&item=I, at most {MAX_ID_BYTES} bytes each.",
            )
        if missing := self._missing():
            return refusal(
                503,
                f"This worker is not ready: it waits for {', '.join(missing)}.",
                "Ask again when /readyz answers 200.",
            )
        key = user_id.encode()
        partition = partition_of(key, self._partitions)
        if not self._owns(topics.BROWSE, partition):
            return refusal(
                421,
                f"The user is in partition {partition}, which is not this worker's.",
                "Ask the others: `rillet explain` tries every --worker that it is given.",
            )
        (stored,) = self._load(partition, [key])
        return refusal(404, *_NO_STATE) if stored is None else self._explained(stored, user_id, item_id)

    def _explained(self, stored: bytes, user_id: str, item_id: str | None) -> Answer:
        try:
            state = decode(stored)
        except InterestError as error:
            return refusal(500, f"The state cannot be read: {error}.", "Use the release that wrote it.")
        now_ms = time.time_ns() // 1_000_000
        return Answer(200, msgspec.json.encode(self._path.explain(state, user_id, now_ms, item_id)))


def refusal(status: int, error: str, fix: str) -> Answer:
    """Why there is no explanation, and the way to one."""
    return Answer(status, msgspec.json.encode({"error": error, "fix": fix}))


def _wrong(user_id: str, item_id: str | None) -> str | None:
    for what, value in (("user", user_id), ("item", item_id)):
        if value is None:
            continue
        if not value:
            return f"The {what} is empty."
        if len(value.encode(errors="replace")) > MAX_ID_BYTES:
            return f"The id of the {what} is longer than ids can be."
    return None
