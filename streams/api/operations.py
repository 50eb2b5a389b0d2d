"""What one route is: how it is reached, who may, what it takes and gives. Routing and OpenAPI are made of it."""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from schemas.api import NoQuery
from schemas.events import MAX_ID_BYTES
from streams.api.problems import BadRequestError, NotJsonError
from streams.api.tokens import Scope

T = TypeVar("T")
Query = Any
"""An instance of the operation's query type."""
Handler = Callable[[web.Request, Query], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
GZIP: Final = 16 + zlib.MAX_WBITS
"""Of zlib: with gzip's header."""

PATH: Final = {
    "user": "id of the user; of an anonymous visitor the id that their events are sent under",
    "item": "id of the item",
    "name": "a category, or `*` for all",
    "asset": "name of the topic or table",
    "partition": "partition of the dead letter",
    "offset": "offset of the dead letter",
}
"""Meaning of what stands in a path."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    tag: str
    summary: str
    handler: Handler
    scope: Scope | None
    query: type[Struct] = NoQuery
    body: Sequence[type] = ()
    """Types that the request's body can be of."""
    many: int = 0
    """So many of them are taken too, as an array or under ``events``."""
    gives: type | UnionType | None
    """Type of the answer; None where it is no JSON."""
    status: int = 200
    media: str = JSON
    conditional: bool = False
    """Answers carry an ETag, and ``If-None-Match`` is heeded."""
    refuses: Sequence[int] = field(default=())
    """Errors of its own, beside those that every operation can give."""
    answers: Sequence[int] = field(default=())
    """Errors that are told as ``gives``, not as a problem."""
    slow: bool = False
    """It waits for a worker or the broker: so many at once."""
    slow_for: Callable[[Query], bool] | None = None
    """Whether it does for such a query, where others need not wait."""


def query_of(request: web.Request, type_: type[T]) -> T:
    """The parameters as the operation has them.

    Raises:
        BadRequestError: one is unknown, given twice or out of range.
    """
    given = request.query
    if not given:
        return _decoded({}, type_)
    lists = _lists(type_)
    values: dict[str, Any] = {}
    for name in given:
        if name in values:
            continue
        if name not in type_.__struct_fields__:  # type: ignore[attr-defined]
            known = ", ".join(type_.__struct_fields__) or "none"  # type: ignore[attr-defined]
            raise BadRequestError(f"There is no parameter {name!r} here.", fix=f"Known are: {known}.")
        found = given.getall(name)
        if name not in lists and len(found) > 1:
            raise BadRequestError(f"{name} is given {len(found)} times.", fix="Give it once.")
        values[name] = found if name in lists else found[0]
    return _decoded(values, type_)


def id_of(request: web.Request, name: str) -> str:
    """An id in the path."""
    value = request.match_info[name]
    if len(value.encode(errors="replace")) > MAX_ID_BYTES:
        raise BadRequestError(
            f"The {name} is longer than ids can be.", fix=f"Give at most {MAX_ID_BYTES} bytes."
        )
    return value


async def body_of(request: web.Request, type_: type[T]) -> T:
    """The JSON body as the operation has it.

    Raises:
        NotJsonError, BadRequestError, TooLargeError
    """
    body = await json_body(request)
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(
            f"The body is refused: {error}", fix="See /openapi.json for its shape."
        ) from error


async def json_body(request: web.Request) -> bytes:
    """The body, which must be declared as JSON: a page of another site cannot send that unasked."""
    if request.content_type != JSON and not request.content_type.endswith("+json"):
        raise NotJsonError(
            f"The body is declared as {request.content_type}.", fix=f"Send `Content-Type: {JSON}`."
        )
    if (request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size)
    return _unpacked(await request.read(), request.headers.get("Content-Encoding"), request.client_max_size)


def _unpacked(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """A body as it was before it was packed."""
    if encoding is None or encoding.lower() == "identity":
        return body
    if encoding.lower() != "gzip":
        raise NotJsonError(
            f"The body is packed by {encoding!r}.", fix="Pack it by gzip, or send it as it is."
        )
    unpacking = zlib.decompressobj(wbits=GZIP)
    try:
        found = unpacking.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise BadRequestError(f"The body is no gzip: {error}", fix="Send it as it is.") from error
    if len(found) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes)
    if not unpacking.eof or unpacking.unused_data:
        raise BadRequestError("The body is not one whole gzip.", fix="Send it as it is.")
    return found


_LISTS: dict[type, frozenset[str]] = {}


def _lists(type_: type) -> frozenset[str]:
    """Names of the parameters that may be repeated."""
    if type_ not in _LISTS:
        info = msgspec.inspect.type_info(type_)
        assert isinstance(info, msgspec.inspect.StructType), f"{type_} is no struct"
        _LISTS[type_] = frozenset(
            each.name for each in info.fields if isinstance(_bare(each.type), msgspec.inspect.ListType)
        )
    return _LISTS[type_]


def _bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _decoded(values: dict[str, Any], type_: type[T]) -> T:
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequestError(
            f"A parameter is refused: {error}", fix="See /openapi.json for what it may be."
        ) from error
