"""Events over HTTP: judged as workers judge them, produced as shops produce them, answered when the broker has them.

An event may be posted again under its ``event_id``: it counts once.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec
from aiohttp import web
from confluent_kafka import KafkaError, KafkaException, Producer
from msgspec import Raw

from models.ingest.posted import IngestPosted, Posted
from schemas.api import Delivered, PostAnswer, PostQuery, Refused
from schemas.events import AnyEvent
from schemas.rejections import REMEDIES, Rejection
from streams.api import metrics
from streams.api.answers import json
from streams.api.operations import Operation, json_body
from streams.api.problems import AwayError, BadRequestError, UnprocessableError
from streams.settings import Settings

log = logging.getLogger(__name__)

MAX_EVENTS: Final = 1_000
"""In one request."""
PATIENCE: Final = 0.8
"""Share of the time of a request that the broker has, so that what it says still reaches who asked."""
AGAIN: Final = "Send them again under the same event_ids: those that arrived are counted once."
_array = msgspec.json.Decoder(list[Raw]).decode


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    events: list[Raw]


class Post:
    """One idempotent producer, and the thread that serves its delivery reports."""

    def __init__(self, settings: Settings, crash: Callable[[BaseException], None]) -> None:
        self._crash = crash
        self._judge = IngestPosted(settings.ingest)
        self._conf = {
            **settings.kafka.producer(),
            "linger.ms": 0.5,
            "message.timeout.ms": max(1, int(PATIENCE * settings.api.timeout_s * 1000)),
            "message.max.bytes": 4 * 1024 * 1024,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 64 * 1024,
            "error_cb": self._failed,
            "logger": log,
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="post", daemon=True)
        self._producer: Producer

    def start(self) -> None:
        """Connect."""
        self._producer = Producer(self._conf)
        self._thread.start()

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="POST",
                path="/v1/events",
                name="post-events",
                tag="events",
                summary="Send one event or up to 1,000; answered when the broker has them.",
                handler=self.post,
                scope="ingest",
                query=PostQuery,
                body=get_args(AnyEvent),
                many=MAX_EVENTS,
                gives=PostAnswer,
                status=202,
                refuses=(422, 503),
                slow=True,
            )
        ]

    async def post(self, request: web.Request, query: PostQuery) -> web.StreamResponse:
        """Judge, produce, wait."""
        values = _values(await json_body(request))
        topic = None if query.topic is None else f"events.{query.topic}"
        now_ms = time.time_ns() // 1_000_000
        judged = [self._judge(bytes(value), now_ms, topic) for value in values]
        refused = [_refused(i, each) for i, each in enumerate(judged) if isinstance(each, Rejection)]
        metrics.POSTED.labels("refused").inc(len(refused))
        if len(refused) == len(values):
            raise UnprocessableError(
                f"{refused[0].reason}: {refused[0].detail}", fix=refused[0].fix, rejected=refused
            )
        accepted = {i: each for i, each in enumerate(judged) if isinstance(each, Posted)}
        delivered = await self._deliver(accepted, values)
        metrics.POSTED.labels("accepted").inc(len(delivered))
        return json(PostAnswer(accepted=len(delivered), events=delivered, rejected=refused), status=202)

    async def _deliver(self, accepted: Mapping[int, Posted], values: list[Raw]) -> list[Delivered]:
        parcel = _Parcel(len(accepted), asyncio.get_running_loop())
        for i, posted in accepted.items():
            try:
                self._producer.produce(
                    posted.topic,
                    bytes(values[i]),
                    posted.event.user_id.encode(),
                    on_delivery=parcel.of(i, posted),
                )
            except BufferError as error:
                raise AwayError("Too many events wait for the broker.", fix=AGAIN, retry_s=1) from error
            except KafkaException as error:
                raise _away(error) from error
        try:
            return await parcel.delivered
        except KafkaException as error:
            metrics.POSTED.labels("failed").inc(len(accepted))
            raise _away(error) from error

    def close(self) -> None:
        """Deliver what is waiting."""
        self._stopping.set()
        self._thread.join()
        self._producer.flush(5)

    def _failed(self, error: KafkaError) -> None:
        """A producer that had a fatal error takes nothing any more: the process starts again."""
        if error.fatal():
            self._crash(KafkaException(error))

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)


class _Parcel:
    """The events of one request. ``delivered`` ends with the last of them, or with the first error."""

    def __init__(self, n: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left = n
        self._loop = loop
        self._found: list[Delivered] = []
        self.delivered: asyncio.Future[list[Delivered]] = loop.create_future()

    def of(self, index: int, posted: Posted) -> Any:
        """The report of one event; called in the producer's thread, one after the other."""

        def report(error: Any, message: Any) -> None:
            if error is not None:
                self._loop.call_soon_threadsafe(self._fail, error)
                return
            self._found.append(
                Delivered(
                    index=index,
                    event_id=posted.event.event_id,
                    topic=message.topic(),
                    partition=message.partition(),
                    offset=message.offset(),
                )
            )
            self._left -= 1
            if not self._left:
                self._loop.call_soon_threadsafe(self._finish)

        return report

    def _finish(self) -> None:
        if not self.delivered.done():
            self.delivered.set_result(sorted(self._found, key=lambda each: each.index))

    def _fail(self, error: Any) -> None:
        if not self.delivered.done():
            self.delivered.set_exception(KafkaException(error))


def _away(error: KafkaException) -> AwayError:
    return AwayError(f"The broker has not taken the events: {error.args[0].str()}.", fix=AGAIN, retry_s=1)


def _values(body: bytes) -> list[Raw]:
    """The events of a body: an array, an object with ``events``, or one event."""
    try:
        values = _array(body) if body.lstrip()[:1] == b"[" else _many(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(
            f"The body is no JSON: {error}", fix='Send an event, an array of events, or {"events": [...]}.'
        ) from error
    if not 1 <= len(values) <= MAX_EVENTS:
        raise BadRequestError(f"{len(values)} events are given.", fix=f"Send 1 to {MAX_EVENTS} at once.")
    return values


def _many(body: bytes) -> list[Raw]:
    try:
        return msgspec.json.decode(body, type=_Many).events
    except msgspec.ValidationError:
        return [Raw(body)]


def _refused(index: int, rejection: Rejection) -> Refused:
    return Refused(
        index=index, reason=rejection.reason.value, detail=rejection.detail, fix=REMEDIES[rejection.reason]
    )
