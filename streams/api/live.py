"""Hands what comes in on to open streams, so that neither a browser nor the event loop is flooded.

A *watch* follows one user's slate and holds the newest only. A *tap* follows channels, a topic each; ten times a
second it is handed the newest messages up to its pace, rare channels first, and once a second what there was to see.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from schemas import topics
from streams.api.store import LOGS
from streams.follow import FollowedRecord

CHANNELS: Final = {
    "slates": topics.SLATES,
    "trending": topics.TRENDING,
    "related": topics.RELATED,
    "quality": topics.QUALITY,
    "checks": topics.CHECKS,
    "model": topics.MODEL,
    "value": topics.VALUE,
    "alerts": topics.ALERTS,
    "audit": topics.AUDIT,
    "versions": topics.VERSIONS,
    "assets": topics.ASSETS,
    "dead-letters": topics.DEAD_LETTER,
}
"""Channels that the read model fills, with their topics."""

EVENTS: Final = "events"
"""The channel of the shop's own events, which are not held."""

TICKS_PER_S: Final = 10
MAX_PER_S: Final = 50
KEPT: Final = 2 * MAX_PER_S
"""Messages of a channel kept from one tick to the next, and of a tap until it has sent them."""

_NAMES: Final = {topic: name for name, topic in CHANNELS.items()} | dict.fromkeys(topics.BEHAVIOUR, EVENTS)
_encode = msgspec.json.Encoder().encode


class Watch:
    """One user's slate on one stream: ``id`` and body of the newest that was not sent yet."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._newest: tuple[bytes, bytes] | None = None

    def put(self, id_: bytes, body: bytes) -> None:
        """Replace what was not sent yet."""
        self._newest = (id_, body)
        self.news.set()

    def take(self) -> list[bytes]:
        """What to send now."""
        self.news.clear()
        newest, self._newest = self._newest, None
        return [] if newest is None else [message("slate", newest[0], newest[1])]


class Tap:
    """Some channels on one stream."""

    def __init__(self, channels: Iterable[str], max_per_s: int, seen: Mapping[str, int]) -> None:
        self.channels = frozenset(channels)
        self.news = asyncio.Event()
        self._budget = max(1, max_per_s // TICKS_PER_S)
        self._waiting: deque[bytes] = deque(maxlen=KEPT)
        self._seen = dict(seen)
        self._sent: Counter[str] = Counter()

    def put(self, fresh: Mapping[str, Sequence[bytes]]) -> None:
        """Take the newest of each channel that fit: those with few messages come first."""
        wanted = sorted((len(found), name) for name, found in fresh.items() if name in self.channels)
        budget = self._budget
        for left, (n, name) in zip(range(len(wanted), 0, -1), wanted, strict=True):
            share = min(n, max(1, budget // left))
            budget -= share
            self._waiting.extend(list(fresh[name])[-share:])
            self._sent[name] += share
        if wanted:
            self.news.set()

    def tell_rates(self, seen: Mapping[str, int], now_ms: int, interval_s: float) -> None:
        """Say how much there was since the last time, if anything."""
        since = {name: seen[name] - self._seen.get(name, 0) for name in self.channels if name in seen}
        since = {name: n for name, n in since.items() if n}
        if since:
            told = {"time_ms": now_ms, "interval_s": round(interval_s, 3), "seen": since, "sent": self._sent}
            self._waiting.append(message("rates", b"", _encode(told)))
            self.news.set()
        self._seen = dict(seen)
        self._sent = Counter()

    def take(self) -> list[bytes]:
        """What to send now."""
        self.news.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class Hub:
    """Every open stream, and what has come since the last tick."""

    def __init__(self) -> None:
        self._watches: defaultdict[bytes, set[Watch]] = defaultdict(set)
        self._taps: set[Tap] = set()
        self._wanted: Counter[str] = Counter()
        self._fresh: defaultdict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._seen: Counter[str] = Counter()
        self._told_s = time.monotonic()

    def watch(self, user: bytes) -> Watch:
        """Follow one user's slate until ``leave``."""
        watch = Watch()
        self._watches[user].add(watch)
        return watch

    def unwatch(self, user: bytes, watch: Watch) -> None:
        """The stream has ended."""
        self._watches[user].discard(watch)
        if not self._watches[user]:
            del self._watches[user]

    def tap(self, channels: Iterable[str], max_per_s: int) -> Tap:
        """Follow channels until ``untap``."""
        tap = Tap(channels, max_per_s, self._seen)
        self._taps.add(tap)
        self._wanted.update(tap.channels)
        return tap

    def untap(self, tap: Tap) -> None:
        """The stream has ended."""
        self._taps.discard(tap)
        self._wanted -= Counter(tap.channels)

    def wants(self, channel: str) -> bool:
        """Whether anyone follows it."""
        return self._wanted[channel] > 0

    def slate(self, user: bytes, id_: bytes, body: bytes) -> None:
        """A user has a new slate."""
        for watch in self._watches.get(user, ()):
            watch.put(id_, body)

    def add(self, record: FollowedRecord, body: bytes | None) -> None:
        """A record has come; ``body`` is its value as JSON, None where it was removed or is none."""
        channel = _NAMES.get(record.topic)
        if channel is None:
            return
        self._seen[channel] += 1
        if self._wanted[channel]:
            self._fresh[channel].append(as_message(channel, record, body))

    async def run(self) -> None:
        """Hand on for ever."""
        while True:
            await asyncio.sleep(1 / TICKS_PER_S)
            self.tick(time.monotonic(), time.time_ns() // 1_000_000)

    def tick(self, now_s: float, now_ms: int) -> None:
        """Hand on what has come since the last tick; told each second what there was."""
        fresh, self._fresh = self._fresh, defaultdict(lambda: deque(maxlen=KEPT))
        for tap in self._taps:
            tap.put(fresh)
        if now_s - self._told_s >= 1.0:
            for tap in self._taps:
                tap.tell_rates(self._seen, now_ms, now_s - self._told_s)
            self._told_s = now_s


def as_message(channel: str, record: FollowedRecord, body: bytes | None) -> bytes:
    """A record as a message, its value as it is.

    What is sent again to who comes back has its time as id. Others have none: an event's time is that of a phone.
    """
    head = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": (record.key or b"").decode(errors="replace"),
        "time_ms": record.timestamp,
    }
    value = body if body is not None and one_line(body) else b"null"
    data = b'%b,"value":%b}' % (_encode(head)[:-1], value)
    return message(channel, b"%d" % record.timestamp if record.topic in LOGS else b"", data)


def message(event: str, id_: bytes, data: bytes) -> bytes:
    """One server-sent event; ``data`` is a line."""
    named = b"event: %b\n" % event.encode()
    return named + (b"id: %b\n" % id_ if id_ else b"") + b"data: %b\n\n" % data


def one_line(body: bytes) -> bool:
    """Whether a body can be sent as it is."""
    return b"\n" not in body and b"\r" not in body
