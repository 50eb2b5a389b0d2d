"""Refused records: summaries from the read model, bytes from the topic, and back with them to where they came from."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Iterator
from itertools import takewhile
from typing import Final

import msgspec
from aiohttp import web

from schemas import topics
from schemas.api import (
    DeadLetterFull,
    DeadLettersQuery,
    DeadLetterSummary,
    NoQuery,
    Page,
    ReplayAnswer,
    ReplayRequest,
)
from schemas.rejections import Rejection
from streams.api.answers import cursor, json, page, place
from streams.api.operations import Operation, body_of
from streams.api.problems import BadRequestError, TooManyError
from streams.api.read_model import summary
from streams.api.store import Store
from streams.dead_letter import DeadLetters, Filter, Replayed, replay
from streams.settings import KafkaSettings

SHOWN_BYTES: Final = 4_000
_summary = msgspec.json.Decoder(DeadLetterSummary).decode


class Refused:
    """Reads the store, and the topic where bytes are needed."""

    def __init__(self, store: Store, kafka: KafkaSettings) -> None:
        self._store = store
        self._kafka = kafka
        self._replaying: asyncio.Future[Replayed] | None = None

    def operations(self) -> list[Operation]:
        """What is answered here."""
        return [
            Operation(
                method="GET",
                path="/v1/dead-letters",
                name="dead-letters",
                tag="dead letters",
                summary="Refused records with their reasons, newest first.",
                handler=self.list,
                scope="read",
                query=DeadLettersQuery,
                gives=Page[DeadLetterSummary],
            ),
            Operation(
                method="GET",
                path="/v1/dead-letters/{partition}/{offset}",
                name="dead-letter",
                tag="dead letters",
                summary="One refused record, its bytes as they were sent.",
                handler=self.show,
                scope="admin",
                gives=DeadLetterFull,
                refuses=(404, 503),
                slow=True,
            ),
            Operation(
                method="POST",
                path="/v1/dead-letters/replay",
                name="dead-letters-replay",
                tag="dead letters",
                summary="Send refused records back to their topics after the cause was mended.",
                handler=self.replay,
                scope="admin",
                body=(ReplayRequest,),
                gives=ReplayAnswer,
                refuses=(503,),
                slow=True,
            ),
        ]

    async def list(self, _: web.Request, query: DeadLettersQuery) -> web.StreamResponse:
        """A page of summaries."""
        return page(self._picked(query), query.limit)

    def _picked(self, query: DeadLettersQuery) -> Iterator[tuple[str, bytes | None]]:
        for each in self._store.newest(topics.DEAD_LETTER, place(query.cursor)):
            if each.time_ms < query.since_ms:
                return
            told = _summary(each.body)
            meant = query.reason in (None, told.reason) and query.topic in (None, told.topic)
            yield cursor(each.place), each.body if meant else None

    async def show(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """One with its bytes."""
        partition, offset = (_number(request, name) for name in ("partition", "offset"))
        return json(await asyncio.to_thread(self._find, partition, offset))

    def _find(self, partition: int, offset: int) -> DeadLetterFull:
        with DeadLetters(self._kafka) as letters:
            record, letter = letters.find(partition, offset)
        value = record.value or b""
        found = record.headers if isinstance(letter, Rejection) else letter.headers
        return DeadLetterFull(
            summary=summary(record),
            headers=[(name, (each or b"").decode(errors="backslashreplace")) for name, each in found],
            value_text=value[:SHOWN_BYTES].decode(errors="backslashreplace"),
            value_base64=b64encode(value).decode(),
        )

    async def replay(self, request: web.Request, _: NoQuery) -> web.StreamResponse:
        """Send some back, for as long as the request lasts; one replay at a time."""
        asked = await body_of(request, ReplayRequest)
        if self._replaying is not None and not self._replaying.done():
            raise TooManyError("A replay is under way.", fix="Come again when it has ended.", retry_s=5)
        given_up = threading.Event()
        self._replaying = asyncio.ensure_future(asyncio.to_thread(self._replay, asked, given_up))
        try:
            outcome = await asyncio.shield(self._replaying)
        finally:
            given_up.set()
        return json(
            ReplayAnswer(
                dry_run=asked.dry_run,
                sent=dict(outcome.sent),
                exhausted=outcome.exhausted,
                homeless=outcome.homeless,
            )
        )

    def _replay(self, asked: ReplayRequest, given_up: threading.Event) -> Replayed:
        wanted = Filter(asked.reason, asked.topic, asked.since_ms)
        with DeadLetters(self._kafka) as letters:
            return replay(
                self._kafka,
                (each.letter for each in takewhile(lambda _: not given_up.is_set(), letters.select(wanted))),
                max_attempts=asked.max_attempts,
                dry_run=asked.dry_run,
            )


def _number(request: web.Request, name: str) -> int:
    text = request.match_info[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequestError(
            f"The {name} is no number.", fix="/v1/dead-letters lists partitions and offsets."
        )
    return int(text)
