"""Sessions like this one, and what else was in them: VMIS-kNN, learned as the events arrive.

It keeps sessions, not counts: what it recommends is at most as old as the sessions it has room for.
"""

from typing import NamedTuple, cast

import numpy as np

from models.retrieve.compiled import compiled, held_bytes, packed
from models.retrieve.contract import F32, F64, I32, U64, Candidates, Interactions, Queries
from models.retrieve.position_decay import by_distance, by_position, by_step
from models.retrieve.session_chains import SERIAL, Chains, advance, append, empty_chains, enter, newest
from models.retrieve.session_chains import drop_items as drop_chains
from models.retrieve.sessions import (
    I64,
    Sessions,
    current_slot,
    drop_items,
    empty_sessions,
    place,
    power_of_two,
    remember,
)
from models.retrieve.settings import SessionKnnSettings
from models.retrieve.top_k import empty_lists, marked, select_k, top_k

_BIT = np.uint64(1)
_NO_BITS = np.uint64(0)


class Scratch(NamedTuple):
    """Working memory of a query, left as it was found: all -1 or 0 where the comment says so."""

    seen: I32
    """(S,) -1; place of the slot among the sampled sessions."""
    slot: I32
    """(m,)"""
    similarity: F32
    """(m,)"""
    shared: U64
    """(m,) which positions of the query the session shares, as bits."""
    numbers: I32
    """(m,) 0, 1, 2, ..."""
    best: I32
    """(k,)"""
    best_similarity: F32
    """(k,)"""
    latest: I32
    """(k,) where in each neighbour the newest shared item is"""
    score: F32
    """(I,) 0"""
    touched: I32
    """(k W,)"""


class Knobs(NamedTuple):
    """What the kernel needs of the settings."""

    by_position: F32
    """(L + 1, L)"""
    by_step: F32
    """(L,)"""
    by_distance: F32
    """(W + 1,)"""
    idf_weight: float


@compiled
def learn(c: Chains, s: Sessions, user: U64, session: U64, item: I32, time_s: F64, idle_s: float) -> None:
    """Fold n interactions in, in order."""
    for r in range(item.shape[0]):
        if item[r] < 0 or item[r] >= c.head.shape[0]:
            continue
        slot = place(s, session[r], user[r], time_s[r], idle_s)
        if slot >= 0 and remember(s, slot, item[r]):
            append(c, item[r], s.serial[slot])


@compiled
def sample(c: Chains, s: Sessions, t: Scratch, cursors: I64, weight: F32, n: int, own: int) -> int:
    """Find the latest sessions that share one of ``n`` items, and their similarity; returns how many.

    ``cursors`` (L, 3) are on the latest session of each item: the chains are walked together, always the
    latest session next.
    """
    oldest = max(0, s.begun[0] - s.serial.shape[0])
    n_found = 0
    while True:
        p = newest(cursors, n)
        serial = cursors[p, SERIAL]
        if serial < oldest:
            return n_found
        advance(c, cursors[p])
        slot = serial & (s.serial.shape[0] - 1)
        if slot == own:
            continue
        found = t.seen[slot]
        if found < 0:
            if n_found == t.slot.shape[0]:
                return n_found
            found = n_found
            n_found += 1
            t.seen[slot] = found
            t.slot[found] = slot
            t.similarity[found] = 0.0
            t.shared[found] = _NO_BITS
        bit = _BIT << np.uint64(p)
        if t.shared[found] & bit == _NO_BITS:
            t.shared[found] |= bit
            t.similarity[found] += weight[p]


@compiled
def newest_bit(bits: np.uint64) -> int:
    """Position of the lowest bit set, the newest item."""
    p = 0
    while bits & _BIT == _NO_BITS:
        bits >>= _BIT
        p += 1
    return p


@compiled
def place_in(s: Sessions, slot: int, item: int) -> int:
    """Where in the session ``item`` is, -1 when it has made room for later ones."""
    for at in range(s.items.shape[1]):
        if s.items[slot, at] == item:
            return at
        if s.items[slot, at] < 0:
            break
    return -1


