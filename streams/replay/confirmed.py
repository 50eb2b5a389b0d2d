"""Sends events in order and knows how many of them, from the first on, are on the broker for certain.

Holds at most ``MAX_PARCELS`` parcels that are under way; whoever sends more waits."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from streams.errors import BrokerRefusedError
from streams.log import Logged

PARCEL_EVENTS: Final = 500
MAX_PARCELS: Final = 40
FLUSH_S: Final = 60.0
_WAIT_S: Final = 0.1


class Parcel:
    """Events handed over together; ``left`` of them are not confirmed."""

    def __init__(self, n: int, refused: list[str]) -> None:
        self.n = self.left = n
        self._refused = refused

    def delivered(self, error: Any, message: Any) -> None:
        """One event is on the broker, or will never be."""
        if error is None:
            self.left -= 1
        else:
            self._refused.append(f"{message.topic()}: {error.str()}")


class ConfirmedSender:
    """Record timestamps are event times, so that ingest judges a replayed log as it did live."""

    def __init__(self, producer_conf: Mapping[str, Any]) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({**producer_conf, "linger.ms": 20, "log_level": 0})
        self._encode = msgspec.json.Encoder().encode
        self._parcels: deque[Parcel] = deque()
        self._refused: list[str] = []
        self._n_confirmed = 0

    @property
    def n_confirmed(self) -> int:
        """Events from the first on that are all delivered."""
        while self._parcels and not self._parcels[0].left:
            self._n_confirmed += self._parcels.popleft().n
        return self._n_confirmed

    def send(self, events: Sequence[Logged]) -> None:
        """Hand events over as one parcel; waits while too many are under way.

        Raises:
            BrokerRefusedError: an earlier one was refused.
        """
        while len(self._parcels) >= MAX_PARCELS:
            self.poll(_WAIT_S)
            self.n_confirmed  # noqa: B018
        parcel = Parcel(len(events), self._refused)
        self._parcels.append(parcel)
        for each in events:
            self._produce(each, parcel)
        self.poll(0.0)

    def poll(self, timeout_s: float) -> None:
        """Take confirmations, and wait for one for so long when there is none."""
        self._producer.poll(timeout_s)
        self._raise_if_refused()

    def flush(self) -> None:
        """Wait until everything handed over is confirmed.

        Raises:
            BrokerRefusedError: an event was refused, or not taken in time.
        """
        left = self._producer.flush(FLUSH_S)
        self._raise_if_refused()
        if left:
            raise BrokerRefusedError(
                f"{left} events were not taken within {FLUSH_S:g} s.",
                fix="Check that the broker is up and has room, then run it again: it goes on where it stopped.",
            )

    def _produce(self, each: Logged, parcel: Parcel) -> None:
        event = each.event
        value, key = self._encode(event), event.user_id.encode()
        while True:
            try:
                self._producer.produce(
                    each.topic, value, key, timestamp=event.time_ms, on_delivery=parcel.delivered
                )
                return
            except BufferError:
                self.poll(_WAIT_S)

    def _raise_if_refused(self) -> None:
        if self._refused:
            fix = "Create the topics with `rillet topics create`, or see whether the broker is up."
            if "timestamp" in self._refused[0].lower():
                fix = "The broker takes no such old or early records: shift the times with --shift now."
            raise BrokerRefusedError(f"The broker refused events: {self._refused[0]}.", fix=fix)
