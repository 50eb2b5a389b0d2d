"""A closed loop: simulated shoppers read the slates that their own events brought about, and what they do comes back.

Each strategy ranks for a shop of its own, made from the same seed: the same shoppers, market and catalogue. What it
shows changes what they look at, so that a strategy also learns from what it chose to show, as online. Everything here
is a simulation; logs of real shoppers are ``prequential``'s. It reads no clock and writes nothing.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec
import numpy as np

from models.evaluate.of_path import LoggedRecord
from models.evaluate.strategies import Contestant
from models.evaluate.trials import F64
from models.kinds import Kind
from models.simulate.settings import SimulateSettings
from models.simulate.shift import Shift
from models.simulate.shop import Batch, Shop
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent, Cart, Click, Dismiss, Feedback, Impression, Purchase

START_MS: Final = 1_700_000_000_000


@dataclass(frozen=True)
class Loop:
    """How a closed loop is run. Seconds are the shop's own."""

    duration_s: float = 3_000.0
    step_s: float = 2.0
    """A micro-batch; slates are read when it ends."""
    n_bins: int = 20
    """Stretches of equal length that are counted apart."""
    k: int = 20
    """Length of the best slate, against which regret is counted."""
    new_s: float = 900.0
    """An item is new for so long after its launch."""
    shift: Shift | None = None
    """What changes in the shoppers, at ``shift_at_s``."""
    shift_at_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what cannot be run."""
        if not 0.0 < self.step_s * self.n_bins <= self.duration_s:
            raise ValueError(
                f"{self.duration_s:g} s in steps of {self.step_s:g} s have no {self.n_bins} stretches: "
                "set a longer duration_s, or a lower n_bins"
            )

    @property
    def n_steps(self) -> int:
        """Micro-batches."""
        return round(self.duration_s / self.step_s)


class Outcome(NamedTuple):
    """What came of a strategy, by stretch of time (B,); columns (B, 2) tell other items from new ones."""

    impressions: F64
    """Slates read."""
    offered: F64
    """Slates that were there to be read; a share of them is."""
    expected: F64
    """Chances of a click on the slates offered, summed: the shoppers' own, before the dice are thrown."""
    best: F64
    """The same of the best slates that could have been in their places."""
    shown: F64
    """(B, 2) items in slates read."""
    clicks: F64
    dismissals: F64
    carts: F64
    """(B, 2) put there from the look that a click led to."""
    purchases: F64
    """(B, 2) items bought that the shopper had clicked in a slate in the same session."""

    def between(self, from_share: float, to_share: float) -> "Outcome":
        """Only the stretches that lie between two shares of the whole time."""
        n = len(self.impressions)
        first, last = round(from_share * n), round(to_share * n)
        return Outcome._make(column[first:last] for column in self)


OF_ITEMS: Final = ("shown", "clicks", "dismissals", "carts", "purchases")


