"""What a request can be refused for: problem details as RFC 9457 has them, each with the way out.

::

    ProblemError                  status and title of its class; detail and fix of the case
    ├── BadRequestError      400  a parameter or body makes no sense
    ├── UnauthorizedError    401  no token, or an unknown one
    ├── ForbiddenError       403  the token lacks the scope
    ├── NotFoundError        404  there is no such thing
    ├── NotAllowedError      405  not by this method
    ├── TooLargeError        413  the body exceeds the limit
    ├── NotJsonError         415  posts are JSON
    ├── MisdirectedError     421  called by a name that is none of loopback
    ├── UnprocessableError   422  events that ingest refuses
    ├── TooManyError         429  beyond rate or number; ``Retry-After``
    ├── FaultError           500  a fault of our own
    └── AwayError            503  not ready, or a worker or the broker does not answer; ``Retry-After``
"""

from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from schemas.api import ProblemDetails

MEDIA: Final = "application/problem+json"


class ProblemError(Exception):
    """A request that is answered by an error."""

    status: ClassVar[int]
    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, fix: str, retry_s: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.detail, self.fix, self.retry_s, self.more = detail, fix, retry_s, more

    def response(self) -> web.Response:
        """As it is sent."""
        details = ProblemDetails(
            type=f"urn:rillet:problem:{self.name}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            fix=self.fix,
            **self.more,
        )
        headers = {} if self.retry_s is None else {"Retry-After": str(self.retry_s)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return web.Response(
            status=self.status, body=msgspec.json.encode(details), content_type=MEDIA, headers=headers
        )


class BadRequestError(ProblemError):
    """A parameter or the body makes no sense."""

    status, name, title = 400, "bad-request", "The request makes no sense"


class UnauthorizedError(ProblemError):
    """Nobody who may ask."""

    status, name, title = 401, "unauthorized", "A token is needed"


class ForbiddenError(ProblemError):
    """Somebody who may not ask this."""

    status, name, title = 403, "forbidden", "The token does not allow this"


class NotFoundError(ProblemError):
    """Nothing there."""

    status, name, title = 404, "not-found", "There is no such thing"


class NotAllowedError(ProblemError):
    """The path exists, but not for this method."""

    status, name, title = 405, "not-allowed", "Not by this method"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method} is not for this path.", fix=f"It takes {allowed}.")
        self._allowed = allowed

    def response(self) -> web.Response:
        """As it is sent."""
        response = super().response()
        response.headers["Allow"] = self._allowed
        return response


class TooLargeError(ProblemError):
    """The body exceeds the limit."""

    status, name, title = 413, "too-large", "The body is too large"


class NotJsonError(ProblemError):
    """A body of another type."""

    status, name, title = 415, "not-json", "The body is not declared as JSON"


class MisdirectedError(ProblemError):
    """Without tokens, only who calls us by a name of loopback is answered: a web page elsewhere cannot."""

    status, name, title = 421, "misdirected", "Called by a foreign name"


class UnprocessableError(ProblemError):
    """Events that ingest refuses."""

    status, name, title = 422, "refused", "No event was taken"


class TooManyError(ProblemError):
    """Beyond what one may ask for."""

    status, name, title = 429, "too-many", "Too many requests"


class FaultError(ProblemError):
    """A fault of our own; what it was is in the log."""

    status, name, title = 500, "fault", "A fault of the API"


class AwayError(ProblemError):
    """Something that is needed does not answer, or not yet."""

    status, name, title = 503, "away", "Not available now"
