"""Acts of simulated shoppers to the bytes of the typed events, and the catalogue to its records.

Everything goes through the structs of ``schemas``, so that a clean event is valid by construction.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.kinds import Kind
from models.simulate.acts import Acts, Bought
from models.simulate.catalogue import Catalogue
from models.simulate.market import Change, Deal, ItemChange, Market
from models.simulate.shoppers import Shoppers
from models.simulate.words import PLATFORMS
from schemas.catalog import Item, Promotion
from schemas.events import (
    AnyEvent,
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Line,
    Purchase,
    Rating,
    Search,
    Wishlist,
)
from schemas.topics import BROWSE, FEEDBACK, ITEMS, PROMOTIONS, PURCHASE, SEARCH

I64 = NDArray[np.int64]

TOPIC_OF: Final = {Kind.VIEW: BROWSE, Kind.SEARCH: SEARCH, Kind.PURCHASE: PURCHASE}
N_RESULTS: Final = 10
CURRENCY: Final = "EUR"


class CatalogueRecord(NamedTuple):
    """A record of a compacted ``catalog.*`` topic; no value is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    time_s: float


class Common(NamedTuple):
    """Columns that every event has, as lists, n long."""

    event_id: list[str]
    user_id: list[str]
    time_ms: list[int]
    session_id: list[str]
    platform: list[str]


