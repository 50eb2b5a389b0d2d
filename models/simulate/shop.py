"""A simulated shop: shoppers with hidden tastes browse, search, buy and react to recommendations.

Everything it makes is a simulation, with known truth: for each look at an item the oracle tells whether the
simulation itself had it among the k most likely. It reads no clock: the caller says to which moment of the
world the shop's own seconds correspond. The same settings, generator and calls give the same bytes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.simulate.acts import ACT, Acts
from models.simulate.behaviour import Behaviour
from models.simulate.catalogue import F32, F64, I32, Bools, make_catalogue
from models.simulate.choice import Choice
from models.simulate.encode import Encoder
from models.simulate.faults import NONE, Faults
from models.simulate.market import Change, Market
from models.simulate.oracle import Oracle
from models.simulate.reading import Expected, Reactions, Reading, ReadSlate
from models.simulate.settings import SimulateSettings
from models.simulate.shift import Shift
from models.simulate.shoppers import I64, make_shoppers
from schemas.catalog import Item, Promotion


class Truth(NamedTuple):
    """What the simulation knows of each record of a batch; every column has length n."""

    kind: NDArray[np.uint8]
    """``models.kinds.Kind``, 0 for records of the catalogue."""
    user: I32
    """Index of the shopper, -1 for records of the catalogue."""
    item: I32
    """Index of the item, -1 where there is none or more than one."""
    oracle: NDArray[np.int8]
    """1 when the item was among the oracle's k, 0 when not, -1 when the oracle was not asked."""
    from_slate: Bools
    """The event was brought about by a slate that the shopper read."""
    bot: Bools
    fault: NDArray[np.uint8]
    """0 for a clean record, else 1 plus the place in ``models.simulate.settings.FAULTS``."""

    def take(self, rows: list[int]) -> "Truth":
        """The rows named, in that order."""
        return Truth._make(column[rows] for column in self)

    @classmethod
    def of_catalogue(cls, n: int) -> "Truth":
        """Rows for records that no shopper caused."""
        none = np.full(n, -1, np.int32)
        no, zero = np.zeros(n, np.bool_), np.zeros(n, np.uint8)
        return cls(zero, none, none, none.astype(np.int8), no, no, zero)

    def followed_by(self, later: "Truth") -> "Truth":
        """These rows, then the others."""
        return Truth._make(np.concatenate([self[i], later[i]]) for i in range(len(self)))


class Batch(NamedTuple):
    """Records to produce, in the order of time; every column has length n."""

    topics: list[str]
    keys: list[bytes]
    values: list[bytes | None]
    time_ms: list[int]
    """When each is sent; the event's own time differs from it only by a fault."""
    truth: Truth

    @property
    def n(self) -> int:
        """Number of records."""
        return len(self.topics)

    def first(self, n: int) -> "Batch":
        """The first n records at most."""
        if n >= self.n:
            return self
        truth = self.truth.take(list(range(n)))
        return Batch(self.topics[:n], self.keys[:n], self.values[:n], self.time_ms[:n], truth)