@compiled
def vote(c: Chains, s: Sessions, t: Scratch, knobs: Knobs, n_best: int, asked: I32) -> int:
    """Let the ``n_best`` neighbours vote for their items; returns how many items got a vote."""
    for b in range(n_best):  # reads ahead, for otherwise each neighbour would wait for memory in its turn
        t.latest[b] = s.items[t.slot[t.best[b]], 0]
    n_touched = 0
    for b in range(n_best):
        found = t.best[b]
        slot = t.slot[found]
        p = newest_bit(t.shared[found])
        at = place_in(s, slot, asked[p])
        t.latest[b] = at
        share = t.best_similarity[b] * knobs.by_step[p]
        for j in range(s.items.shape[1]):
            item = s.items[slot, j]
            if item < 0:
                break
            if t.score[item] == 0.0:
                t.touched[n_touched] = item
                n_touched += 1
            t.score[item] += share * knobs.by_distance[abs(j - at)]
    log_n_sessions = np.float32(np.log(min(s.begun[0], s.serial.shape[0])))
    idf_weight = np.float32(knobs.idf_weight)
    for j in range(n_touched):
        item = t.touched[j]
        idf = max(np.float32(0.0), log_n_sessions - c.log_n_sessions[item])
        t.score[item] *= np.float32(1.0) + idf_weight * idf
    return n_touched


@compiled
def explain(
    s: Sessions,
    t: Scratch,
    knobs: Knobs,
    weight: F32,
    n_best: int,
    asked: I32,
    top: I32,
    cause: I32,
    share: F32,
) -> None:
    """Write into ``cause`` the item of ``asked`` that gave most to each of ``top``; ties to the newest.

    ``share`` (K + 1, L) is working memory, and the scores of the top become their ranks, as negative numbers.
    """
    n = asked.shape[0]
    if n == 1:
        cause[: top.shape[0]] = asked[0]
        return
    votes = share[share.shape[0] - 1]
    for r in range(top.shape[0]):
        t.score[top[r]] = -1 - r
        share[r, :n] = 0.0
    for b in range(n_best):
        found = t.best[b]
        slot = t.slot[found]
        step = knobs.by_step[newest_bit(t.shared[found])]
        for p in range(n):
            shares = (t.shared[found] >> np.uint64(p)) & _BIT != _NO_BITS
            votes[p] = step * weight[p] if shares else np.float32(0.0)
        for j in range(s.items.shape[1]):
            if s.items[slot, j] < 0:
                break
            rank = t.score[s.items[slot, j]]
            if rank < 0.0:
                r = int(-rank) - 1
                near = knobs.by_distance[abs(j - t.latest[b])]
                for p in range(n):
                    share[r, p] += near * votes[p]
    for r in range(top.shape[0]):
        best = 0
        for p in range(1, n):
            if share[r, p] > share[r, best]:
                best = p
        cause[r] = asked[best]


@compiled
def retrieve(
    c: Chains,
    s: Sessions,
    t: Scratch,
    knobs: Knobs,
    user: U64,
    items: I32,
    weights: F32,
    out: I32,
    out_score: F32,
    out_cause: I32,
) -> None:
    """Candidates (N, K) of N users, one after another."""
    max_items = knobs.by_step.shape[0]
    asked = np.empty(max_items, np.int32)
    weight = np.empty(max_items, np.float32)
    cursors = np.empty((max_items, 3), np.int64)
    share = np.empty((out.shape[1] + 1, max_items), np.float32)
    for r in range(items.shape[0]):
        n = 0
        for q in range(items.shape[1]):
            if n < max_items and 0 <= items[r, q] < c.head.shape[0]:
                asked[n] = items[r, q]
                weight[n] = weights[r, q]
                enter(c, c.head[asked[n]], cursors[n])
                n += 1
        if n == 0:
            continue
        for p in range(n):
            weight[p] *= knobs.by_position[n, p]
        n_found = sample(c, s, t, cursors, weight, n, current_slot(s, user[r]))
        n_best = select_k(t.similarity, t.numbers, n_found, t.best, t.best_similarity)
        n_touched = vote(c, s, t, knobs, n_best, asked)
        n_top = top_k(t.score, t.touched, n_touched, out[r], out_score[r])
        explain(s, t, knobs, weight, n_best, asked[:n], out[r, :n_top], out_cause[r], share)
        for j in range(n_found):
            t.seen[t.slot[j]] = -1
        for j in range(n_touched):
            t.score[t.touched[j]] = 0.0


