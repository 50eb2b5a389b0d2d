"""What changes in the simulated shop by itself: stock, launches, promotions and trends.

It yields the updates that a shop would publish on ``catalog.*``; it knows nothing of shoppers.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from models.simulate.catalogue import F32, I32, Bools, Catalogue
from models.simulate.settings import SimulateSettings

MAX_PROMOTIONS: Final = 12
NEW_LIFT: Final = 1.0
"""Log popularity that a newly launched item has on top, halving every half day."""
NEW_HALF_LIFE_DAYS: Final = 0.5
TREND_LIFT: Final = 2.0
"""Log popularity that a trend adds to its group of items, halving every tenth of a day."""
TREND_CATEGORY_LIFT: Final = 1.0
TREND_HALF_LIFE_DAYS: Final = 0.1
DISCOUNT_LIFT: Final = 3.0
"""Log popularity for each unit of discount: 30% off makes an item 2.5 times as likely."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A running promotion and the items it covers."""

    promotion_id: str
    starts_s: float
    ends_s: float
    discount: float
    items: Bools
    category: str | None
    brand: str | None


class ItemChange(NamedTuple):
    """An item whose catalogue entry must be published again."""

    time_s: float
    item: int


class DealChange(NamedTuple):
    """A promotion that was announced, or ended and is to be removed."""

    time_s: float
    deal: Deal
    ended: bool


Change = ItemChange | DealChange


