"""What only the worker that has a user can tell: why, what it remembers, an order of candidates, what would be if.

The worker's answers go on as they are.
"""

from aiohttp import web
from msgspec import to_builtins

from schemas.api import (
    ExplainQuery,
    NoQuery,
    RankAnswer,
    RankRequest,
    UserEvents,
    UserEventsQuery,
    UserState,
    WhatIfAnswer,
    WhatIfRequest,
)
from schemas.explain import Explanation
from streams.api.operations import JSON, Operation, body_of, id_of
from streams.api.workers import Workers


class Person:
    """Asks the workers."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/users/{user}/explain",
                name="explain",
                tag="users",
                summary="Why the user sees these items, or not this one.",
                handler=self.explain,
                scope="read",
                query=ExplainQuery,
                gives=Explanation,
                refuses=(404, 503),
                slow=True,
            ),
            Operation(
                method="GET",
                path="/v1/users/{user}/events",
                name="user-events",
                tag="users",
                summary="What the user did lately, as it is remembered.",
                handler=self.events,
                scope="read",
                query=UserEventsQuery,
                gives=UserEvents,
                refuses=(404, 503),
                slow=True,
            ),
            Operation(
                method="GET",
                path="/v1/users/{user}/state",
                name="user-state",
                tag="users",
                summary="What is remembered of the user, decayed to now.",
                handler=self.state,
                scope="read",
                gives=UserState,
                refuses=(404, 503),
                slow=True,
            ),
            Operation(
                method="POST",
                path="/v1/users/{user}/what-if",
                name="what-if",
                tag="users",
                summary="The slate as it would be after imagined events, or with other weights. Nothing is remembered.",
                handler=self.what_if,
                scope="read",
                body=(WhatIfRequest,),
                gives=WhatIfAnswer,
                refuses=(503,),
                slow=True,
            ),
            Operation(
                method="POST",
                path="/v1/rank",
                name="rank",
                tag="recommendations",
                summary="Candidates in the order that suits a user and a query: search results, a category page.",
                handler=self.rank,
                scope="read",
                body=(RankRequest,),
                gives=RankAnswer,
                refuses=(503,),
                slow=True,
            ),
        ]

    async def explain(self, request: web.Request, query: ExplainQuery) -> web.StreamResponse:
        """Why."""
        about = {} if query.item is None else {"item": query.item}
        return _sent(await self._workers.get("/explain", id_of(request, "user"), **about))

    async def events(self, request: web.Request, query: UserEventsQuery) -> web.StreamResponse:
        """Lately."""
        limit = str(query.limit)
        return _sent(await self._workers.get("/events", id_of(request, "user"), limit=limit))

    async def state(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """Remembered."""
        return _sent(await self._workers.get("/state", id_of(request, "user")))

    async def what_if(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """Imagined."""
        user, asked = id_of(request, "user"), await body_of(request, WhatIfRequest)
        return _sent(await self._workers.post("/what-if", user, {"user_id": user, **to_builtins(asked)}))

    async def rank(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """Ordered."""
        asked = await body_of(request, RankRequest)
        return _sent(await self._workers.post("/rank", asked.user_id, asked))


def _sent(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON)
