"""Who shops in the simulated shop: hidden tastes that drift, what each session is about, and the cart.

Columns over all shoppers; those of the session hold while ``steps_left`` is above 0. Choosing is in
``choice``."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.simulate.catalogue import F32, F64, I32, LATENT_DIM, Bools
from models.simulate.settings import SimulateSettings
from models.simulate.words import PLATFORMS

I64 = NDArray[np.int64]

N_STYLES: Final = 8
"""Shoppers fall into styles, so that shoppers like you exist; a style leans towards one platform."""
MAX_RECENT: Final = 6
MAX_CART: Final = 6
FOCUS_KEPT: Final = 0.6
"""Share of what the session was about that outlives the look at another item."""
BOT_STEPS: Final = 200


@dataclass(slots=True)
class Shoppers:
    """Columns by shopper (U,). D is the latent dimension."""

    user_ids: list[str]
    taste: F32
    """(U, D) about unit length, drifting around ``home``."""
    home: F32
    """(U, D) where the taste drifts around: the style, and the shopper's own leaning."""
    taste_s: F64
    """When the taste was last moved."""
    price_level: F32
    """Preferred price within a category, in standard deviations."""
    price_sensitivity: F32
    favourite_brand: I32
    activity: F64
    """How often sessions start, in relation to other shoppers."""
    platform: I32
    bot: Bools
    next_s: F64
    """Time of the next act, inf outside sessions."""
    steps_left: I32
    session: I64
    category: I32
    """What the session is about now, -1 before the first act."""
    focus: F32
    """(U, D) what the session is about, in the latent space of items."""
    searched: Bools
    """The last act was a search, so the next is a look at what was found."""
    recent: I32
    """(U, MAX_RECENT) items looked at in the session, newest first, -1 padded."""
    cart: I32
    """(U, MAX_CART) items, -1 padded."""
    looked: Bools
    """The slate after the last act was read already."""

    @property
    def n(self) -> int:
        """Number of shoppers."""
        return len(self.user_ids)

    def drift(self, rows: I64, now_s: F64, drift_s: float, rng: Generator) -> None:
        """Move tastes to ``now_s``: an Ornstein-Uhlenbeck step of any length around ``home``."""
        kept = np.exp(-np.maximum(0.0, now_s - self.taste_s[rows]) / drift_s)[:, None]
        noise = rng.normal(size=(len(rows), LATENT_DIM)) * np.sqrt((1.0 - kept**2) * 0.5 / LATENT_DIM)
        home = self.home[rows]
        self.taste[rows] = home + (self.taste[rows] - home) * kept + noise
        self.taste_s[rows] = now_s

    def swap(self, rows: I64) -> None:
        """Each of the rows takes over the tastes of the one before it: the crowd stays what it was."""
        before = np.roll(rows, 1)
        for column in (self.taste, self.home, self.taste_s):
            column[rows] = column[before]
        for likes in (self.price_level, self.price_sensitivity, self.favourite_brand):
            likes[rows] = likes[before]

    def begin(self, rows: I64, start_s: F64, first_session: int, steps: I32) -> None:
        """Open sessions, numbered from ``first_session`` on."""
        self.next_s[rows] = start_s
        self.steps_left[rows] = np.where(self.bot[rows], BOT_STEPS, steps)
        self.session[rows] = first_session + np.arange(len(rows))
        self.category[rows] = -1
        self.focus[rows] = 0.0
        self.searched[rows] = False
        self.recent[rows] = -1
        self.cart[rows] = -1
        self.looked[rows] = True

    def view(self, rows: I64, items: I32, item_latent: F32, item_category: I32) -> None:
        """Turn the session towards the items looked at, wholly when their category is new to it."""
        same = (self.category[rows] == item_category[items])[:, None]
        kept = np.where(same, FOCUS_KEPT, 0.0)
        self.focus[rows] = kept * self.focus[rows] + (1.0 - kept) * item_latent[items]
        self.category[rows] = item_category[items]
        self.searched[rows] = False
        self.looked[rows] = False
        self._remember(rows, items)

    def _remember(self, rows: I64, items: I32) -> None:
        """Put the item first; an item that was there moves."""
        old = self.recent[rows]
        shifted = np.concatenate([items[:, None], old[:, :-1]], axis=1)
        known = old == items[:, None]
        seen_at = np.where(known.any(axis=1), known.argmax(axis=1), MAX_RECENT)
        stays = np.arange(MAX_RECENT)[None, :] > seen_at[:, None]
        self.recent[rows] = np.where(stays, old, shifted)

    def put_into_cart(self, rows: I64, items: I32) -> Bools:
        """Whether each item went in: a full cart, or one that holds it already, takes no more."""
        cart = self.cart[rows]
        free = cart < 0
        takes = free.any(axis=1) & ~(cart == items[:, None]).any(axis=1)
        self.cart[rows[takes], free.argmax(axis=1)[takes]] = items[takes]
        return np.asarray(takes)


def make_shoppers(settings: SimulateSettings, rng: Generator) -> Shoppers:
    """Shoppers drawn from ``rng``, none of them in a session yet."""
    n = settings.n_shoppers
    style = rng.integers(0, N_STYLES, n)
    centre = rng.normal(size=(N_STYLES, LATENT_DIM)) * np.sqrt(0.4 / LATENT_DIM)
    home = centre[style] + rng.normal(size=(n, LATENT_DIM)) * np.sqrt(0.6 / LATENT_DIM)
    taste = home + rng.normal(size=(n, LATENT_DIM)) * np.sqrt(0.5 / LATENT_DIM)
    own_platform = rng.integers(0, len(PLATFORMS), n)
    platform = np.where(rng.random(n) < 0.6, style % len(PLATFORMS), own_platform)
    return Shoppers(
        user_ids=[f"u{number:06d}" for number in range(n)],
        taste=taste.astype(np.float32),
        home=home.astype(np.float32),
        taste_s=np.zeros(n),
        price_level=rng.normal(0.0, 0.7, n).astype(np.float32),
        price_sensitivity=rng.gamma(2.0, 0.25, n).astype(np.float32),
        favourite_brand=rng.integers(0, settings.n_brands, n).astype(np.int32),
        activity=rng.lognormal(0.0, 1.0, n),
        platform=platform.astype(np.int32),
        bot=rng.permutation(n) < int(settings.bot_share * n),
        next_s=np.full(n, np.inf),
        steps_left=np.zeros(n, np.int32),
        session=np.zeros(n, np.int64),
        category=np.full(n, -1, np.int32),
        focus=np.zeros((n, LATENT_DIM), np.float32),
        searched=np.zeros(n, np.bool_),
        recent=np.full((n, MAX_RECENT), -1, np.int32),
        cart=np.full((n, MAX_CART), -1, np.int32),
        looked=np.ones(n, np.bool_),
    )