class Encoder:
    """Writes acts as JSON. ``prefix`` keeps the event ids of one run apart from those of another."""

    def __init__(self, catalogue: Catalogue, shoppers: Shoppers, market: Market, prefix: str) -> None:
        self._catalogue, self._shoppers, self._market = catalogue, shoppers, market
        self._prefix = prefix
        self._n_encoded = 0
        self._json = msgspec.json.Encoder()
        self._user_keys = [user_id.encode() for user_id in shoppers.user_ids]
        self._categories = [catalogue.category_labels[c] for c in catalogue.category.tolist()]
        self._brands = [catalogue.brand_labels[b] for b in catalogue.brand.tolist()]
        self._platforms = [PLATFORMS[p] for p in shoppers.platform.tolist()]
        self._results = [self._found(c) for c in range(catalogue.n_categories)]
        self._writers: dict[Kind, Callable[[Acts, Common], Iterator[AnyEvent]]] = {
            Kind.VIEW: self._views,
            Kind.SEARCH: self._searches,
            Kind.PURCHASE: self._purchases,
            Kind.IMPRESSION: self._impressions,
            Kind.CLICK: self._clicks,
            Kind.CART: self._carts,
            Kind.WISHLIST: self._wishes,
            Kind.DISMISS: self._dismissals,
            Kind.RATING: self._ratings,
            Kind.DWELL: self._dwells,
        }

    def encode(self, acts: Acts, time_ms: I64) -> tuple[list[str], list[bytes], list[bytes]]:
        """Topics, keys and values of the rows, which are n long and in the order of time."""
        values: NDArray[np.object_] = np.empty(len(acts), np.object_)
        topics: NDArray[np.object_] = np.empty(len(acts), np.object_)
        ids = np.arange(self._n_encoded, self._n_encoded + len(acts))
        self._n_encoded += len(acts)
        for code in np.unique(acts["kind"]).tolist():
            at = np.flatnonzero(acts["kind"] == code)
            events = self._writers[Kind(code)](acts[at], self._common(acts[at], ids[at], time_ms[at]))
            values[at] = [self._json.encode(event) for event in events]
            topics[at] = TOPIC_OF.get(Kind(code), FEEDBACK)
        keys = [self._user_keys[user] for user in acts["user"].tolist()]
        return topics.tolist(), keys, values.tolist()

    def catalogue(self, time_ms: int) -> Iterator[Item | Promotion]:
        """Every item launched so far and every running promotion, as of ``time_ms``."""
        for item in np.flatnonzero(np.isfinite(self._catalogue.launch_s)).tolist():
            yield self.item(item, time_ms)
        for deal in self._market.deals:
            yield self.promotion(deal, time_ms, 0.0)

    def item(self, item: int, time_ms: int) -> Item:
        """The catalogue entry of an item."""
        catalogue = self._catalogue
        return Item(
            item_id=catalogue.item_ids[item],
            time_ms=time_ms,
            title=catalogue.titles[item],
            category=self._categories[item],
            brand=self._brands[item],
            price=round(float(catalogue.price[item]), 2),
            origin=catalogue.origins[item],
            available=bool(self._market.available[item]),
            created_ms=time_ms if catalogue.launch_s[item] > 0.0 else None,
        )

    def promotion(self, deal: Deal, time_ms: int, age_s: float) -> Promotion:
        """The entry of a promotion that began ``age_s`` ago."""
        named = deal.category is None and deal.brand is None
        starts_ms = time_ms - round(age_s * 1000)
        return Promotion(
            promotion_id=deal.promotion_id,
            time_ms=time_ms,
            starts_ms=starts_ms,
            ends_ms=starts_ms + round((deal.ends_s - deal.starts_s) * 1000),
            discount=deal.discount,
            item_ids=[self._catalogue.item_ids[i] for i in np.flatnonzero(deal.items)] if named else [],
            category=deal.category,
            brand=deal.brand,
        )

    def change(self, change: Change, time_ms: int) -> CatalogueRecord:
        """The record that tells the world of a change; a tombstone for a promotion that ended."""
        if isinstance(change, ItemChange):
            entry = self.item(change.item, time_ms)
            return CatalogueRecord(ITEMS, entry.item_id.encode(), self._json.encode(entry), change.time_s)
        key = change.deal.promotion_id.encode()
        value = None if change.ended else self._json.encode(self.promotion(change.deal, time_ms, 0.0))
        return CatalogueRecord(PROMOTIONS, key, value, change.time_s)

    def _found(self, category: int) -> list[str]:
        """What the shop's own search returns for a category: its most popular items."""
        first, last = self._catalogue.block[category : category + 2].tolist()
        best = np.argsort(-self._catalogue.appeal[first:last], kind="stable")[:N_RESULTS]
        return [self._catalogue.item_ids[first + i] for i in best.tolist()]

    def _common(self, acts: Acts, ids: I64, time_ms: I64) -> Common:
        users = acts["user"].tolist()
        user_ids, platforms, prefix = self._shoppers.user_ids, self._platforms, self._prefix
        return Common(
            [f"{prefix}-{number}" for number in ids.tolist()],
            [user_ids[user] for user in users],
            time_ms.tolist(),
            [f"{prefix}-s{session}" for session in acts["session"].tolist()],
            [platforms[user] for user in users],
        )

    def _items(self, acts: Acts) -> list[str]:
        item_ids = self._catalogue.item_ids
        return [item_ids[item] for item in acts["item"].tolist()]

    def _views(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        items = acts["item"].tolist()
        columns = zip(
            *common,
            items,
            _cents(acts["price"]),
            acts["amount"].tolist(),
            acts["note"].tolist(),
            acts["position"].tolist(),
            strict=True,
        )
        item_ids, categories, brands = self._catalogue.item_ids, self._categories, self._brands
        for event_id, user_id, time_ms, session_id, platform, item, price, dwell_ms, slate_id, at in columns:
            yield Browse(
                event_id=event_id,
                user_id=user_id,
                time_ms=time_ms,
                session_id=session_id,
                platform=platform,
                item_id=item_ids[item],
                category=categories[item],
                brand=brands[item],
                price=price,
                dwell_ms=dwell_ms or None,
                slate_id=slate_id,
                position=None if at < 0 else at,
            )

    def _searches(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        categories = self._catalogue.category[acts["item"]].tolist()
        rows = zip(*common, acts["note"].tolist(), categories, strict=True)
        for event_id, user_id, time_ms, session_id, platform, query, category in rows:
            yield Search(
                event_id=event_id,
                user_id=user_id,
                time_ms=time_ms,
                session_id=session_id,
                platform=platform,
                query=query,
                results=self._results[category],
            )

    def _purchases(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        for event_id, user_id, time_ms, session_id, platform, bought in zip(
            *common, acts["note"].tolist(), strict=True
        ):
            yield Purchase(
                event_id=event_id,
                user_id=user_id,
                time_ms=time_ms,
                session_id=session_id,
                platform=platform,
                lines=self._lines(bought),
                order_id=f"o{event_id}",
                currency=CURRENCY,
            )

    def _lines(self, bought: Bought) -> list[Line]:
        return [
            Line(
                item_id=self._catalogue.item_ids[item],
                quantity=quantity,
                price=round(price, 2),
                category=self._categories[item],
                brand=self._brands[item],
                promotion_id=promotion_id,
            )
            for item, quantity, price, promotion_id in zip(*bought, strict=True)
        ]

    def _impressions(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        for event_id, user_id, time_ms, session_id, platform, (slate_id, item_ids) in zip(
            *common, acts["note"].tolist(), strict=True
        ):
            yield Impression(
                event_id=event_id,
                user_id=user_id,
                time_ms=time_ms,
                session_id=session_id,
                platform=platform,
                slate_id=slate_id,
                item_ids=item_ids,
            )

    def _clicks(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        return (Click(**fields) for fields in self._feedback(acts, common))

    def _wishes(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        return (Wishlist(**fields) for fields in self._feedback(acts, common))

    def _dismissals(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        return (Dismiss(**fields) for fields in self._feedback(acts, common))

    def _carts(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        prices = _cents(acts["price"])
        rows = zip(self._feedback(acts, common), acts["amount"].tolist(), prices, strict=True)
        return (Cart(**fields, quantity=quantity, price=price) for fields, quantity, price in rows)

    def _ratings(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        rows = zip(self._feedback(acts, common), acts["amount"].tolist(), strict=True)
        return (Rating(**fields, rating=percent / 100.0) for fields, percent in rows)

    def _dwells(self, acts: Acts, common: Common) -> Iterator[AnyEvent]:
        rows = zip(self._feedback(acts, common), acts["amount"].tolist(), strict=True)
        return (Dwell(**fields, dwell_ms=dwell_ms) for fields, dwell_ms in rows)

    def _feedback(self, acts: Acts, common: Common) -> Iterator[dict[str, Any]]:
        """The fields that feedback on one item has in common."""
        columns = zip(
            *common, self._items(acts), acts["note"].tolist(), acts["position"].tolist(), strict=True
        )
        for event_id, user_id, time_ms, session_id, platform, item_id, slate_id, position in columns:
            yield {
                "event_id": event_id,
                "user_id": user_id,
                "time_ms": time_ms,
                "session_id": session_id,
                "platform": platform,
                "item_id": item_id,
                "slate_id": slate_id,
                "position": None if position < 0 else position,
            }


def _cents(prices: NDArray[np.float32]) -> list[float]:
    return list(np.round(prices.astype(np.float64), 2).tolist())
