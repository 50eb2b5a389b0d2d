"""Slates from the read model: as the bytes that were published, cut or filtered only where that is asked for.

A user of whom nothing is known gets the leaderboard, under ``cold_start`` and the header ``Rillet-Cold-Start``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Raw, Struct
from xxhash import xxh3_64_hexdigest

from schemas import topics
from schemas.api import SlateQuery
from schemas.outputs import RankedItem, ReasonCode, Related, Slate, SlateItem, Trending
from streams.api.answers import versioned
from streams.api.operations import Operation, id_of
from streams.api.problems import BadRequestError
from streams.api.store import Held, Store
from streams.api.workers import Workers

COLD_START: Final = "Rillet-Cold-Start"
RRF: Final = 60.0
"""Constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
AS_IT_IS: Final = SlateQuery()
RANKED: Final = ("search", "mail")
"""Contexts that a worker ranks for."""

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode
_COLD: Final = b'"cold_start":true'


class _Named(Struct):
    item_id: str


class _Placed(Struct):
    category: str | None = None


_named = msgspec.json.Decoder(_Named).decode
_placed = msgspec.json.Decoder(_Placed).decode


class Slates:
    """Reads the store; asks the workers where a context needs the ranking itself."""

    def __init__(self, store: Store, workers: Workers) -> None:
        self._store = store
        self._workers = workers

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/users/{user}/slate",
                name="slate",
                tag="recommendations",
                summary="The newest slate of a user; the leaderboard where nothing is known of them.",
                handler=self.slate,
                scope="read",
                query=SlateQuery,
                gives=Slate,
                conditional=True,
                refuses=(503,),
                slow_for=lambda query: query.context in RANKED,
            )
        ]

    async def slate(self, request: web.Request, query: SlateQuery) -> web.StreamResponse:
        """The slate of the user, for a context."""
        user = id_of(request, "user")
        held = self.newest(user)
        if query == AS_IT_IS:
            return self._answer(request, held)
        if query.context in RANKED:
            held = await self._ranked(user, query)
        elif query.context in ("product", "cart"):
            held = self._together(held, query)
        return self._answer(request, self._cut(held, query))

    def newest(self, user: str) -> Held:
        """The stored slate, or the cold start's."""
        return self._store.get(topics.SLATES, user.encode()) or self._cold(user)

    def _answer(self, request: web.Request, held: Held) -> web.Response:
        more = {COLD_START: "true"} if _COLD in held.body else None
        return versioned(request, held.id.decode(), held.body, more=more)

    def _cold(self, user: str) -> Held:
        """The leaderboard of all as a slate."""
        held = self._store.get(topics.TRENDING, topics.OVERALL.encode())
        if held is None:
            return _slate_of(user, b"cold-start-0", [], 0)
        board = msgspec.json.decode(held.body, type=Trending)
        items = [SlateItem(each.item_id, each.score, [ReasonCode("trending", 1.0)]) for each in board.items]
        return _slate_of(user, b"cold-start-%d" % board.updated_ms, items, board.updated_ms)

    def _cut(self, held: Held, query: SlateQuery) -> Held:
        """Without what is not wanted; items are copied as they are."""
        if query.n is None and not query.exclude and not query.category:
            return held
        fields = _fields(held.body)
        wanted = islice(self._wanted(_items(fields["items"]), query), query.n)
        fields["items"] = Raw(_encode(list(wanted)))
        body = _encode(fields)
        return Held(held.time_ms, held.id + b"/" + xxh3_64_hexdigest(body).encode(), body)

    def _wanted(self, items: Sequence[Raw], query: SlateQuery) -> Iterator[Raw]:
        excluded, categories = set(query.exclude), set(query.category)
        for raw in items:
            item_id = _named(raw).item_id
            if item_id in excluded or (categories and self._category(item_id) not in categories):
                continue
            yield raw

    def _category(self, item_id: str) -> str | None:
        held = self._store.get(topics.ITEMS, item_id.encode())
        return None if held is None else _placed(held.body).category

    def _together(self, held: Held, query: SlateQuery) -> Held:
        """What goes with the items given first, by reciprocal rank fusion with the slate; then the slate."""
        if not query.item:
            raise BadRequestError(
                f"The context {query.context} is about items.", fix="Name them: item=sku-1&item=sku-2."
            )
        slate = msgspec.json.decode(held.body, type=Slate)
        lists = {item_id: self._related(item_id) for item_id in query.item}
        items = list(fused(lists, slate.items, set(query.item)))
        body = _encode(msgspec.structs.replace(slate, items=items))
        made = xxh3_64_hexdigest(body).encode()
        return Held(held.time_ms, held.id + b"/" + query.context.encode() + b"/" + made, body)

    def _related(self, item_id: str) -> list[RankedItem]:
        held = self._store.get(topics.RELATED, item_id.encode())
        return [] if held is None else msgspec.json.decode(held.body, type=Related).items

    async def _ranked(self, user: str, query: SlateQuery) -> Held:
        """A slate that the worker makes now, for a query or for after the visit."""
        if query.context == "search" and query.q is None:
            raise BadRequestError("The context search is about a query.", fix="Give it: q=red+shoe.")
        asked: dict[str, Any] = {"user_id": user, "query": query.q, "after_visit": query.context == "mail"}
        body = await self._workers.post("/slate", user, asked)
        return Held(0, xxh3_64_hexdigest(body).encode(), body)


def fused(
    lists: dict[str, list[RankedItem]], slate: Sequence[SlateItem], left_out: set[str]
) -> Iterator[SlateItem]:
    """Items of the lists by ``sum of 1 / (60 + place)`` over lists and slate, then the others of the slate; ties by id.

    The reason of the first kind is ``related``, because of the items in whose lists it stands.
    """
    scores: dict[str, float] = {}
    because: dict[str, list[tuple[str, float]]] = {}
    for of, related in lists.items():
        for place, each in enumerate(related, start=1):
            if each.item_id not in left_out:
                share = 1.0 / (RRF + place)
                scores[each.item_id] = scores.get(each.item_id, 0.0) + share
                because.setdefault(each.item_id, []).append((of, share))
    known = {each.item_id: each for each in slate if each.item_id not in left_out}
    for place, item_id in enumerate(known, start=1):
        if item_id in scores:
            scores[item_id] += 1.0 / (RRF + place)
    for item_id in sorted(scores, key=lambda each: (-scores[each], each)):
        yield SlateItem(item_id, scores[item_id], list(_reasons(because[item_id], known.get(item_id))))
    yield from (each for item_id, each in known.items() if item_id not in scores)


def _reasons(because: Iterable[tuple[str, float]], of_slate: SlateItem | None) -> Iterator[ReasonCode]:
    shares = list(because)
    total = sum(share for _, share in shares) * (1 if of_slate is None else 2)
    for item_id, share in shares:
        yield ReasonCode("related", share / total, item_id)
    if of_slate is not None:
        for each in of_slate.reasons:
            yield ReasonCode(each.source, each.share / 2, each.because)


def _slate_of(user: str, slate_id: bytes, items: list[SlateItem], made_ms: int) -> Held:
    slate = Slate(
        slate_id=slate_id.decode(),
        user_id=user,
        items=items,
        event_id="",
        event_time_ms=made_ms,
        processed_ms=made_ms,
        model_version="leaderboard",
        cold_start=True,
    )
    return Held(made_ms, slate_id, _encode(slate))
