"""How simulated shoppers act from moment to moment: look, search, put into the cart, leave, buy and rate.

It draws what happens and when, and writes it down as acts. Which item is chosen is ``choice``; how slates are
read is ``reading``; when sessions start is ``shop``."""

from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.kinds import Kind
from models.simulate.acts import Acts, Bought, make_acts
from models.simulate.catalogue import F64, I32, Bools
from models.simulate.choice import Choice, revisit_weights, sigmoid
from models.simulate.market import Change
from models.simulate.oracle import Oracle
from models.simulate.settings import GAP_SPREAD, SimulateSettings
from models.simulate.shoppers import I64
from models.simulate.words import PLATFORMS

DWELL_MS: Final = 15_000
"""Median dwell, told as in an unhurried visit even when the shop's gaps are shorter."""
MAX_DWELL_MS: Final = 600_000
DWELL_SHARE: Final = 0.6
"""Looks in an app that report dwell; on the web the look itself carries it."""
WEB: Final = PLATFORMS.index("web")
BOT_GAP: Final = 0.1
"""A bot acts this much faster than a shopper, and regularly."""
CHECKOUT_SHARE: Final = 0.5
"""Sessions with something in the cart that end in a purchase."""
SECOND_PIECE_SHARE: Final = 0.1
RATING_SHARE: Final = 0.15
CART_BIAS, CART_SLOPE = -3.2, 0.9
WISH_BIAS, WISH_SLOPE = -4.0, 0.8
"""Log odds of an action on an item that is liked as much as the average, and what one deviation adds."""
CART_DELAY, WISH_DELAY, DWELL_DELAY = 0.3, 0.35, 0.4
"""When an action follows a look, in gaps."""


class Looks(NamedTuple):
    """Looks at one item each, by different shoppers; columns are n long."""

    rows: I64
    items: I32
    at_s: F64
    position: I32 | int = -1
    """In the slate that led there."""
    slate_ids: list[str] | None = None

    def where(self, who: Bools) -> "Looks":
        """Some of them."""
        return Looks(
            self.rows[who],
            self.items[who],
            self.at_s[who],
            self.position if isinstance(self.position, int) else self.position[who],
            None if self.slate_ids is None else [self.slate_ids[i] for i in np.flatnonzero(who).tolist()],
        )


