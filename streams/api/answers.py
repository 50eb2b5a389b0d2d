"""Answers as they are sent: JSON bytes, versions of them, and pages."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Raw

from schemas.api import Page
from streams.api.operations import JSON
from streams.api.problems import BadRequestError

REVALIDATE: Final = "private, no-cache"
"""May be kept, and is asked for anew each time: that costs a 304."""

MAX_LOOKED_AT: Final = 2_000
"""Entries looked at for one page."""

_encode = msgspec.json.Encoder().encode


def json(value: Any, status: int = 200) -> web.Response:
    """A value as JSON."""
    return web.Response(status=status, body=_encode(value), content_type=JSON)


def versioned(
    request: web.Request,
    etag: str,
    body: bytes,
    cache: str = REVALIDATE,
    more: Mapping[str, str] | None = None,
) -> web.Response:
    """Stored bytes under the name of their version; 304 to who has them."""
    quoted = f'"{etag}"'
    headers = {"ETag": quoted, "Cache-Control": cache, **(more or {})}
    if matches(request.headers.get("If-None-Match"), quoted):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=JSON, headers=headers)


def page(found: Iterator[tuple[str, bytes | None]], limit: int) -> web.Response:
    """At most ``limit`` of (cursor behind it, body), and the cursor where there are more.

    Those without a body are not meant. Among many of them a page ends early, so that none takes the event loop long.
    """
    items: list[Raw] = []
    cursor: str | None = None
    for looked_at, (at, body) in enumerate(found):
        if len(items) == limit or looked_at == MAX_LOOKED_AT:
            return json(Page(items=items, next=cursor))
        if body is not None:
            items.append(Raw(body))
        cursor = at
    return json(Page(items=items, next=None))


def cursor(place: bytes) -> str:
    """A place as text."""
    return urlsafe_b64encode(place).decode().rstrip("=")


def place(text: str | None) -> bytes | None:
    """The place that a cursor stands for.

    Raises:
        BadRequestError: it is none of ours.
    """
    if text is None:
        return None
    found = _unquoted(text)
    if found is None or cursor(found) != text:  # the decoder passes over what is no base64
        raise BadRequestError("The cursor is none of ours.", fix="Leave it out, or send `next` as it came.")
    return found


def _unquoted(text: str) -> bytes | None:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (BinasciiError, ValueError):
        return None


def matches(known: str | None, quoted: str) -> bool:
    """Whether ``If-None-Match`` names this version."""
    if known is None:
        return False
    return known.strip() == "*" or quoted in (each.strip().removeprefix("W/") for each in known.split(","))