class SessionKnn:
    """VMIS-kNN (Kersbergen, Sprangers and Schelter, Serenade, SIGMOD 2022), the incremental form of VS-KNN.

    similarity(q, s) = sum of weight(p) over the positions p of the query q whose item the session s holds;
    score(i) = (1 + a log(S / S_i)) * sum of similarity(q, s) * step(q, s) * near(q, s, i) over the k most
    similar s that hold i, of the m sessions that shared an item most recently (Jannach and Ludewig, RecSys
    2017; Ludewig et al., UMUAI 2021). S is the number of sessions held, S_i that of those with item i; step
    decays with the position of the newest item shared, near with the distance of i from that item in s (after
    STAN: Garg et al., SIGIR 2019). Of sessions equally like the query the more recent goes first. A user's
    own latest session is not a neighbour.

    >>> SessionKnn(SessionKnnSettings(), n_items=100).name
    'session_knn'
    """

    name = "session_knn"

    def __init__(self, settings: SessionKnnSettings, n_items: int) -> None:
        self._idle_s = settings.idle_s
        self._knobs = Knobs(
            by_position(settings.position_decay, settings.query_items),
            by_step(settings.step_decay, settings.query_items),
            by_distance(settings.distance_decay, settings.session_items),
            settings.idf_weight,
        )
        self._sessions = empty_sessions(settings.n_sessions, settings.session_items)
        self._chains = empty_chains(power_of_two(settings.n_blocks), n_items)
        self._scratch = _scratch(settings, self._sessions.serial.size, n_items)

    def update(self, batch: Interactions) -> None:
        """Fold interactions into their sessions."""
        learn(
            self._chains,
            self._sessions,
            cast(U64, packed(batch.user, np.uint64)),
            cast(U64, packed(batch.session, np.uint64)),
            cast(I32, packed(batch.item, np.int32)),
            cast(F64, packed(batch.time_s, np.float64)),
            self._idle_s,
        )

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """Items of the sessions most like each user's current one."""
        out = empty_lists(len(queries.items), k)
        retrieve(
            self._chains,
            self._sessions,
            self._scratch,
            self._knobs,
            cast(U64, packed(queries.user, np.uint64)),
            cast(I32, packed(queries.items, np.int32)),
            cast(F32, packed(queries.weights, np.float32)),
            *out,
        )
        return Candidates(*out)

    def forget(self, items: I32) -> None:
        """Take the items out of every session and chain."""
        n_items = len(self._chains.head)
        gone = marked(items, n_items)
        drop_chains(self._chains, gone)
        drop_items(self._sessions, gone)

    @property
    def size_bytes(self) -> int:
        """Memory held, all of it from the start."""
        return held_bytes(self._chains, self._sessions, self._scratch, self._knobs[:3])


def _scratch(settings: SessionKnnSettings, n_sessions: int, n_items: int) -> Scratch:
    m, k = settings.sample, settings.neighbours
    return Scratch(
        seen=np.full(n_sessions, -1, np.int32),
        slot=np.zeros(m, np.int32),
        similarity=np.zeros(m, np.float32),
        shared=np.zeros(m, np.uint64),
        numbers=np.arange(m, dtype=np.int32),
        best=np.zeros(k, np.int32),
        best_similarity=np.zeros(k, np.float32),
        latest=np.zeros(k, np.int32),
        score=np.zeros(n_items, np.float32),
        touched=np.zeros(min(n_items, k * settings.session_items), np.int32),
    )