class Shop:
    """The simulation. ``start_ms`` is the world's time of the shop's second 0; it keeps ids of runs apart."""

    def __init__(self, settings: SimulateSettings, rng: Generator, start_ms: int) -> None:
        self.settings = settings
        makes, market_rng, self._rng, behaviour_rng, reading_rng, fault_rng, self._shift_rng = rng.spawn(7)
        self._catalogue = make_catalogue(settings, makes)
        self._shoppers = make_shoppers(settings, makes)
        self._market = Market(self._catalogue, settings, market_rng)
        choice = Choice(self._catalogue, self._shoppers, self._market, makes)
        self._oracle = Oracle(choice, settings)
        self._behaviour = Behaviour(choice, self._oracle, settings, behaviour_rng)
        self._reading = Reading(self._behaviour, reading_rng)
        self._encoder = Encoder(self._catalogue, self._shoppers, self._market, f"{start_ms:x}")
        self._faults = Faults(settings.faults, [user.encode() for user in self._shoppers.user_ids], fault_rng)
        self._slice_s = settings.slice_events / settings.events_per_s
        self._now_ms, self._now_s, self._made_s = start_ms, 0.0, 0.0
        self._n_sessions = 0
        self._begin_in_the_middle()

    @property
    def now_s(self) -> float:
        """The shop's own time: what happened before it has been handed out."""
        return self._now_s

    def catalogue(self) -> Iterator[Item | Promotion]:
        """Every item on offer and every running promotion, for the topics ``catalog.*``."""
        return self._encoder.catalogue(self._now_ms)

    @property
    def item_ids(self) -> list[str]:
        """Ids by item index."""
        return self._catalogue.item_ids

    def rate(self, at_s: float) -> float:
        """Expected events a second at a moment of the daily rhythm."""
        swing = float(np.sin(2.0 * np.pi * at_s / self.settings.day_s))
        return self.settings.events_per_s * (1.0 + self.settings.rhythm * swing)

    def advance(self, until_s: float, now_ms: int) -> Batch:
        """All records up to the shop's second ``until_s``, which falls on the world's ``now_ms``.

        Between two calls the shop's seconds are spread evenly over the world's: event times never step back.
        """
        if until_s < self._now_s or now_ms < self._now_ms:
            raise ValueError(
                f"the shop is at {self._now_s:g} s, {self._now_ms} ms "
                f"and cannot go back to {until_s:g} s, {now_ms} ms"
            )
        while self._made_s < until_s:
            self._make_slice()
        acts, changes = self._due_acts(until_s), self._due_changes(until_s)
        time_ms = self._world_ms(acts["t_s"], until_s, now_ms)
        self._now_s, self._now_ms = until_s, now_ms
        return self._announced(changes, self._sent(acts, time_ms))

    def react(self, slates: Sequence[ReadSlate]) -> Reactions:
        """Let shoppers read slates, one an act at most; what they do comes with the next ``advance``."""
        return self._reading.read(slates, self._now_s)

    def best(self, user_id: str, k: int) -> list[str]:
        """The oracle's list: the k items that this shopper is most likely to look at next, best first."""
        return self.likeliest([user_id], k)[0]

    def likeliest(self, user_ids: Sequence[str], k: int) -> list[list[str]]:
        """``best`` of many shoppers at once."""
        return self._named(self._oracle.best(self._rows(user_ids), k))

    def most_appealing(self, user_ids: Sequence[str], k: int) -> list[list[str]]:
        """The slates of k items that these shoppers are most likely to click now: no ranking is clicked more."""
        return self._named(self._reading.most_appealing(self._rows(user_ids), k))

    def expect(self, slates: Sequence[ReadSlate], k: int) -> Expected:
        """Chances of a click on the slates that ``react`` may let be read now, beside those on the best k items."""
        return self._reading.expect(slates, k)

    def shift(self, shift: Shift) -> None:
        """From now on shoppers act and choose otherwise; acts already made are handed out as they are."""
        self.settings = self.settings.model_copy(update=shift.shop_settings())
        self._behaviour.settings = self._oracle.settings = self.settings
        if shift.same_category is not None:
            self._reading.same_category = shift.same_category
        n = self._shoppers.n
        self._shoppers.swap(self._shift_rng.permutation(n)[: round(shift.swapped_share * n)])

    def tastes(self) -> F32:
        """(U, D) hidden tastes, each as of the shopper's last session."""
        return self._shoppers.taste.copy()

    def _rows(self, user_ids: Sequence[str]) -> I64:
        row_of = self._reading.row_of
        return np.array([row_of[user_id] for user_id in user_ids], np.int64)

    def _named(self, items: I32) -> list[list[str]]:
        item_ids = self._catalogue.item_ids
        return [[item_ids[item] for item in row] for row in items.tolist()]

    def _begin_in_the_middle(self) -> None:
        """Open as many sessions as run at any time, each somewhere between its start and its end."""
        rows = self._wake(min(int(self.settings.busy_shoppers), self._shoppers.n))
        start_s = self._rng.uniform(0.0, self.settings.gap_s, len(rows))
        steps = np.ceil(self._steps(len(rows)) * self._rng.random(len(rows))).astype(np.int32)
        self._open(rows, start_s, np.maximum(1, steps))

    def _make_slice(self) -> None:
        """One slice of time: the market moves, sessions start, and shoppers act until all are beyond it."""
        from_s, until_s = self._made_s, self._made_s + self._slice_s
        self._behaviour.changes += self._market.advance(from_s, until_s)
        sessions = (
            self.settings.sessions_per_s * self.rate(from_s) / self.settings.events_per_s * self._slice_s
        )
        rows = self._wake(int(self._rng.poisson(sessions)))
        self._open(rows, self._rng.uniform(from_s, until_s, len(rows)), self._steps(len(rows)))
        while len(rows := np.flatnonzero(self._shoppers.next_s < until_s)):
            self._behaviour.act(rows)
        self._made_s = until_s

    def _wake(self, n: int) -> I64:
        """Up to ``n`` shoppers that are in no session, the active ones more often."""
        idle = np.flatnonzero(np.isinf(self._shoppers.next_s))
        if n == 0:
            return idle[:0]
        waits = self._rng.exponential(size=len(idle)) / self._shoppers.activity[idle]
        return idle[np.argsort(waits, kind="stable")[:n]]

    def _steps(self, n: int) -> I32:
        """Lengths of sessions in acts: 2 at least, with a long tail."""
        return (1 + self._rng.geometric(1.0 / (self.settings.acts_per_session - 1.0), n)).astype(np.int32)

    def _open(self, rows: I64, start_s: F64, steps: I32) -> None:
        self._shoppers.drift(rows, start_s, self.settings.drift_days * self.settings.day_s, self._rng)
        self._shoppers.begin(rows, start_s, self._n_sessions, steps)
        self._n_sessions += len(rows)

    def _due_acts(self, until_s: float) -> Acts:
        """What happened before ``until_s``, in order; the rest stays."""
        acts = np.concatenate([np.empty(0, ACT), *self._behaviour.acts])
        acts = acts[np.argsort(acts["t_s"], kind="stable")]
        n_due = int(np.searchsorted(acts["t_s"], until_s, side="left"))
        self._behaviour.acts = [acts[n_due:]]
        return acts[:n_due]

    def _due_changes(self, until_s: float) -> list[Change]:
        changes = self._behaviour.changes
        self._behaviour.changes = [change for change in changes if change.time_s >= until_s]
        return [change for change in changes if change.time_s < until_s]

    def _world_ms(self, t_s: F64, until_s: float, now_ms: int) -> I64:
        """The world's time of the shop's seconds since the last advance."""
        span_s = until_s - self._now_s
        pace = (now_ms - self._now_ms) / span_s if span_s > 0.0 else 0.0
        return (self._now_ms + (t_s - self._now_s) * pace).astype(np.int64)

    def _sent(self, acts: Acts, time_ms: I64) -> Batch:
        """Acts as records, some of them with a fault."""
        topics, keys, values = self._encoder.encode(acts, time_ms)
        truth = Truth(
            kind=acts["kind"],
            user=acts["user"],
            item=acts["item"],
            oracle=acts["oracle"],
            from_slate=acts["position"] >= 0,
            bot=self._shoppers.bot[acts["user"]],
            fault=self._faults.draw(len(acts)),
        )
        batch = Batch(topics, keys, list(values), time_ms.tolist(), truth)
        return self._spoilt(batch, values) if (truth.fault != NONE).any() else batch

    def _spoilt(self, batch: Batch, values: list[bytes]) -> Batch:
        """The batch with its faults applied; a duplicate follows its original."""
        sent = [
            (row, *each)
            for row, code in enumerate(batch.truth.fault.tolist())
            for each in self._faults.apply(code, batch.keys[row], values[row])
        ]
        rows = [row for row, _, _ in sent]
        return Batch(
            [batch.topics[row] for row in rows],
            [key for _, key, _ in sent],
            [value for _, _, value in sent],
            [batch.time_ms[row] for row in rows],
            batch.truth.take(rows),
        )

    def _announced(self, changes: list[Change], events: Batch) -> Batch:
        """Catalogue changes before the events, so that no event names an item not announced."""
        if not changes:
            return events
        records = [self._encoder.change(change, self._now_ms) for change in changes]
        return Batch(
            [record.topic for record in records] + events.topics,
            [record.key for record in records] + events.keys,
            [record.value for record in records] + events.values,
            [self._now_ms] * len(records) + events.time_ms,
            Truth.of_catalogue(len(records)).followed_by(events.truth),
        )
