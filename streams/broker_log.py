"""What the Kafka clients log, made bearable: an absent broker is one line now and then, not a hundred a second.

It filters only; whether the worker waits or stops is decided elsewhere.
"""

import logging
import re
import time
from typing import Final

EVERY_S: Final = 10.0
CLIENTS: Final = (
    "aiokafka",
    "streams.engine",
    "streams.follow",
    "streams.api.post",
    "streams.api.read_model",
    "streams.slice",
    "streams.shadows",
    "faust",
    "mode",
)
_ABSENT: Final = re.compile(
    r"Unable connect|Unable to update metadata|NodeNotReady|KafkaConnectionError|ConnectionError|Connection refused"
    r"|Disconnected|ALL_BROKERS_DOWN|Failed fetch messages|Heartbeat (send request failed|session expired)"
    r"|Group Coordinator Request failed|OffsetCommit|Connection (reset|closed)|CoordinatorLoadInProgress"
    r"|CoordinatorNotAvailable|NotCoordinatorForGroup|RequestTimedOut|timed out|Coordinator load in progress"
)


class BrokerLog(logging.Filter):
    """A handler's filter. Lets complaints about an absent broker through, as ``broker_away``, every ``EVERY_S``."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._next_at = 0.0
        self._n_hidden = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        if not record.name.startswith(CLIENTS) or record.exc_info:
            return True
        message = record.getMessage()
        if not _ABSENT.search(message):
            return True
        now = time.monotonic()
        if now < self._next_at:
            self._n_hidden += 1
            return False
        record.msg = "broker_away address=%s, waiting for it; hidden=%d: %s"
        record.args = (self._address, self._n_hidden, message)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        self._next_at, self._n_hidden = now + EVERY_S, 0
        return True
