"""A closed loop: simulated shoppers read the slates that their own events brought about, and what they do comes back.

Each strategy ranks for a shop of its own, made from the same seed: the same shoppers, market and catalogue. What it
shows changes what they look at, so that a strategy also learns from what it chose to show, as online. Everything here
is a simulation; logs of real shoppers are ``prequential``'s. It reads no clock and writes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.random import Generator

from models.absorb import SILENT
from models.evaluate.intervals import Interval
from models.evaluate.of_path import LoggedRecord
from models.evaluate.prequential import wanted
from models.evaluate.trials import F64
from models.ingest import Ingest, IngestCatalog
from models.ingest.record import Record
from models.ingest.settings import IngestSettings
from models.kinds import Kind
from models.path import Path
from models.simulate.reading import ReadSlate
from models.simulate.settings import SimulateSettings
from models.simulate.shift import Shift
from models.simulate.shop import Batch, Shop
from schemas import topics
from schemas.catalog import Item
from schemas.events import AnyEvent, Cart, Click, Dismiss, Feedback, Impression, Purchase

START_MS: Final = 1_700_000_000_000


class Strategy(Protocol):
    """A way to choose slates. It sees what a worker sees: records, never the truth."""

    def follow(self, records: Sequence[Record], now_ms: int) -> Sequence[ReadSlate]:
        """Take the records of a step, those of the catalogue first, and give a slate to each user that is due one."""


Contestant = Callable[[Shop, int], Strategy]
"""Makes a strategy for a shop, with a seed for what the strategy draws by itself."""


class OfPath:
    """The path of the agents, in the order of a worker: it learns, then serves. Keeps one state a user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ingest_catalog = IngestCatalog(path.settings.ingest)
        self._states: dict[bytes, bytes] = {}

    def follow(self, records: Sequence[Record], now_ms: int) -> list[ReadSlate]:
        """See ``Strategy``."""
        batches = by_topic(records)
        if items := batches.pop(topics.ITEMS, None):
            self.path.knowledge.describe(_items(self._ingest_catalog, items))
        if not batches:
            return []
        absorbed = self.path.absorb(list(batches.values()), self._load, now_ms)
        for states in absorbed.states.values():
            self._states.update(states)
        self.path.learn(self.path.join(absorbed))
        slates = [served.slate for served in self.path.serve(absorbed.causes, now_ms)]
        return [
            ReadSlate(slate.user_id, slate.slate_id, [item.item_id for item in slate.items])
            for slate in slates
        ]

    def _load(self, _partition: int, keys: list[bytes]) -> list[bytes | None]:
        return [self._states.get(key) for key in keys]