class Behaviour:
    """Acts of shoppers, collected in ``acts``; what their purchases change in the market, in ``changes``."""

    def __init__(self, choice: Choice, oracle: Oracle, settings: SimulateSettings, rng: Generator) -> None:
        self.choice, self.settings = choice, settings
        self.shoppers, self.catalogue, self.market = choice.shoppers, choice.catalogue, choice.market
        self._oracle, self._rng = oracle, rng
        self.acts: list[Acts] = []
        self.changes: list[Change] = []

    def act(self, rows: I64) -> None:
        """One act of each shopper at its time, and the time of the next."""
        at_s = self.shoppers.next_s[rows].copy()
        items = self._choose(rows, at_s)
        looks = Looks(rows, items, at_s).where(items >= 0)
        self.look(looks, self._ask_oracle(looks), self._rng)
        self._schedule(rows, at_s)

    def look(self, looks: Looks, oracle: NDArray[np.int8] | int, rng: Generator) -> None:
        """Looks at items, and what follows from liking them."""
        rows, items = looks.rows, looks.items
        liking = self.choice.liking(rows, items)
        dwell_ms = DWELL_MS * np.exp(0.3 * liking + rng.normal(0.0, 0.7, len(rows)))
        dwell_ms = np.minimum(dwell_ms, MAX_DWELL_MS).astype(np.int32)
        on_web = self.shoppers.platform[rows] == WEB
        self._note(Kind.VIEW, looks, 0.0, np.where(on_web, dwell_ms, 0), oracle)
        self.shoppers.view(rows, items, self.catalogue.latent, self.catalogue.category)
        dice = rng.random((3, len(rows)))
        human = ~self.shoppers.bot[rows]
        carts = human & (dice[0] < sigmoid(CART_BIAS + CART_SLOPE * liking))
        carts[carts] = self.shoppers.put_into_cart(rows[carts], items[carts])
        wishes = human & ~carts & (dice[1] < sigmoid(WISH_BIAS + WISH_SLOPE * liking))
        dwells = human & ~on_web & (dice[2] < DWELL_SHARE)
        self._note(Kind.CART, looks.where(carts), CART_DELAY, 1)
        self._note(Kind.WISHLIST, looks.where(wishes), WISH_DELAY, 0)
        self._note(Kind.DWELL, looks.where(dwells), DWELL_DELAY, dwell_ms[dwells])

    def pauses_s(self, n: int, rng: Generator) -> F64:
        """Seconds until the next act."""
        return np.asarray(self.settings.gap_s * rng.lognormal(0.0, GAP_SPREAD, n))

    def _note(
        self, kind: Kind, looks: Looks, delay: float, amount: I32 | int, oracle: NDArray[np.int8] | int = -1
    ) -> None:
        if len(looks.rows):
            self.acts.append(
                make_acts(
                    looks.at_s + delay * self.settings.gap_s,
                    kind,
                    looks.rows,
                    self.shoppers.session[looks.rows],
                    item=looks.items,
                    amount=amount,
                    price=self.market.prices(looks.items),
                    position=looks.position,
                    oracle=oracle,
                    notes=looks.slate_ids,
                )
            )

    def _choose(self, rows: I64, at_s: F64) -> I32:
        """The item each shopper looks at next (S,); -1 for those who search instead."""
        shoppers, settings = self.shoppers, self.settings
        dice = self._rng.random((3, len(rows)))
        bots, searched = shoppers.bot[rows], shoppers.searched[rows]
        can_return = (revisit_weights(shoppers.recent[rows]).sum(axis=1) > 0.0) & ~searched
        returns = ~bots & can_return & (dice[0] < settings.revisit_share)
        turns = (shoppers.category[rows] < 0) | ((dice[1] < settings.switch_share) & ~searched)
        turns &= ~bots & ~returns
        searches = turns & (dice[2] < settings.search_share)
        stays = ~bots & ~returns & ~turns
        items = np.full(len(rows), -1, np.int32)
        items[bots] = self.choice.crawl(rows[bots], self._rng)
        items[returns] = self.choice.revisit(rows[returns], self._rng)
        items[stays] = self.choice.stay(rows[stays], self._rng)
        items[turns & ~searches] = self.choice.turn(rows[turns & ~searches], self._rng)[1]
        self._search(rows[searches], at_s[searches])
        return items

    def _search(self, rows: I64, at_s: F64) -> None:
        """Shoppers turn to a category through a query for something that they would like there."""
        category, wanted = self.choice.turn(rows, self._rng)
        found = wanted >= 0
        rows, at_s, category, wanted = rows[found], at_s[found], category[found], wanted[found]
        self.shoppers.category[rows] = category
        self.shoppers.focus[rows] = self.catalogue.latent[wanted]
        self.shoppers.searched[rows] = True
        self.shoppers.looked[rows] = False
        words = self._rng.choice(3, len(rows), p=[0.4, 0.4, 0.2]).tolist()
        typed = [self.catalogue.queries[i][word] for i, word in zip(wanted.tolist(), words, strict=True)]
        session = self.shoppers.session[rows]
        self.acts.append(make_acts(at_s, Kind.SEARCH, rows, session, item=wanted, notes=typed))

    def _ask_oracle(self, looks: Looks) -> NDArray[np.int8]:
        """(S,) 1 for a hit, 0 for a miss, -1 for not asked, of shoppers about to look at items."""
        out = np.full(len(looks.rows), -1, np.int8)
        asked = self._rng.random(len(out)) < self.settings.oracle_share
        if asked.any():
            out[asked] = self._oracle.hits(looks.rows[asked], looks.items[asked], self.settings.k)
        return out

    def _schedule(self, rows: I64, at_s: F64) -> None:
        """The next act after a pause, or the end of the session."""
        pause_s = self.pauses_s(len(rows), self._rng)
        next_s = at_s + np.where(self.shoppers.bot[rows], BOT_GAP * self.settings.gap_s, pause_s)
        self.shoppers.steps_left[rows] -= 1
        ends = self.shoppers.steps_left[rows] <= 0
        self.shoppers.next_s[rows] = np.where(ends, np.inf, next_s)
        self._check_out(rows[ends], next_s[ends])

    def _check_out(self, rows: I64, at_s: F64) -> None:
        """Some of those who leave with something in the cart buy it, and rate it."""
        buys = (self.shoppers.cart[rows, 0] >= 0) & (self._rng.random(len(rows)) < CHECKOUT_SHARE)
        rows, at_s = rows[buys], at_s[buys]
        if not len(rows):
            return
        bought = [self._in_cart(row) for row in rows.tolist()]
        session = self.shoppers.session[rows]
        self.acts.append(make_acts(at_s, Kind.PURCHASE, rows, session, notes=bought))
        for order, now_s in zip(bought, at_s.tolist(), strict=True):
            self.changes += self.market.sell(order.items, order.quantities, now_s)
        self._rate(rows, bought, at_s)

    def _in_cart(self, row: int) -> Bought:
        cart = self.shoppers.cart[row]
        items = cart[cart >= 0]
        quantities = 1 + (self._rng.random(len(items)) < SECOND_PIECE_SHARE)
        deals = [self.market.deal_of(item) for item in items.tolist()]
        return Bought(
            items.tolist(),
            quantities.tolist(),
            self.market.prices(items).tolist(),
            [deal.promotion_id if deal else None for deal in deals],
        )

    def _rate(self, rows: I64, bought: list[Bought], at_s: F64) -> None:
        """Ratings of some of the items bought, in quarters of the scale."""
        n_lines = [len(order.items) for order in bought]
        items = np.array([item for order in bought for item in order.items], np.int32)
        rated = Looks(np.repeat(rows, n_lines), items, np.repeat(at_s, n_lines))
        rated = rated.where(self._rng.random(len(items)) < RATING_SHARE)
        liking = self.choice.liking(rated.rows, rated.items)
        quarters = np.clip(np.round(2.5 + liking + self._rng.normal(0.0, 0.7, len(liking))), 0, 4)
        self._note(Kind.RATING, rated, 1.0, (25 * quarters).astype(np.int32))
