"""What a worker answers of its users, from the states of its own partitions. It changes nothing.

::

    GET  /explain?user=U&item=I   why U sees these items, or not I
    GET  /state?user=U            what is remembered of U
    GET  /events?user=U&limit=N   what U did lately
    POST /rank                    given candidates in order
    POST /slate                   a slate for a query, or as if the visit were over
    POST /what-if                 the slate as it is, and as it would be

    200  as asked                 421  the user's partition is another worker's
    400  the question is wrong    503  the worker is not ready
    404  nothing is remembered of the user; questions by POST take them for somebody new

Everything but 200 is ``{"error", "fix"}``. Asking takes the event loop some 2 ms for a slate of 20.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from models.explain.imagine import ImaginationError, after, moved
from models.ingest.posted import IngestPosted
from models.interest.codec import InterestError, decode
from models.interest.state import State
from models.path import Path
from schemas import topics
from schemas.api import RankAnswer, RankedCandidate, RankRequest, SlateRequest, WhatIfAnswer, WhatIfOf
from schemas.events import MAX_ID_BYTES, AnyEvent, Search
from schemas.outputs import Slate
from schemas.rejections import REMEDIES, Rejection
from streams.explain.remembered import user_events, user_state
from streams.partitioner import partition_of

T = TypeVar("T")

Load = Callable[[int, Sequence[bytes]], Sequence[bytes | None]]
"""Stored states of user keys in a partition."""

MAX_LIMIT: Final = 10_000

_NO_STATE: Final = (
    "Nothing is remembered of this user.",
    "Check the id: it is the key of the events. `rillet state show` reads all partitions, `rillet dead-letter list` "
    "tells what was refused.",
)
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """Status and JSON of an answer."""

    status: int
    body: bytes


class _RefusedError(Exception):
    """A question that is not answered."""

    def __init__(self, status: int, error: str, fix: str) -> None:
        super().__init__(error)
        self.answer = refusal(status, error, fix)


class Answerer:
    """Answers whoever asks, as long as the worker is ready and the user is of its partitions."""

    def __init__(
        self,
        path: Path,
        load: Load,
        partitions: int,
        owns: Callable[[str, int], bool],
        missing: Callable[[], list[str]],
    ) -> None:
        self._path = path
        self._load = load
        self._partitions = partitions
        self._owns = owns
        self._missing = missing
        self._judge = IngestPosted(path.settings.ingest)
        self.gets: Mapping[str, Callable[[Mapping[str, str]], Answer]] = {
            "/explain": lambda query: self(query.get("user", ""), query.get("item")),
            "/state": lambda query: _answered(lambda: self._remembered(query.get("user", ""))),
            "/events": lambda query: _answered(
                lambda: self._lately(query.get("user", ""), query.get("limit", "50"))
            ),
        }
        """By path: what the parameters of a GET are answered with."""
        self.posts: Mapping[str, Callable[[bytes], Answer]] = {
            "/rank": lambda body: _answered(lambda: self._ranked(_asked(body, RankRequest))),
            "/slate": lambda body: _answered(lambda: self._slate(_asked(body, SlateRequest))),
            "/what-if": lambda body: _answered(lambda: self._what_if(_asked(body, WhatIfOf))),
        }
        """By path: what the body of a POST is answered with."""

    def __call__(self, user_id: str, item_id: str | None) -> Answer:
        """Why, for a user, and an item that is asked for."""
        return _answered(lambda: self._explained(user_id, item_id))

    def _explained(self, user_id: str, item_id: str | None) -> Any:
        if item_id is not None:
            _check("item", item_id)
        return self._path.explain(self._state(user_id), user_id, _now_ms(), item_id)

    def _remembered(self, user_id: str) -> Any:
        return user_state(self._state(user_id), user_id, self._path.settings.interest, _now_ms())

    def _lately(self, user_id: str, limit: str) -> Any:
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MAX_LIMIT):
            raise _RefusedError(400, f"limit is {limit!r}.", f"Give a number from 1 to {MAX_LIMIT}.")
        return user_events(self._state(user_id), user_id, int(limit))

    def _ranked(self, asked: RankRequest) -> RankAnswer:
        stored, now_ms = self._stored(asked.user_id), _now_ms()
        state = self._after(stored, _searched(asked.user_id, asked.query, now_ms), now_ms)
        ordered = self._path.order(state, asked.user_id, asked.item_ids)
        known = {each.item_id for each in ordered}
        available = self._available(asked.item_ids)
        items = [
            RankedCandidate(
                item_id=each.item_id,
                place=place,
                score=each.score,
                known=True,
                available=available[each.item_id],
                reasons=each.reasons,
            )
            for place, each in enumerate(ordered, start=1)
        ]
        others = [item_id for item_id in dict.fromkeys(asked.item_ids) if item_id not in known]
        items += [
            RankedCandidate(item_id=item_id, place=place, score=None, known=False, available=True, reasons=[])
            for place, item_id in enumerate(others, start=len(items) + 1)
        ]
        return RankAnswer(
            user_id=asked.user_id,
            model_version=self._path.model_version,
            cold_start=stored is None,
            items=items,
        )

    def _slate(self, asked: SlateRequest) -> Slate:
        stored, now_ms = self._stored(asked.user_id), _now_ms()
        idle_ms = int(self._path.settings.interest.idle_s * 1000) + 1 if asked.after_visit else 0
        state = self._after(stored, _searched(asked.user_id, asked.query, now_ms), now_ms + idle_ms)
        return Slate(
            slate_id=f"asked-{partition_of(asked.user_id.encode(), self._partitions)}-{time.time_ns()}",
            user_id=asked.user_id,
            items=self._path.recommend(state, asked.user_id),
            event_id="",
            event_time_ms=now_ms,
            processed_ms=now_ms,
            model_version=self._path.model_version,
            cold_start=not state.recents.items,
        )

    def _what_if(self, asked: WhatIfOf) -> WhatIfAnswer:
        stored, now_ms = self._stored(asked.user_id), _now_ms()
        events = [self._event(asked.user_id, n, each, now_ms) for n, each in enumerate(asked.events)]
        path = self._path
        try:
            ranking = moved(path.ranking, asked.weights, asked.settings, path.source_names)
        except ImaginationError as error:
            raise _RefusedError(400, f"This cannot be imagined: {error}.", "See docs/api.md.") from error
        now = path.explain(self._after(stored, [], 0), asked.user_id, now_ms, asked.item)
        imagined = path.explain(
            self._after(stored, events, 0), asked.user_id, now_ms, asked.item, ranking=ranking
        )
        return WhatIfAnswer(now=now, imagined=imagined)

    def _event(self, user_id: str, n: int, fields: Mapping[str, Any], now_ms: int) -> AnyEvent:
        """An imagined event, judged as real ones are."""
        given = {"event_id": f"imagined-{now_ms}-{n}", "time_ms": now_ms, **fields, "user_id": user_id}
        judged = self._judge(_encode(given), now_ms)
        if isinstance(judged, Rejection):
            raise _RefusedError(400, f"Event {n}: {judged.reason}: {judged.detail}", REMEDIES[judged.reason])
        return judged.event

    def _after(self, stored: bytes | None, events: Sequence[AnyEvent], now_ms: int) -> State:
        return after(stored, events, self._path.settings.interest, self._path.knowledge.facts_of, now_ms)

    def _available(self, item_ids: Sequence[str]) -> dict[str, bool]:
        knowledge = self._path.knowledge
        indexes = knowledge.vocabularies.items.lookup(item_ids).tolist()
        available = knowledge.attributes.available
        return {item_id: i < 0 or bool(available[i]) for item_id, i in zip(item_ids, indexes, strict=True)}

    def _state(self, user_id: str) -> State:
        stored = self._stored(user_id)
        if stored is None:
            raise _RefusedError(404, *_NO_STATE)
        return decode(stored)

    def _stored(self, user_id: str) -> bytes | None:
        """The state of a user who is ours."""
        _check("user", user_id)
        if missing := self._missing():
            raise _RefusedError(
                503,
                f"This worker is not ready: it waits for {', '.join(missing)}.",
                "Ask again when /readyz answers 200.",
            )
        key = user_id.encode()
        partition = partition_of(key, self._partitions)
        if not self._owns(topics.BROWSE, partition):
            raise _RefusedError(
                421,
                f"The user is in partition {partition}, which is not this worker's.",
                "Ask the others: `rillet explain` tries every --worker that it is given.",
            )
        (stored,) = self._load(partition, [key])
        return stored


def _answered(answer: Callable[[], Any]) -> Answer:
    try:
        return Answer(200, _encode(answer()))
    except _RefusedError as refused:
        return refused.answer
    except InterestError as error:
        return refusal(500, f"The state cannot be read: {error}.", "Use the release that wrote it.")


def refusal(status: int, error: str, fix: str) -> Answer:
    """Why there is no answer, and the way to one."""
    return Answer(status, _encode({"error": error, "fix": fix}))


def _asked(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _RefusedError(400, f"The question cannot be read: {error}", "See docs/api.md.") from error


def _check(what: str, value: str) -> None:
    fix = f"Give user, and item where one is meant, at most {MAX_ID_BYTES} bytes each."
    if not value:
        raise _RefusedError(400, f"The {what} is empty.", fix)
    if len(value.encode(errors="replace")) > MAX_ID_BYTES:
        raise _RefusedError(400, f"The id of the {what} is longer than ids can be.", fix)


def _searched(user_id: str, query: str | None, now_ms: int) -> list[AnyEvent]:
    if not query:
        return []
    return [Search(event_id=f"asked-{now_ms}", user_id=user_id, time_ms=now_ms, query=query)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
