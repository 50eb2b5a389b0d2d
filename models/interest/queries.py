"""The states of N users as the padded arrays that sources and ranking read. Looks words up, adds none."""

from collections.abc import Collection, Sequence
from itertools import chain
from math import nan

import numpy as np
from numpy.typing import NDArray

from models.interest.seen import BOUGHT, DISMISSED, VIEWED, Seen
from models.interest.settings import InterestSettings
from models.interest.state import INTERACTION_DTYPE, Affinity, State, last_query
from models.knowledge.vocabulary import Vocabularies, Vocabulary
from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, F64, I32, U64, Queries

I64 = NDArray[np.int64]


def queries(
    states: Sequence[State],
    user: U64,
    now_s: F64,
    vocabularies: Vocabularies,
    settings: InterestSettings,
) -> Queries:
    """What the sources see of N users at ``now_s``; ``user`` (N,) are the hashes of their ids.

    A session ends when the next interaction, or now, comes more than ``idle_s`` later, or under another
    session id; the same id holds it together over any pause between interactions. An item counts in it with
    the weight of its strongest interaction. Dismissed items are left out of session and history.
    """
    items, weights, history, age_s, times = _recall(states, now_s, vocabularies.items, settings)
    category, category_weight = _strongest(
        [s.categories for s in states], now_s, vocabularies.categories, settings, settings.category_width
    )
    brand, brand_weight = _strongest(
        [s.brands for s in states], now_s, vocabularies.brands, settings, settings.brand_width
    )
    term, term_weight = _newest(
        [s.terms for s in states], now_s, vocabularies.terms, settings, settings.term_width
    )
    prices = [s.log_price for s in states]
    platforms = [s.platform.name if s.platform else "" for s in states]
    searches = [
        last_query(s, t, settings) or "" for s, t in zip(states, (now_s * 1000.0).tolist(), strict=True)
    ]
    return Queries(
        now_s=now_s,
        user=user,
        items=items,
        weights=weights,
        history=history,
        history_age_s=age_s,
        history_times=times,
        category=category,
        category_weight=category_weight,
        brand=brand,
        brand_weight=brand_weight,
        log_price=np.array([p.total / p.weight if p.weight else nan for p in prices], np.float32),
        term=term,
        term_weight=term_weight,
        segment=vocabularies.segments.lookup(platforms),
        query=vocabularies.queries.lookup(searches),
    )


def seen(states: Sequence[State], queries: Queries, items: Vocabulary) -> Seen:
    """What the N users of ``queries`` have viewed in their session, bought or dismissed."""
    bought, n_bought = _joined([s.bought for s in states], items)
    dismissed, n_dismissed = _joined([s.dismissed for s in states], items)
    columns = [queries.items, _padded(bought, n_bought), _padded(dismissed, n_dismissed)]
    reasons = [VIEWED, BOUGHT, DISMISSED]
    return Seen(
        np.concatenate(columns, axis=1),
        np.concatenate(
            [np.full(c.shape, r, np.uint8) for c, r in zip(columns, reasons, strict=True)], axis=1
        ),
    )


def _recall(
    states: Sequence[State], now_s: F64, items: Vocabulary, settings: InterestSettings
) -> tuple[I32, F32, I32, F32, I32]:
    """Session items (N, L) and weights, history (N, H), ages in seconds and numbers of interactions."""
    n = len(states)
    recents = [s.recents for s in states]
    index, starts = _joined([r.items for r in recents], items)
    rows = np.frombuffer(b"".join([r.rows for r in recents]), INTERACTION_DTYPE)  # (R,)
    dismissed, dismissed_starts = _joined([s.dismissed for s in states], items)
    session = np.full((n, settings.session_width), -1, np.int32)
    weights = np.zeros(session.shape, np.float32)
    history = np.full((n, settings.history_width), -1, np.int32)
    age_s = np.zeros(history.shape, np.float32)
    times = np.zeros(history.shape, np.int32)
    _recall_kernel(
        rows,
        index,
        starts,
        dismissed,
        dismissed_starts,
        now_s,
        settings.idle_s,
        session,
        weights,
        history,
        age_s,
        times,
    )
    return session, weights, history, age_s, times


def _strongest(
    families: Sequence[Affinity], now_s: F64, words: Vocabulary, settings: InterestSettings, width: int
) -> tuple[I32, F32]:
    """(N, width) keys by blended affinity, and that affinity as a share of 1."""
    index, weights = _best(families, now_s, words, settings, width, newest=False)
    total = weights.sum(axis=1, keepdims=True)
    return index, np.divide(weights, total, out=weights, where=total > 0.0)


def _newest(
    families: Sequence[Affinity], now_s: F64, words: Vocabulary, settings: InterestSettings, width: int
) -> tuple[I32, F32]:
    """(N, width) keys by their last event, and their blended affinity, which fades with age."""
    return _best(families, now_s, words, settings, width, newest=True)


