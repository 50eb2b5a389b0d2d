"""What each source of data takes: events, bytes, seconds of the path, memory, and the wait for a slate.

Seconds of a stage are shared by who causes them: taking in by events; serving and learning by the slates that events
cause; a recommendation source's by the players that it takes, evenly. They add up to the seconds measured.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from models.value.games import SOURCES, fed
from models.value.withheld import WITHHELD
from schemas.events import (
    AnyEvent,
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Purchase,
    Rating,
    Search,
    Wishlist,
)
from schemas.value import SourceCost, ValueReport

SOURCE_OF: Final[Mapping[type, str]] = {
    **dict.fromkeys((Browse, Click, Cart, Wishlist), "browse"),
    Search: "search",
    Purchase: "purchase",
    **dict.fromkeys((Dismiss, Impression, Rating, Dwell), "feedback"),
}
SERVING: Final = frozenset({"queries", "rank", "remember", "explain", "publish", "learn", "value"})
RETRIEVING: Final = "retrieve."
EVERY: Final = 16
"""One event in so many is looked at for the bytes that its attributes take."""

_encode = msgspec.json.Encoder().encode


class Tally:
    """Of what was taken since the last ``costs``."""

    def __init__(self) -> None:
        self.events = Counter[str]()
        self.slates = Counter[str]()
        self.bytes = Counter[str]()
        self.waited_ms = Counter[str]()
        self._n_seen = 0

    def take(self, events: Iterable[AnyEvent], n_bytes: int) -> None:
        """Take events of one topic, and the bytes of their records together."""
        found = list(events)
        of = Counter(SOURCE_OF[type(event)] for event in found)
        self.events += of
        for source, n in of.items():
            self.bytes[source] += round(n_bytes * n / len(found))
        self._look_into(found)

    def serve(self, event: AnyEvent, waited_ms: float = 0.0) -> None:
        """Count a slate that was made for ``event``, so long after the event's record."""
        self.slates[SOURCE_OF[type(event)]] += 1
        self.waited_ms[SOURCE_OF[type(event)]] += round(waited_ms)

    def _look_into(self, events: list[AnyEvent]) -> None:
        """Move what attributes take from the events that carry them."""
        start = -self._n_seen % EVERY
        self._n_seen += len(events)
        for event in events[start::EVERY]:
            bare = WITHHELD["attributes"](event)
            n = EVERY * (len(_encode(event)) - len(_encode(bare)))
            self.bytes["attributes"] += n
            self.bytes[SOURCE_OF[type(event)]] -= n


def costs(tally: Tally, stage_s: Mapping[str, float], memory_bytes: Mapping[str, int]) -> list[SourceCost]:
    """By source; ``stage_s`` are seconds by stage, ``memory_bytes`` what each recommendation source holds."""
    seconds, memory = Counter[str](), Counter[str]()
    for stage, took_s in stage_s.items():
        for source, share in _shares(stage, tally).items():
            seconds[source] += share * took_s  # type: ignore[assignment]
    for recommender, held in memory_bytes.items():
        for source, share in _shares(f"{RETRIEVING}{recommender}", tally).items():
            memory[source] += share * held  # type: ignore[assignment]
    waited = tally.waited_ms
    return [
        SourceCost(
            player=source,
            n_events=tally.events[source],
            n_slates=tally.slates[source],
            n_bytes=max(tally.bytes[source], 0),
            cpu_s=round(seconds[source], 6),
            memory_bytes=round(memory[source]),
            latency_s=waited[source] / tally.slates[source] / 1000.0 if waited[source] else None,
        )
        for source in SOURCES.players
    ]


def summed(reports: Sequence[ValueReport]) -> list[SourceCost]:
    """Of windows and workers together; memory as each worker told it last."""
    told = [each for each in sorted(reports, key=lambda each: each.window_end_ms) if each.costs]
    newest = {each.worker: each for each in told}
    memory = Counter[str]()
    for each in newest.values():
        memory.update({cost.player: cost.memory_bytes for cost in each.costs})
    by_player: dict[str, list[SourceCost]] = {}
    for each in told:
        for cost in each.costs:
            by_player.setdefault(cost.player, []).append(cost)
    return [_summed(player, some, memory[player]) for player, some in by_player.items()]


def _summed(player: str, some: Sequence[SourceCost], memory_bytes: int) -> SourceCost:
    n_slates = sum(each.n_slates for each in some)
    waited_s = sum((each.latency_s or 0.0) * each.n_slates for each in some)
    return SourceCost(
        player=player,
        n_events=sum(each.n_events for each in some),
        n_slates=n_slates,
        n_bytes=sum(each.n_bytes for each in some),
        cpu_s=round(sum(each.cpu_s for each in some), 6),
        memory_bytes=memory_bytes,
        latency_s=waited_s / n_slates if waited_s else None,
    )


def _shares(stage: str, tally: Tally) -> dict[str, float]:
    """Who pays for a stage; shares sum to 1."""
    if stage.startswith(RETRIEVING):
        players = fed(SOURCES, tally.events).needs.get(stage.removeprefix(RETRIEVING), ("browse",))
        return {player: 1.0 / len(players) for player in players}
    by = tally.slates if stage in SERVING and tally.slates else tally.events
    return {source: n / by.total() for source, n in by.items()} if by else {"browse": 1.0}
