"""Follows ``catalog.items`` for the outbox of one member, in its thread."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas import topics
from streams.client.outputs import Output
from streams.client.reader import Reader, Reading, Record
from streams.connect.catalogue import Sending
from streams.connect.outbox import Outbox

_WAIT_S: Final = 0.1
_VALUES: Final = Output(topics.ITEMS, lambda record: record.value)


class Hearing:
    """``conf`` says how to connect to the cluster of the topic."""

    def __init__(self, conf: Mapping[str, Any], outbox: Outbox) -> None:
        self._reader = Reader(_VALUES, Reading(conf=conf, since="beginning", window=0))
        self._outbox = outbox

    def begin(self, is_over: Callable[[], bool]) -> None:
        """Read all that is there, unless it ``is_over`` before.

        Raises:
            BrokerRefusedError: the topic cannot be read.
        """
        while not (self._reader.caught_up or is_over()):
            record = self._reader.next(_WAIT_S)
            if record is not None:
                self._hear(record)

    def catch_up(self) -> bool:
        """Take what has come, once all that was sent is delivered; whether something was sent in answer."""
        answers: dict[str, Sending] = {}
        while (record := self._reader.next(0.0)) is not None:
            answer = self._hear(record)
            answers.pop((record.key or b"").decode("utf-8", "replace"), None)
            if answer is not None:
                answers[answer.item_id] = answer
        for each in answers.values():
            self._outbox.entry(each)
        return bool(answers)

    def close(self) -> None:
        """End reading."""
        self._reader.close()

    def _hear(self, record: Record[bytes | None]) -> Sending | None:
        item_id = (record.key or b"").decode("utf-8", "replace")
        return self._outbox.catalogue.hear(item_id, record.value, record.time_ms, record.offset)
