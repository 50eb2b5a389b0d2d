"""How simulated shoppers read a slate: position-biased examination, clicks and dismissals by taste.

    P(examined at 0-based p) = (1 + p) ** -EXAMINATION_DECAY
    P(click | examined)      = sigmoid(CLICK_BIAS + CLICK_SLOPE * appeal)

The position-based click model (Craswell et al., WSDM 2008), read downwards until the first click. Appeal is
how much the shopper likes the item plus how near it is to what the session is about, in standard deviations
over all shoppers and items. The chance of a click at a place is the product of the two, so that no slate is
clicked more than the most appealing items, best first. A shopper reads one slate an act at most, so that slates
never feed on themselves."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from models.kinds import Kind
from models.simulate.acts import make_acts
from models.simulate.behaviour import Behaviour, Looks
from models.simulate.catalogue import F32, F64, I32, Bools
from models.simulate.choice import FOCUS_WEIGHT, TASTE_WEIGHT, sigmoid
from models.simulate.shoppers import I64

EXAMINATION_DECAY: Final = 0.8
CLICK_BIAS, CLICK_SLOPE = -5.0, 1.0
"""Log odds of a click on an examined item of average appeal, and what a standard deviation adds."""
DISMISS_BIAS: Final = -6.0
SHOWN_DELAY = (0.02, 0.1)
CLICK_DELAY = (0.1, 0.6)
"""Range in gaps: when the slate is on the screen, and how long until the click."""
DISMISS_DELAY: Final = 0.3
PAGE_DELAY: Final = 0.02


class ReadSlate(NamedTuple):
    """Recommendations as a shopper gets to see them, best first."""

    user_id: str
    slate_id: str
    item_ids: Sequence[str]


class Reactions(NamedTuple):
    """How many of the slates handed over were read, and what came of them."""

    n_impressions: int
    n_clicks: int
    n_dismissals: int


class Expected(NamedTuple):
    """Chance of a click on each slate that may be read now, and on the best one that could be in its place (S,)."""

    click: F64
    best: F64


class Reading:
    """Lets shoppers read slates. S is the number of slates read, K the length of the longest."""

    def __init__(self, behaviour: Behaviour, rng: Generator) -> None:
        self._behaviour, self._rng = behaviour, rng
        self.same_category = 0.0
        """Appeal that an item gains from the category of the session; see ``Shift``."""
        self.row_of = {user_id: i for i, user_id in enumerate(behaviour.shoppers.user_ids)}
        self._item_of = {item_id: i for i, item_id in enumerate(behaviour.catalogue.item_ids)}

    def read(self, slates: Sequence[ReadSlate], now_s: float) -> Reactions:
        """The newest slate of each shopper is read, or not; what they do about it follows within a gap."""
        newest = self._newest(slates)
        rows = self._readers(np.array(list(newest), np.int64))
        if not len(rows):
            return Reactions(0, 0, 0)
        read = [newest[row] for row in rows.tolist()]
        items = self._padded(read)  # (S, K)
        clicked, dismissed = self._examine(rows, items)
        shown_s = now_s + self._delays(SHOWN_DELAY, len(rows))
        self._show(rows, shown_s, read)
        self._click(self._taken(clicked, rows, items, shown_s, read))
        self._dismiss(self._taken(dismissed, rows, items, shown_s, read))
        return Reactions(len(rows), int((clicked >= 0).sum()), int((dismissed >= 0).sum()))

    def expect(self, slates: Sequence[ReadSlate], k: int) -> Expected:
        """What slates are worth if they are read now, beside the best ``k`` items; it changes nothing."""
        newest = self._newest(slates)
        rows = self._there(np.array(list(newest), np.int64))
        shown = self._padded([newest[row] for row in rows.tolist()])  # (S, K)
        return Expected(
            self._click_chance(rows, shown), self._click_chance(rows, self.most_appealing(rows, k))
        )

    def most_appealing(self, rows: I64, k: int) -> I32:
        """(S, k) items most likely to be clicked if examined, best first, ties by the lower index."""
        behaviour, every = self._behaviour, np.arange(self._behaviour.catalogue.n_items)[None, :]
        near = behaviour.shoppers.focus[rows] @ behaviour.catalogue.latent.T  # (S, D) @ (D, N) -> (S, N)
        appeal = self._in_session(rows, every, behaviour.choice.likings(rows), near)
        return np.argsort(-appeal, axis=1, kind="stable")[:, :k].astype(np.int32)

    def _newest(self, slates: Sequence[ReadSlate]) -> dict[int, ReadSlate]:
        """By row of the shopper."""
        return {self.row_of[slate.user_id]: slate for slate in slates if slate.user_id in self.row_of}

    def _there(self, rows: I64) -> I64:
        """Those in a session who have not yet read the slate that their last act brought."""
        shoppers = self._behaviour.shoppers
        return rows[(shoppers.steps_left[rows] > 0) & ~shoppers.bot[rows] & ~shoppers.looked[rows]]

    def _readers(self, rows: I64) -> I64:
        """Those who are there and look at the slate that their last act brought."""
        there = self._there(rows)
        self._behaviour.shoppers.looked[there] = True
        return there[self._rng.random(len(there)) < self._behaviour.settings.look_share]

    def _padded(self, slates: list[ReadSlate]) -> I32:
        """(S, K) item indexes, -1 padded and for ids that the shop does not know."""
        width = max([1, *(len(slate.item_ids) for slate in slates)])
        out = np.full((len(slates), width), -1, np.int32)
        for row, slate in enumerate(slates):
            out[row, : len(slate.item_ids)] = [self._item_of.get(item_id, -1) for item_id in slate.item_ids]
        return out

    def _examine(self, rows: I64, items: I32) -> tuple[I32, I32]:
        """Position clicked and position dismissed (S,), -1 for none; nobody dismisses who clicks."""
        appeal = self._appeal(rows, items)  # (S, K)
        dice = self._rng.random((3, *items.shape))
        examined = dice[0] < _examination(items.shape[1])
        clicks = examined & (dice[1] < sigmoid(CLICK_BIAS + CLICK_SLOPE * appeal))
        dismisses = examined & np.isfinite(appeal) & (dice[2] < sigmoid(DISMISS_BIAS - appeal))
        clicked = _first_true(clicks)
        return clicked, np.where(clicked < 0, _first_true(dismisses), -1).astype(np.int32)

    def _click_chance(self, rows: I64, items: I32) -> F64:
        """(S,) chance that one of the items (S, K) is clicked."""
        clicks = _examination(items.shape[1]) * sigmoid(CLICK_BIAS + CLICK_SLOPE * self._appeal(rows, items))
        return np.asarray(1.0 - np.prod(1.0 - clicks, axis=1))

    def _appeal(self, rows: I64, items: I32) -> F32:
        """(S, K) appeal, -inf for what is not for sale or is on the screen already."""
        behaviour, n_slates, k = self._behaviour, *items.shape
        liking = behaviour.choice.liking(np.repeat(rows, k), items.ravel()).reshape(n_slates, k)
        near = np.einsum("sd,skd->sk", behaviour.shoppers.focus[rows], behaviour.catalogue.latent[items])
        return self._in_session(rows, items, liking, near)

    def _in_session(self, rows: I64, items: I32 | I64, liking: F32, near: F32) -> F32:
        """(S, K) appeal from liking and nearness, by what the session is about and what is on the screen."""
        behaviour = self._behaviour
        same = behaviour.catalogue.category[items] == behaviour.shoppers.category[rows, None]
        appeal = liking + np.where(same, FOCUS_WEIGHT / TASTE_WEIGHT * near + self.same_category, 0.0)
        on_screen = items == behaviour.shoppers.recent[rows, :1]
        return np.where((items >= 0) & behaviour.market.available[items] & ~on_screen, appeal, -np.inf)

    def _delays(self, range_gaps: tuple[float, float], n: int) -> F64:
        return np.asarray(self._behaviour.settings.gap_s * self._rng.uniform(*range_gaps, n))

    def _taken(self, position: I32, rows: I64, items: I32, at_s: F64, slates: list[ReadSlate]) -> Looks:
        """The items at the positions taken, of those who took one."""
        everyone = np.arange(len(rows))
        slate_ids = [slate.slate_id for slate in slates]
        return Looks(rows, items[everyone, position], at_s, position, slate_ids).where(position >= 0)

    def _show(self, rows: I64, at_s: F64, slates: list[ReadSlate]) -> None:
        session = self._behaviour.shoppers.session[rows]
        notes = [(slate.slate_id, list(slate.item_ids)) for slate in slates]
        self._behaviour.acts.append(make_acts(at_s, Kind.IMPRESSION, rows, session, notes=notes))

    def _click(self, shown: Looks) -> None:
        """A click, and the look that it leads to; the shopper's next act comes after it."""
        shoppers, gap_s = self._behaviour.shoppers, self._behaviour.settings.gap_s
        at_s = shown.at_s + self._delays(CLICK_DELAY, len(shown.rows))
        self._note(Kind.CLICK, shown._replace(at_s=at_s))
        looks = shown._replace(at_s=at_s + PAGE_DELAY * gap_s)
        self._behaviour.look(looks, -1, self._rng)
        next_s = looks.at_s + self._behaviour.pauses_s(len(looks.rows), self._rng)
        shoppers.next_s[looks.rows] = np.maximum(shoppers.next_s[looks.rows], next_s)

    def _dismiss(self, shown: Looks) -> None:
        delay_s = DISMISS_DELAY * self._behaviour.settings.gap_s
        self._note(Kind.DISMISS, shown._replace(at_s=shown.at_s + delay_s))

    def _note(self, kind: Kind, looks: Looks) -> None:
        self._behaviour.acts.append(
            make_acts(
                looks.at_s,
                kind,
                looks.rows,
                self._behaviour.shoppers.session[looks.rows],
                item=looks.items,
                position=looks.position,
                notes=looks.slate_ids,
            )
        )


def _examination(k: int) -> F64:
    """(k,) chance that each position is examined."""
    return np.asarray((1.0 + np.arange(k)) ** -EXAMINATION_DECAY)


def _first_true(rows: Bools) -> I32:
    """(S,) column of the first true value of each row, -1 for none."""
    return np.where(rows.any(axis=1), rows.argmax(axis=1), -1).astype(np.int32)