class Yardstick:
    """Serves the users that a worker would serve; a subclass has ``_offers`` and may ``_learn``."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._ingest, self._ingest_catalog = Ingest(IngestSettings()), IngestCatalog(IngestSettings())
        self._available: dict[str, None] = {}
        self._n_slates = 0

    def follow(self, records: Sequence[Record], now_ms: int) -> list[ReadSlate]:  # noqa: ARG002
        """See ``Strategy``."""
        users: dict[str, None] = {}
        for topic, batch in by_topic(records).items():
            if topic == topics.ITEMS:
                self._describe(_items(self._ingest_catalog, batch))
                continue
            for event in (accepted.event for accepted in self._ingest(batch).accepted):
                self._learn(event)
                if not isinstance(event, SILENT):
                    users[event.user_id] = None
        return [self._slate(user_id, items) for user_id, items in self._offers(list(users)).items()]

    def _describe(self, items: list[tuple[str, Item | None]]) -> None:
        for item_id, item in items:
            if item is not None and item.available:
                self._available[item_id] = None
            else:
                self._available.pop(item_id, None)

    def _slate(self, user_id: str, items: Sequence[str]) -> ReadSlate:
        self._n_slates += 1
        return ReadSlate(user_id, f"yardstick-{self._n_slates}", items)

    def _learn(self, event: AnyEvent) -> None:
        """Take an event into account."""

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        """Items for each user, best first."""
        raise NotImplementedError


class Popular(Yardstick):
    """The items for sale that were wanted most so far, on a tie the one wanted first.

    ``unseen`` leaves out what the user wanted before. Keeps a count an item and, if so, the items of each user.
    """

    def __init__(self, k: int, *, unseen: bool = False) -> None:
        super().__init__(k)
        self._counts: Counter[str] = Counter()
        self._seen: dict[str, set[str]] = {}
        self._unseen = unseen

    def _learn(self, event: AnyEvent) -> None:
        items = wanted(event)
        self._counts.update(items)
        if self._unseen:
            self._seen.setdefault(event.user_id, set()).update(items)

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        counts = self._counts
        seen = {user_id: self._seen.get(user_id, set()) for user_id in user_ids}
        n = self._k + max(map(len, seen.values()), default=0)
        top = nlargest(n, (item for item in counts if item in self._available), key=counts.__getitem__)
        return {
            user_id: [item for item in top if item not in left_out][: self._k]
            for user_id, left_out in seen.items()
        }


class Random(Yardstick):
    """Any items for sale."""

    def __init__(self, k: int, rng: Generator) -> None:
        super().__init__(k)
        self._rng = rng

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        items = list(self._available)
        k = min(self._k, len(items))
        picks = self._rng.random((len(user_ids), len(items))).argsort(axis=1)[:, :k]
        return {
            user_id: [items[i] for i in row] for user_id, row in zip(user_ids, picks.tolist(), strict=True)
        }


class Asked(Yardstick):
    """What somebody else says, such as the shop itself: ``ask`` gives a list of k for each of some users."""

    def __init__(self, k: int, ask: Callable[[Sequence[str], int], list[list[str]]]) -> None:
        super().__init__(k)
        self._ask = ask

    def _offers(self, user_ids: list[str]) -> dict[str, Sequence[str]]:
        return dict(zip(user_ids, self._ask(user_ids, self._k), strict=True))


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


def by_topic(records: Iterable[Record]) -> dict[str, list[Record]]:
    """As a fetch brings them; the catalogue first, so that no event names an item that is not described."""
    found: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.topic != topics.ITEMS):
        found.setdefault(record.topic, []).append(record)
    return found


def _items(ingest: IngestCatalog, records: Sequence[Record]) -> list[tuple[str, Item | None]]:
    return [(c.id, c.entry) for c in ingest(records).changes if c.entry is None or isinstance(c.entry, Item)]


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


NEW: Final = 1
"""Column of new items."""


def measures(outcome: Outcome) -> dict[str, float]:
    """Rates over the whole outcome; nan where there is nothing to divide by."""
    n = outcome.impressions.sum()
    total = {name: getattr(outcome, name).sum(axis=0) for name in OF_ITEMS}  # (2,)
    offered, shown = outcome.offered.sum(), total["shown"]
    return {
        "click_rate": _ratio(total["clicks"].sum(), n),
        "expected_click_rate": _ratio(outcome.expected.sum(), offered),
        "regret": _ratio((outcome.best - outcome.expected).sum(), offered),
        "dismissal_rate": _ratio(total["dismissals"].sum(), n),
        "cart_rate": _ratio(total["carts"].sum(), n),
        "purchase_rate": _ratio(total["purchases"].sum(), n),
        "share_of_new_items": _ratio(shown[NEW], shown.sum()),
        "clicks_per_new_item_shown": _ratio(total["clicks"][NEW], shown[NEW]),
        "clicks_per_other_item_shown": _ratio(total["clicks"][1 - NEW], shown[1 - NEW]),
        "purchases_per_new_item_shown": _ratio(total["purchases"][NEW], shown[NEW]),
        "purchases_per_other_item_shown": _ratio(total["purchases"][1 - NEW], shown[1 - NEW]),
    }


class Standing(Struct, frozen=True):
    """One strategy among others, over the seeds. Intervals are of the mean over seeds; None where too few had one."""

    name: str
    counts: dict[str, int]
    """Impressions, clicks and so on of all seeds together."""
    measures: dict[str, Interval | None]
    differences: dict[str, Interval | None]
    """To the first strategy, seed by seed."""
    by_seed: dict[str, list[float | None]]


def compare(
    outcomes: Mapping[str, Sequence[Outcome]], from_share: float = 0.0, to_share: float = 1.0
) -> list[Standing]:
    """Strategies by name over the same seeds, counted between two shares of the time."""
    counted = {
        name: [each.between(from_share, to_share) for each in found] for name, found in outcomes.items()
    }
    by_seed = {name: _by_seed(found) for name, found in counted.items()}
    first = next(iter(by_seed.values()), {})
    return [
        Standing(
            name=name,
            counts=_counts(counted[name]),
            measures={measure: mean_interval(values) for measure, values in found.items()},
            differences={
                measure: mean_interval(values - first[measure]) for measure, values in found.items()
            },
            by_seed={measure: [_or_none(value) for value in values] for measure, values in found.items()},
        )
        for name, found in by_seed.items()
    ]


class Course(Struct, frozen=True):
    """How a strategy fared over time, by stretch, as means over the seeds."""

    click_rate: list[float | None]
    regret: list[float | None]
    """Clicks lost an impression, against the best slates."""
    lost_clicks: list[float]
    """Clicks lost so far: the regret summed over the impressions."""


def course(outcomes: Sequence[Outcome]) -> Course:
    """Sums over the seeds, so that no stretch without impressions counts as one without clicks."""
    impressions, offered, expected, best = (
        np.sum([getattr(each, name) for each in outcomes], axis=0)
        for name in ("impressions", "offered", "expected", "best")
    )
    clicks = np.sum([each.clicks.sum(axis=1) for each in outcomes], axis=0)
    regret = [_ratio(*pair) for pair in zip(best - expected, offered, strict=True)]
    lost = np.cumsum(np.nan_to_num(regret) * impressions) / len(outcomes)
    return Course(
        click_rate=[_or_none(_ratio(*pair)) for pair in zip(clicks, impressions, strict=True)],
        regret=[_or_none(each) for each in regret],
        lost_clicks=lost.tolist(),
    )


T_975: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Student's t at 97.5% for 1 to 9 degrees of freedom; beyond, ``t_975`` expands around the normal."""


def t_975(n: int) -> float:
    """Student's t at 97.5% for n degrees of freedom (Cornish and Fisher's expansion, 1938), to three decimals."""
    if n <= len(T_975):
        return T_975[n - 1]
    z = 1.959964
    return float(
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def mean_interval(values: F64) -> Interval | None:
    """Mean of independent runs with its 95% interval by Student's t; nan are left out, None of fewer than two."""
    there = values[np.isfinite(values)]
    if len(there) < 2:
        return None
    mean, error = there.mean(), there.std(ddof=1) / np.sqrt(len(there))
    half = t_975(len(there) - 1) * error
    return Interval(float(mean), float(mean - half), float(mean + half))


def _by_seed(outcomes: Sequence[Outcome]) -> dict[str, F64]:
    found = [measures(each) for each in outcomes]
    return {name: np.array([each[name] for each in found]) for name in (found[0] if found else {})}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    names = ("impressions", *OF_ITEMS)
    return {name: int(sum(getattr(each, name).sum() for each in outcomes)) for name in names}


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
