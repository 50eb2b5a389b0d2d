"""One replay: events from the log to the sender, at their pace, from the bookmark on.

When the process is killed, some delivered events may lie ahead of the bookmark. They are sent again with the
same ids, and the worker drops them as duplicates. That it can, it must still remember them: never are
``max_per_user`` or more events of one user ahead of the bookmark."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from streams.log import Logged
from streams.replay.bookmark import Bookmark, Place
from streams.replay.confirmed import PARCEL_EVENTS, ConfirmedSender
from streams.replay.pace import Pace

SAVE_S: Final = 1.0
TICK_S: Final = 0.1
MAX_USERS: Final = 100_000
"""Users counted between two full confirmations."""


@dataclass
class Replayed:
    """What a run sent, and how many events earlier ones had sent before."""

    n_before: int = 0
    n_sent: int = 0
    by_topic: Counter[str] = field(default_factory=Counter)
    complete: bool = False
    seconds: float = 0.0

    @property
    def events_per_s(self) -> float:
        """Of this run."""
        return self.n_sent / self.seconds if self.seconds else 0.0


class _Ahead:
    """Events of each user since everything was confirmed and noted in the bookmark."""

    def __init__(self, max_per_user: int) -> None:
        self._max_per_user = max_per_user
        self._n: Counter[str] = Counter()
        self.full = False

    def add(self, user_id: str) -> None:
        self._n[user_id] += 1
        self.full |= self._n[user_id] >= self._max_per_user - 1 or len(self._n) > MAX_USERS

    def clear(self) -> None:
        self._n.clear()
        self.full = False


class Replay:
    """Sends one log; ``on_sent`` is told after each parcel, ``stop`` may come from a signal handler."""

    def __init__(
        self,
        sender: ConfirmedSender,
        bookmark: Bookmark,
        place: Place,
        pace: Pace,
        *,
        max_per_user: int,
        on_sent: Callable[[Replayed], None] = lambda _: None,
    ) -> None:
        self._sender = sender
        self._bookmark = bookmark
        self._place = place
        self._pace = pace
        self._on_sent = on_sent
        self._ahead = _Ahead(max_per_user)
        self._saved_s = self._began_s = time.monotonic()
        self._sending = self._stopping = False
        self.replayed = Replayed(n_before=place.n_events)

    def stop(self) -> None:
        """End in order after the parcel at hand; at once while nothing was sent, or when asked twice."""
        if self._stopping or not self._sending:
            raise KeyboardInterrupt
        self._stopping = True

    def run(self, events: Iterator[Logged]) -> Replayed:
        """Send what was not sent yet, until the log ends or ``stop`` is called.

        Raises:
            BrokerRefusedError: an event was refused; the bookmark stands before it.
        """
        left = islice(events, self._place.n_events, None)
        first = next(left, None)
        self._saved_s = self._began_s = time.monotonic()
        self._sending = True
        try:
            if first is not None:
                self._send(self._parcels(first, left))
            self._sender.flush()
            self.replayed.complete = not self._stopping
        finally:
            self._save()
        self.replayed.seconds = time.monotonic() - self._began_s
        return self.replayed

    def _send(self, parcels: Iterator[list[Logged]]) -> None:
        for parcel in parcels:
            if parcel:
                self._sender.send(parcel)
                self._count(parcel)
            if self._ahead.full:
                self._sender.flush()
                self._save()
                self._ahead.clear()
            elif time.monotonic() - self._saved_s >= SAVE_S:
                self._save()
            if self._stopping:
                return

    def _parcels(self, first: Logged, others: Iterator[Logged]) -> Iterator[list[Logged]]:
        """Events that are due, together; what is there, were it nothing, while the next one is not."""
        due: list[Logged] = []
        each: Logged | None = first
        while each is not None:
            while (wait_s := self._pace.wait_s(each.event.time_ms, time.monotonic())) > 0:
                yield due
                due = []
                self._sender.poll(min(wait_s, TICK_S))
            due.append(self._shifted(each))
            self._ahead.add(each.event.user_id)
            if len(due) == PARCEL_EVENTS or self._ahead.full:
                yield due
                due = []
            each = next(others, None)
        yield due

    def _shifted(self, each: Logged) -> Logged:
        if not self._place.shift_ms:
            return each
        event: Any = msgspec.structs.replace(each.event, time_ms=each.event.time_ms + self._place.shift_ms)
        return each._replace(event=event)

    def _count(self, parcel: list[Logged]) -> None:
        replayed = self.replayed
        replayed.n_sent += len(parcel)
        replayed.by_topic.update(each.topic for each in parcel)
        replayed.seconds = time.monotonic() - self._began_s
        self._on_sent(replayed)

    def _save(self) -> None:
        self._bookmark.write(
            msgspec.structs.replace(
                self._place,
                n_events=self.replayed.n_before + self._sender.n_confirmed,
                done=self.replayed.complete,
            )
        )
        self._saved_s = time.monotonic()