def _best(
    families: Sequence[Affinity],
    now_s: F64,
    words: Vocabulary,
    settings: InterestSettings,
    width: int,
    newest: bool,
) -> tuple[I32, F32]:
    """Blended affinity: ``sum over half-lives h of blend_h * w_h / (1 + sum over keys of w_h)``.

    A half-life thus counts in full while there is fresh evidence at it, and fades out with the last of it.
    """
    index, starts = _joined([f.keys for f in families], words)
    rows = np.frombuffer(b"".join([f.rows for f in families]), np.float64).reshape(-1, 4)  # (R, 4)
    best = np.full((len(families), width), -1, np.int32)
    weights = np.zeros(best.shape, np.float32)
    order = np.empty(width, np.float64)
    half_lives_s, blend = np.array(settings.half_lives_s), np.array(settings.blend)
    _best_kernel(rows, index, starts, now_s, half_lives_s, blend, newest, best, weights, order)
    return best, weights


def _joined(words: Sequence[Collection[str]], vocabulary: Vocabulary) -> tuple[I32, I64]:
    """Indexes of the words of all users in one array, and (N + 1,) bounds of each user's."""
    lengths = [len(w) for w in words]
    starts = np.zeros(len(words) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return vocabulary.lookup(chain.from_iterable(words)), starts


def _padded(index: I32, starts: I64) -> I32:
    """(N, longest) from joined indexes, -1 padded."""
    n = np.diff(starts)
    out = np.full((len(n), int(n.max(initial=0))), -1, np.int32)
    out[np.arange(out.shape[1]) < n[:, None]] = index
    return out


@compiled
def _recall_kernel(
    rows: NDArray[np.void],
    index: I32,
    starts: I64,
    dismissed: I32,
    dismissed_starts: I64,
    now_s: F64,
    idle_s: float,
    session: I32,
    weights: F32,
    history: I32,
    age_s: F32,
    times: I32,
) -> None:
    for u in range(len(starts) - 1):
        refused = dismissed[dismissed_starts[u] : dismissed_starts[u + 1]]
        n_session, n_history = 0, 0
        later_s, later_session = now_s[u], np.uint32(0)
        under_way = True
        for r in range(starts[u + 1] - 1, starts[u] - 1, -1):
            row = rows[r]
            time_s = row["time_ms"] / 1000.0
            if later_session != 0 and row["session"] != 0:
                under_way = under_way and later_session == row["session"]
            else:
                under_way = under_way and later_s - time_s <= idle_s
            later_s, later_session = time_s, row["session"]
            item = index[r]
            if item < 0 or _find(refused, len(refused), item) >= 0:
                continue
            before = _find(history[u], n_history, item)
            if before < 0 and n_history < history.shape[1]:
                before = n_history
                history[u, n_history] = item
                age_s[u, n_history] = max(now_s[u] - time_s, 0.0)
                n_history += 1
            if before >= 0:
                times[u, before] += 1
            if under_way:
                at = _find(session[u], n_session, item)
                if at < 0 and n_session < session.shape[1]:
                    at = n_session
                    session[u, at] = item
                    n_session += 1
                if at >= 0:
                    weights[u, at] = max(weights[u, at], row["weight"])


@compiled
def _find(values: I32, n: int, value: int) -> int:
    """Index of ``value`` among the first ``n``, -1 when it is not there."""
    for i in range(n):
        if values[i] == value:
            return i
    return -1


@compiled
def _best_kernel(
    rows: F64,
    index: I32,
    starts: I64,
    now_s: F64,
    half_lives_s: F64,
    blend: F64,
    newest: bool,
    best: I32,
    weights: F32,
    order: F64,
) -> None:
    n_half_lives = len(half_lives_s)
    for u in range(len(starts) - 1):
        blended = np.zeros(starts[u + 1] - starts[u])
        for h in range(n_half_lives):
            total = 0.0
            values = np.empty(len(blended))
            for i in range(len(blended)):
                row = rows[starts[u] + i]
                age_s = max(now_s[u] - row[0] / 1000.0, 0.0)
                values[i] = row[1 + h] * 2.0 ** (-age_s / half_lives_s[h])
                total += values[i]
            blended += blend[h] * values / (1.0 + total)
        n = 0
        for i in range(len(blended)):
            word, weight = index[starts[u] + i], blended[i]
            if word < 0 or weight <= 0.0:
                continue
            key = rows[starts[u] + i, 0] if newest else weight
            n = _insert(word, weight, key, n, best[u], weights[u], order)


@compiled
def _insert(word: int, weight: float, key: float, n: int, best: I32, weights: F32, order: F64) -> int:
    """Put ``word`` among the ``n`` best by ``key``, ties by the lower index; how many there are now."""
    at = n
    while at > 0 and (key > order[at - 1] or (key == order[at - 1] and word < best[at - 1])):
        at -= 1
    if at == len(best):
        return n
    n = min(n + 1, len(best))
    for i in range(n - 1, at, -1):
        best[i], weights[i], order[i] = best[i - 1], weights[i - 1], order[i - 1]
    best[at], weights[at], order[at] = word, weight, key
    return n