class Market:
    """Stock, launches, promotions and trends; ``advance`` moves them, the columns tell the present."""

    def __init__(self, catalogue: Catalogue, settings: SimulateSettings, rng: Generator) -> None:
        n, days = catalogue.n_items, settings.day_s
        self._catalogue, self._settings, self._rng = catalogue, settings, rng
        self._half_life_s = (NEW_HALF_LIFE_DAYS * days, TREND_HALF_LIFE_DAYS * days)
        self._new_lift = np.zeros(n, np.float32)
        self._trend_lift = np.zeros(n, np.float32)
        self._category_trend = np.zeros(catalogue.n_categories, np.float32)
        self._promotions_made = 0
        self.deals: list[Deal] = []
        self.available: Bools = catalogue.launch_s <= 0.0
        self.discount: F32 = np.zeros(n, np.float32)
        self.lift: F32 = self._lift()

    @property
    def category_lift(self) -> F32:
        """(C,) what a trend adds to the log weight of its category."""
        return self._category_trend

    def advance(self, from_s: float, until_s: float) -> list[Change]:
        """Deliver, launch, promote and set trends between two moments, in the order of time."""
        self._fade(until_s - from_s)
        changes: list[Change] = []
        changes += self._deliver(from_s, until_s)
        changes += self._launch(from_s, until_s)
        changes += self._promote(from_s, until_s)
        self._set_trends(from_s, until_s)
        self.lift = self._lift()
        return sorted(changes, key=lambda change: change.time_s)

    def sell(self, items: list[int], quantities: list[int], now_s: float) -> list[ItemChange]:
        """Take pieces from stock; items that ran out stop being available until the next delivery."""
        out = []
        for item, quantity in zip(items, quantities, strict=True):
            self._catalogue.stock[item] = max(0, self._catalogue.stock[item] - quantity)
            if self._catalogue.stock[item] == 0 and self.available[item]:
                self.available[item] = False
                self.lift[item] = -np.inf
                out.append(ItemChange(now_s, item))
        return out

    def prices(self, items: I32) -> F32:
        """What one piece of each costs now, after discount."""
        price = self._catalogue.price[items] * (1.0 - self.discount[items])
        return np.asarray(price, np.float32)

    def deal_of(self, item: int) -> Deal | None:
        """The running promotion of the item with the highest discount; ties go to the older one."""
        covering = [deal for deal in self.deals if deal.items[item]]
        return max(covering, key=lambda deal: deal.discount) if covering else None

    def _lift(self) -> F32:
        """(N,) log popularity now, -inf for what cannot be bought."""
        moving = self._new_lift + self._trend_lift + DISCOUNT_LIFT * self.discount
        lift = np.where(self.available, self._catalogue.appeal + moving, -np.inf)
        return lift.astype(np.float32)

    def _fade(self, dt_s: float) -> None:
        new_s, trend_s = self._half_life_s
        self._new_lift *= np.float32(0.5 ** (dt_s / new_s))
        self._trend_lift *= np.float32(0.5 ** (dt_s / trend_s))
        self._category_trend *= np.float32(0.5 ** (dt_s / trend_s))

    def _times(self, per_day: float, from_s: float, until_s: float) -> list[float]:
        """Moments of a Poisson process, ascending."""
        n = self._rng.poisson(per_day * (until_s - from_s) / self._settings.day_s)
        return sorted(self._rng.uniform(from_s, until_s, n).tolist())

    def _deliver(self, from_s: float, until_s: float) -> list[ItemChange]:
        sold_out = np.flatnonzero((self._catalogue.stock == 0) & ~self.available)
        due_share = 1.0 - np.exp(-(until_s - from_s) / (self._settings.restock_days * self._settings.day_s))
        items = sold_out[self._rng.random(len(sold_out)) < due_share]
        self._catalogue.stock[items] = self._rng.poisson(self._settings.stock, len(items)) + 1
        self.available[items] = True
        return [ItemChange(until_s, item) for item in items.tolist()]

    def _launch(self, from_s: float, until_s: float) -> list[ItemChange]:
        changes = []
        for time_s in self._times(self._settings.launches_per_day, from_s, until_s):
            coming = np.flatnonzero(np.isinf(self._catalogue.launch_s))
            if not len(coming):
                break
            item = int(self._rng.choice(coming))
            self._catalogue.launch_s[item] = time_s
            self.available[item] = True
            self._new_lift[item] = NEW_LIFT
            changes.append(ItemChange(time_s, item))
        return changes

    def _promote(self, from_s: float, until_s: float) -> list[DealChange]:
        ended = [deal for deal in self.deals if deal.ends_s <= until_s]
        self.deals = [deal for deal in self.deals if deal.ends_s > until_s]
        changes = [DealChange(deal.ends_s, deal, True) for deal in ended]
        for time_s in self._times(self._settings.promotions_per_day, from_s, until_s):
            if len(self.deals) < MAX_PROMOTIONS:
                deal = self._deal(time_s)
                self.deals.append(deal)
                changes.append(DealChange(time_s, deal, False))
        if changes:
            self.discount = self._discounts()
        return changes

    def _deal(self, starts_s: float) -> Deal:
        """Over a category, a brand or a dozen items; it runs for a few hours of the simulated day."""
        catalogue = self._catalogue
        target = int(self._rng.integers(3))
        category = int(self._rng.integers(catalogue.n_categories)) if target == 0 else None
        brand = int(self._rng.integers(len(catalogue.brand_labels))) if target == 1 else None
        items = np.zeros(catalogue.n_items, np.bool_)
        if category is not None:
            items |= catalogue.category == category
        elif brand is not None:
            items |= catalogue.brand == brand
        else:
            items[self._rng.choice(catalogue.n_items, 12, replace=False)] = True
        self._promotions_made += 1
        return Deal(
            promotion_id=f"p{self._promotions_made:04d}",
            starts_s=starts_s,
            ends_s=starts_s + float(self._rng.uniform(0.1, 0.4)) * self._settings.day_s,
            discount=round(float(self._rng.uniform(0.1, 0.4)), 2),
            items=items,
            category=None if category is None else catalogue.category_labels[category],
            brand=None if brand is None else catalogue.brand_labels[brand],
        )

    def _discounts(self) -> F32:
        """(N,) the highest discount of each item."""
        highest = np.zeros(self._catalogue.n_items, np.float32)
        for deal in self.deals:
            np.maximum(highest, deal.discount, out=highest, where=deal.items)
        return highest

    def _set_trends(self, from_s: float, until_s: float) -> None:
        for _ in self._times(self._settings.trends_per_day, from_s, until_s):
            item = int(self._rng.integers(self._catalogue.n_items))
            self._trend_lift[self._catalogue.group == self._catalogue.group[item]] = TREND_LIFT
            self._category_trend[self._catalogue.category[item]] = TREND_CATEGORY_LIFT
