"""What every request passes: who asks, how often, how long; and how errors are told. Counts and times it all."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from streams.api import metrics
from streams.api.limits import Buckets
from streams.api.operations import EVENT_STREAM, Operation, query_of
from streams.api.problems import (
    AwayError,
    BadRequestError,
    FaultError,
    NotAllowedError,
    NotFoundError,
    ProblemError,
    TooLargeError,
    TooManyError,
)
from streams.api.settings import ApiSettings
from streams.api.tokens import Tokens
from streams.errors import BrokerError, InputError

log = logging.getLogger(__name__)

SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class Gate:
    """Wraps the handlers of operations."""

    def __init__(self, settings: ApiSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._buckets = Buckets(settings.rate_per_s, settings.burst)
        self._slow = asyncio.Semaphore(settings.max_slow)

    def wrap(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler as it is routed to."""
        seconds = metrics.SECONDS.labels(operation.name)
        answered = {200: metrics.REQUESTS.labels(operation.name, 200)}
        streams = operation.media == EVENT_STREAM

        async def handle(request: web.Request) -> web.StreamResponse:
            began_s = time.perf_counter()
            try:
                self._admit(request, operation)
                query = query_of(request, operation.query)
                if streams:
                    return await operation.handler(request, query)
                slow = operation.slow or (operation.slow_for is not None and operation.slow_for(query))
                response = await (
                    self._patiently(operation, request, query, slow)
                    if slow or operation.body
                    else operation.handler(request, query)
                )
            except ProblemError as problem:
                response = problem.response()
            except Exception as error:  # whatever happened, the caller is told in the one way
                response = told(error).response()
            secure(response)
            status = response.status
            if status not in answered:
                answered[status] = metrics.REQUESTS.labels(operation.name, status)
            answered[status].inc()
            seconds.observe(time.perf_counter() - began_s)
            return response

        return handle

    def _admit(self, request: web.Request, operation: Operation) -> None:
        headers = request.headers
        caller = self._tokens.admit(headers.get("Authorization"), headers.get("Host", ""), operation.scope)
        if operation.scope is None:
            return
        wait_s = self._buckets.take(caller or request.remote or "", time.monotonic())
        if wait_s:
            raise TooManyError(
                f"More than {self._settings.rate_per_s:g} requests a second.",
                fix="Come again after Retry-After, or raise api.rate_per_s.",
                retry_s=wait_s,
            )

    async def _patiently(
        self, operation: Operation, request: web.Request, query: object, slow: bool
    ) -> web.StreamResponse:
        if slow and self._slow.locked():
            raise TooManyError(
                f"{self._settings.max_slow} requests already wait for workers or the broker.",
                fix="Come again, or raise api.max_slow.",
                retry_s=1,
            )
        async with asyncio.timeout(self._settings.timeout_s):
            if not slow:
                return await operation.handler(request, query)
            async with self._slow:
                return await operation.handler(request, query)


@web.middleware
async def strangers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What no route takes is told as a problem too."""
    if request.match_info.http_exception is None:
        return await handler(request)
    response = told(request.match_info.http_exception).response()
    metrics.REQUESTS.labels("none", response.status).inc()
    secure(response)
    return response


def is_about_us(record: logging.LogRecord) -> bool:
    """Requests that are no HTTP are counted, not logged: they may hold a token."""
    ours = not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
    if not ours:
        metrics.REQUESTS.labels("none", 400).inc()
    return ours


def secure(response: web.StreamResponse) -> None:
    """Headers that every answer has; those that are there stay."""
    headers = response.headers
    headers.update(SECURITY)
    headers.setdefault("Content-Security-Policy", API_POLICY)
    headers.setdefault("Cache-Control", "no-store")


def told(error: Exception) -> ProblemError:
    """An error as a problem; what it was in detail stays in the log."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return NotAllowedError(error.method, ", ".join(sorted(error.allowed_methods)))
    if isinstance(error, web.RequestPayloadError):
        return BadRequestError("The body is not as its length or chunks say.", fix="Send it whole.")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLargeError("The body exceeds api.max_body_bytes.", fix="Send less at once.")
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError("There is no such path.", fix="See /openapi.json for those there are.")
    if isinstance(error, web.HTTPException):
        return BadRequestError(error.reason, fix="See /openapi.json.")
    if isinstance(error, TimeoutError):
        return AwayError(
            "It took too long.", fix="Come again; if that repeats, see /readyz and api.timeout_s.", retry_s=1
        )
    if isinstance(error, InputError):
        return NotFoundError(error.problem, fix=error.fix)
    if isinstance(error, BrokerError):
        return AwayError(error.problem, fix=error.fix, retry_s=5)
    log.error("request_failed", exc_info=error)
    return FaultError("Something went wrong in the API itself.", fix="The log of the API tells what.")
