"""The value of sessions in a neighbourhood recommender: KNN-Shapley, exactly, with n log n steps a question.

A question is what a shopper did in a session so far; answered is it by the k nearest sessions, each of which votes for
its own items. Their worth is the mean share of their votes that goes to the item the shopper wanted next:

    v(S) = 1 / k * sum over the k nearest of S of gain,    gain(s) = [wanted in s] / (new items of s)

Sessions that share nothing with the question are worth nothing to it. For the others, the nearest first, n of them,
the Shapley value is a recursion from the farthest one:

    value(n) = gain(n) min(k, n) / (k n),    value(i) = value(i + 1) + (gain(i) - gain(i + 1)) min(k, i) / (k i)

Jia, Dao, Wang, Hubis, Gurel, Li, Zhang, Spanos and Song, "Efficient task-specific data valuation for nearest neighbor
algorithms" (VLDB 2019); gains that are shares: Wang and Jia, "A note on efficient task-specific data valuation for
nearest neighbor algorithms" (2023). For recommenders: Kersbergen et al., KMC-Shapley (2025). A session that is near,
and wrong, takes the place of one that is right: its value is below 0.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluate.prequential import goes_on, wanted
from models.retrieve.compiled import compiled
from models.retrieve.contract import F64, I32
from schemas.events import AnyEvent

I64 = NDArray[np.int64]


class Sessions(NamedTuple):
    """S sessions of distinct items in the order of their first, as rows of one flat column."""

    starts: I64
    """(S + 1,) where each begins among the items."""
    items: I32
    """(n,) distinct within a session, in the order of the first touch."""
    user: I32
    """(S,) index of the user."""
    start_ms: I64
    """(S,) ascending"""
    users: list[str]
    names: list[str]
    """Items by index."""


class Values(NamedTuple):
    """What sessions and items are worth to Q questions; both add up to the same total."""

    session: F64
    """(S,)"""
    item: F64
    """(I,) each session's value, shared among the items that made it a neighbour."""
    asked: I32
    """(S,) questions to which it was near."""
    n: int
    """Questions."""
    total: float
    """Mean worth of all sessions together, a question."""


class _Open:
    """A session under way."""

    __slots__ = ("items", "last_ms", "number", "session_id")

    def __init__(self, number: int, event: AnyEvent) -> None:
        self.number, self.session_id, self.last_ms = number, event.session_id, event.time_ms
        self.items: dict[int, None] = {}


def sessions_of(events: Iterable[AnyEvent], idle_s: float, max_items: int) -> Sessions:
    """Of what shoppers wanted; of each session the first ``max_items`` distinct items."""
    users: dict[str, int] = {}
    names: dict[str, int] = {}
    begun: list[_Open] = []
    owner: list[int] = []
    start_ms: list[int] = []
    latest: dict[str, _Open] = {}
    for event in events:
        for name in wanted(event):
            session = latest.get(event.user_id)
            if session is None or not goes_on(session, event, idle_s * 1000.0):
                session = latest[event.user_id] = _Open(len(begun), event)
                begun.append(session)
                owner.append(users.setdefault(event.user_id, len(users)))
                start_ms.append(event.time_ms)
            session.last_ms = event.time_ms
            if len(session.items) < max_items:
                session.items.setdefault(names.setdefault(name, len(names)))
    lengths = [len(each.items) for each in begun]
    return Sessions(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for each in begun for item in each.items], np.int32),
        np.array(owner, np.int32),
        np.array(start_ms, np.int64),
        list(users),
        list(names),
    )


def valued(sessions: Sessions, asked: I64, n_known: int, k: int, sample: int) -> Values:
    """Of the first ``n_known`` sessions to questions from the later sessions ``asked`` (T,).

    Neighbours are sought among the ``sample`` latest sessions that share an item with the question.
    """
    n_items = len(sessions.names)
    known = sessions.items[: sessions.starts[n_known]]
    of = np.repeat(np.arange(n_known), np.diff(sessions.starts[: n_known + 1])).astype(np.int32)
    by_item = np.argsort(known, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(np.bincount(known, minlength=n_items))]).astype(np.int64)
    value, of_item = np.zeros(n_known), np.zeros(n_items)
    near = np.zeros(n_known, np.int32)
    n, total = _value(
        sessions.starts, sessions.items, of[by_item], firsts, asked, k, sample, value, of_item, near
    )
    scale = max(n, 1)
    return Values(value / scale, of_item / scale, near, n, total / scale)


@compiled
def shapley(gain: F64, k: int, out: F64) -> None:
    """Of n neighbours, the nearest first, of which the ``k`` nearest answer."""
    n = len(gain)
    out[n - 1] = gain[n - 1] * min(k, n) / (k * n)
    for i in range(n - 1, 0, -1):
        out[i - 1] = out[i] + (gain[i - 1] - gain[i]) * min(k, i) / (k * i)


@compiled
def _value(
    starts: I64,
    items: I32,
    by_item: I32,
    firsts: I64,
    asked: I64,
    k: int,
    sample: int,
    value: F64,
    of_item: F64,
    near: I32,
) -> tuple[int, float]:
    n_known = len(value)
    likeness = np.zeros(n_known)
    found = np.empty(sample, np.int32)
    n_questions, total = 0, 0.0
    for session in asked:
        first, end = starts[session], starts[session + 1]
        for at in range(first + 1, end):
            n_questions += 1
            n = _neighbours(items[first:at], by_item, firsts, likeness, found)
            if n == 0:
                continue
            nearest = found[:n][np.argsort(-likeness[found[:n]], kind="mergesort")]
            gain, worth = np.empty(n), np.empty(n)
            for i in range(n):
                gain[i] = _gain(
                    items[starts[nearest[i]] : starts[nearest[i] + 1]], items[first:at], items[at]
                )
            shapley(gain, k, worth)
            total += gain[:k].sum() / k
            for i in range(n):
                value[nearest[i]] += worth[i]
                near[nearest[i]] += 1
                _credit(
                    items[starts[nearest[i]] : starts[nearest[i] + 1]], items[first:at], worth[i], of_item
                )
            for i in range(n):
                likeness[found[i]] = 0.0
    return n_questions, total


@compiled
def _neighbours(question: I32, by_item: I32, firsts: I64, likeness: F64, found: I32) -> int:
    """The latest sessions that share an item, by linear weights of its place: the newest item counts most."""
    n, length = 0, len(question)
    for p in range(length - 1, -1, -1):
        item = question[p]
        for at in range(firsts[item + 1] - 1, firsts[item] - 1, -1):
            session = by_item[at]
            if likeness[session] == 0.0:
                if n == len(found):
                    continue
                found[n] = session
                n += 1
            likeness[session] += (p + 1.0) / length
    return n


@compiled
def _gain(session: I32, question: I32, sought: int) -> float:
    n_new, named = 0, False
    for item in session:
        if not _among(item, question):
            n_new += 1
            named |= item == sought
    return 1.0 / n_new if named else 0.0


@compiled
def _credit(session: I32, question: I32, worth: float, of_item: F64) -> None:
    n_shared = 0
    for item in session:
        n_shared += _among(item, question)
    for item in session:
        if _among(item, question):
            of_item[item] += worth / n_shared


@compiled
def _among(item: int, items: I32) -> bool:
    return np.any(items == item)  # type: ignore[return-value]
