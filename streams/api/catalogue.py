"""Items, what goes with them, leaderboards and promotions, from the read model."""

import time
from collections.abc import Iterator
from typing import Final

import msgspec
from aiohttp import web
from xxhash import xxh3_64_hexdigest

from schemas import topics
from schemas.api import ItemsQuery, Leaderboard, NoQuery, Page, PageQuery, PromotionsQuery, RunningPromotion
from schemas.catalog import Item, Promotion
from schemas.outputs import Related, Trending
from streams.api.answers import REVALIDATE, cursor, page, place, versioned
from streams.api.operations import Operation, id_of
from streams.api.problems import NotFoundError
from streams.api.store import Held, Store

SHORT: Final = "private, max-age=5"
"""Leaderboards and related items change by themselves every few seconds at most."""

_encode = msgspec.json.Encoder().encode
_decode_promotion = msgspec.json.Decoder(Promotion).decode
_decode_item = msgspec.json.Decoder(Item).decode


class _Updated(msgspec.Struct):
    updated_ms: int


class Catalogue:
    """Reads the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/items/{item}/related",
                name="related",
                tag="recommendations",
                summary="The items that go with an item.",
                handler=self.related,
                scope="read",
                gives=Related,
                conditional=True,
                refuses=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/items/{item}",
                name="item",
                tag="catalogue",
                summary="An item as the shop described it.",
                handler=self.item,
                scope="read",
                gives=Item,
                conditional=True,
                refuses=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/items",
                name="items",
                tag="catalogue",
                summary="Items of the catalogue by id.",
                handler=self.items,
                scope="read",
                query=ItemsQuery,
                gives=Page[Item],
            ),
            Operation(
                method="GET",
                path="/v1/leaderboards",
                name="leaderboards",
                tag="recommendations",
                summary="The leaderboards there are: `*` of all, and one a category.",
                handler=self.leaderboards,
                scope="read",
                query=PageQuery,
                gives=Page[Leaderboard],
            ),
            Operation(
                method="GET",
                path="/v1/leaderboards/{name}",
                name="leaderboard",
                tag="recommendations",
                summary="What is popular now, in all (`*`) or in a category.",
                handler=self.leaderboard,
                scope="read",
                gives=Trending,
                conditional=True,
                refuses=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/promotions",
                name="promotions",
                tag="catalogue",
                summary="Promotions, and whether they run now.",
                handler=self.promotions,
                scope="read",
                query=PromotionsQuery,
                gives=Page[RunningPromotion],
            ),
        ]

    async def related(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """Related items, empty where nothing was seen with the item yet."""
        item_id = id_of(request, "item")
        held = self._store.get(topics.RELATED, item_id.encode())
        if held is None and self._store.get(topics.ITEMS, item_id.encode()) is None:
            raise NotFoundError(
                f"Nothing goes with an item {item_id!r}, and the catalogue has none.",
                fix="Check the id; /v1/items lists those of the catalogue.",
            )
        return _sent(
            request, held or Held(0, b"", _encode(Related(item_id=item_id, items=[], updated_ms=0))), SHORT
        )

    async def item(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """An entry of the catalogue."""
        item_id = id_of(request, "item")
        held = self._store.get(topics.ITEMS, item_id.encode())
        if held is None:
            raise NotFoundError(
                f"The catalogue has no item {item_id!r}.", fix="Send it to catalog.items, keyed by item_id."
            )
        return _sent(request, held)

    async def items(self, _: web.Request, query: ItemsQuery) -> web.StreamResponse:
        """A page of the catalogue."""
        if query.item:
            return page(self._named(query.item), len(query.item))
        return page(self._items(query), query.limit)

    def _named(self, items: list[str]) -> Iterator[tuple[str, bytes]]:
        for key in dict.fromkeys(item.encode() for item in items):
            if (held := self._store.get(topics.ITEMS, key)) is not None:
                yield cursor(key), held.body

    def _items(self, query: ItemsQuery) -> Iterator[tuple[str, bytes]]:
        prefix = query.prefix.encode()
        first = self._store.get(topics.ITEMS, prefix) if prefix and query.cursor is None else None
        if first is not None:
            yield cursor(prefix), first.body
        for key, held in self._store.after(topics.ITEMS, place(query.cursor) or prefix):
            if not key.startswith(prefix):
                return
            yield cursor(key), held.body

    async def leaderboards(self, _: web.Request, query: PageQuery) -> web.StreamResponse:
        """Their names."""
        found = (
            (
                cursor(key),
                _encode(
                    Leaderboard(
                        name=key.decode(errors="replace"),
                        updated_ms=msgspec.json.decode(held.body, type=_Updated).updated_ms,
                    )
                ),
            )
            for key, held in self._store.after(topics.TRENDING, place(query.cursor) or b"")
        )
        return page(found, query.limit)

    async def leaderboard(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """One of them."""
        name = id_of(request, "name")
        held = self._store.get(topics.TRENDING, name.encode())
        if held is None:
            raise NotFoundError(
                f"There is no leaderboard {name!r}.",
                fix="/v1/leaderboards lists those there are; each appears with the first interactions of its category.",
            )
        return _sent(request, held, SHORT)

    async def promotions(self, _: web.Request, query: PromotionsQuery) -> web.StreamResponse:
        """A page of promotions."""
        return page(self._promotions(query, time.time_ns() // 1_000_000), query.limit)

    def _promotions(self, query: PromotionsQuery, now_ms: int) -> Iterator[tuple[str, bytes | None]]:
        about = self._item(query.item)
        for key, held in self._store.after(topics.PROMOTIONS, place(query.cursor) or b""):
            promotion = _decode_promotion(held.body)
            active = promotion.starts_ms <= now_ms < promotion.ends_ms
            meant = query.active in (None, active) and (
                query.item is None or holds_for(promotion, query.item, about)
            )
            yield cursor(key), _running(promotion, active) if meant else None

    def _item(self, item_id: str | None) -> Item | None:
        held = None if item_id is None else self._store.get(topics.ITEMS, item_id.encode())
        return None if held is None else _decode_item(held.body)


def holds_for(promotion: Promotion, item_id: str, item: Item | None) -> bool:
    """Whether a promotion is on an item: by its id, category or brand, as the ranking has it."""
    return item_id in promotion.item_ids or (
        item is not None
        and (
            (promotion.category is not None and promotion.category == item.category)
            or (promotion.brand is not None and promotion.brand == item.brand)
        )
    )


def _running(promotion: Promotion, active: bool) -> bytes:
    return _encode(RunningPromotion(active=active, **msgspec.structs.asdict(promotion)))


def _sent(request: web.Request, held: Held, cache: str = REVALIDATE) -> web.Response:
    etag = xxh3_64_hexdigest(held.body)
    return versioned(request, etag, held.body, cache)