def play(settings: SimulateSettings, contestant: Contestant, loop: Loop) -> Outcome:
    """Run one strategy in a shop made from the seed in ``settings``.

    Raises:
        ValueError: the shop makes more of its future at once than a step, or sends faults.
    """
    _check(settings, loop)
    shop = Shop(settings, np.random.default_rng(settings.seed), START_MS)
    strategy = contestant(shop, settings.seed)
    items = [entry for entry in shop.catalogue() if isinstance(entry, Item)]
    records, tally = _Records(), Tally(loop, {item.item_id for item in items})
    strategy.follow(records.of_items(items), START_MS)
    shift = loop.shift
    for step in range(loop.n_steps):
        from_s, until_s = step * loop.step_s, (step + 1) * loop.step_s
        if shift is not None and from_s >= loop.shift_at_s:
            shop.shift(shift)
            shift = None
        now_ms = START_MS + round(until_s * 1000.0)
        batch = shop.advance(until_s, now_ms)
        tally.turn_to(step * loop.n_bins // loop.n_steps, until_s)
        tally.count(batch)
        slates = strategy.follow(records.of_batch(batch), now_ms)
        tally.expect(*shop.expect(slates, loop.k))
        shop.react(slates)
    return tally.outcome()


def _check(settings: SimulateSettings, loop: Loop) -> None:
    slice_s = settings.slice_events / settings.events_per_s
    if slice_s > loop.step_s:
        raise ValueError(
            f"the shop makes {slice_s:g} s at once and would read slates of a step of {loop.step_s:g} s too late: "
            f"set slice_events to {int(loop.step_s * settings.events_per_s)} or less"
        )
    if any(settings.faults.rates().values()):
        raise ValueError("faults would be counted as what shoppers did: leave the rates of all faults at 0")


_topic: Final = attrgetter("topic")


class _Records:
    """What the shop sends as a consumer would get it, from one partition a topic."""

    def __init__(self) -> None:
        self._offsets: Counter[str] = Counter()

    def of_items(self, items: Iterable[Item]) -> list[LoggedRecord]:
        encode = msgspec.json.encode
        return [
            self._record(topics.ITEMS, item.time_ms, item.item_id.encode(), encode(item)) for item in items
        ]

    def of_batch(self, batch: Batch) -> list[LoggedRecord]:
        """Promotions are left out, as no stage takes them."""
        columns = zip(batch.topics, batch.time_ms, batch.keys, batch.values, strict=True)
        return [
            self._record(topic, time_ms, key, value)
            for topic, time_ms, key, value in columns
            if topic != topics.PROMOTIONS and value is not None
        ]

    def _record(self, topic: str, time_ms: int, key: bytes, value: bytes) -> LoggedRecord:
        offset = self._offsets[topic]
        self._offsets[topic] = offset + 1
        return LoggedRecord(topic, 0, offset, time_ms, key, value)


class Tally:
    """Counts as time goes by. Remembers the clicks of one session a user, and when items were launched."""

    def __init__(self, loop: Loop, old: set[str]) -> None:
        self._loop, self._old = loop, old
        b = loop.n_bins
        self._counts = {name: np.zeros((b, 2) if name in OF_ITEMS else b) for name in Outcome._fields}
        self._launched_s: dict[str, float] = {}
        self._clicked: dict[str, tuple[str | None, set[str]]] = {}
        self._bin, self._now_s = 0, 0.0
        self._feedback = msgspec.json.Decoder(Feedback)
        self._purchase = msgspec.json.Decoder(Purchase)

    def turn_to(self, stretch: int, now_s: float) -> None:
        """What follows is counted to a stretch of time."""
        self._bin, self._now_s = stretch, now_s

    def count(self, batch: Batch) -> None:
        """What a step of the shop brought."""
        for topic, key in zip(batch.topics, batch.keys, strict=True):
            if topic == topics.ITEMS and (item_id := key.decode()) not in self._old:
                self._launched_s.setdefault(item_id, self._now_s)
        kind, from_slate = batch.truth.kind, batch.truth.from_slate
        is_counted = from_slate & np.isin(kind, (Kind.CLICK, Kind.DISMISS, Kind.CART))
        is_counted |= np.isin(kind, (Kind.IMPRESSION, Kind.PURCHASE))
        for row in np.flatnonzero(is_counted).tolist():
            value = batch.values[row]
            assert value is not None, "only promotions are ever removed"
            if kind[row] == Kind.PURCHASE:
                self._buy(self._purchase.decode(value))
            else:
                self._take(self._feedback.decode(value))

    def expect(self, click: F64, best: F64) -> None:
        """Chances of a click on the slates of a step."""
        self._counts["offered"][self._bin] += len(click)
        self._counts["expected"][self._bin] += click.sum()
        self._counts["best"][self._bin] += best.sum()

    def outcome(self) -> Outcome:
        """All that was counted."""
        return Outcome(**self._counts)

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, Impression):
            self._counts["impressions"][self._bin] += 1
            self._add("shown", event.item_ids)
        elif isinstance(event, Click):
            session, items = self._clicked.get(event.user_id, (None, set()))
            self._clicked[event.user_id] = (
                event.session_id,
                (items if session == event.session_id else set()) | {event.item_id},
            )
            self._add("clicks", [event.item_id])
        elif isinstance(event, Dismiss | Cart):
            self._add("dismissals" if isinstance(event, Dismiss) else "carts", [event.item_id])

    def _buy(self, event: Purchase) -> None:
        session, items = self._clicked.get(event.user_id, (None, set()))
        if session == event.session_id:
            self._add("purchases", [line.item_id for line in event.lines if line.item_id in items])

    def _add(self, name: str, item_ids: Iterable[str]) -> None:
        since_s = self._now_s - self._loop.new_s
        for item_id in item_ids:
            is_new = self._launched_s.get(item_id, -np.inf) >= since_s
            self._counts[name][self._bin, int(is_new)] += 1
