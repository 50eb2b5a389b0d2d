"""The candidates of all sources as one set a user: normalised, without repeats and refused items."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32, U8, Candidates

I64 = NDArray[np.int64]

_REFUSED = -2


class Merged(NamedTuple):
    """Candidates of N users in one array: those of user u are rows ``starts[u]`` to ``starts[u + 1]``."""

    starts: I64
    """(N + 1,)"""
    items: I32
    """(n,) distinct within a user."""
    user: I32
    """(n,) row of the user in the batch."""
    evidence: F32
    """(n, n_sources) score over the best score of that source for that user: 0 to 1, 0 where it is silent."""
    because: I32
    """(n, n_sources) the user's own item that brought the candidate, -1 none."""
    places: I32
    """(n, n_sources) place of the candidate in that source's list, from 0, -1 where it is silent."""


def merge(sources: Sequence[Candidates], refused: I32, available: U8) -> Merged:
    """Merge (N, K) candidates of each source, leaving out ``refused`` (N, M) and what is not ``available``.

    Scores are divided by their maximum, as in Lee, "Analyses of multiple evidence combination" (SIGIR
    1997): it keeps ties and proportions, and a source's scale does not matter. The maximum is taken before
    filtering. Scores that are not positive and finite count as padding. Of an item that a source names
    twice, the better score holds.
    """
    items = np.concatenate([c.items for c in sources], axis=1)  # (N, sum of K)
    scores = np.concatenate([c.scores for c in sources], axis=1)
    because = np.concatenate([c.because for c in sources], axis=1)
    widths = [c.items.shape[1] for c in sources]
    source = np.repeat(np.arange(len(sources), dtype=np.int32), widths)  # (sum of K,)
    place = np.concatenate([np.arange(width, dtype=np.int32) for width in widths])
    merged = Merged(
        starts=np.zeros(len(items) + 1, np.int64),
        items=np.empty(items.size, np.int32),
        user=np.empty(items.size, np.int32),
        evidence=np.empty((items.size, len(sources)), np.float32),
        because=np.empty((items.size, len(sources)), np.int32),
        places=np.empty((items.size, len(sources)), np.int32),
    )
    slots = 1 << max(4, 2 * (items.shape[1] + refused.shape[1])).bit_length()
    n = _merge(items, scores, because, source, place, refused, available, slots, *merged)
    return Merged._make([merged.starts, *(column[:n] for column in merged[1:])])


@compiled
def _merge(
    items: I32,
    scores: F32,
    because: I32,
    source: I32,
    place: I32,
    refused: I32,
    available: U8,
    slots: int,
    starts: I64,
    out_items: I32,
    out_user: I32,
    out_evidence: F32,
    out_because: I32,
    out_places: I32,
) -> int:
    """Fill the columns of ``Merged``, return n. A hash table a user finds the row of an item."""
    keys = np.empty(slots, np.int32)
    rows = np.empty(slots, np.int64)
    peaks = np.empty(out_evidence.shape[1], np.float32)
    n = 0
    for u in range(items.shape[0]):
        keys[:] = -1
        for j in range(refused.shape[1]):
            if refused[u, j] >= 0:
                at = slot_of(keys, refused[u, j])
                keys[at], rows[at] = refused[u, j], _REFUSED
        peaks[:] = 0.0
        for j in range(items.shape[1]):
            if items[u, j] >= 0 and scores[u, j] > peaks[source[j]] and scores[u, j] < np.inf:
                peaks[source[j]] = scores[u, j]
        for j in range(items.shape[1]):
            item, score, s = items[u, j], scores[u, j], source[j]
            if item < 0 or not (score > 0.0 and score < np.inf) or not available[item]:
                continue
            at = slot_of(keys, item)
            if keys[at] < 0:
                keys[at], rows[at] = item, n
                out_items[n], out_user[n] = item, u
                out_evidence[n, :] = 0.0
                out_because[n, :] = -1
                out_places[n, :] = -1
                n += 1
            row = rows[at]
            evidence = score / peaks[s]
            if row != _REFUSED and evidence > out_evidence[row, s]:
                out_evidence[row, s] = evidence
                out_because[row, s] = because[u, j]
                out_places[row, s] = place[j]
        starts[u + 1] = n
    return n


@compiled
def slot_of(keys: I32, item: int) -> int:
    """Slot of ``item`` in an open-addressed table (power of two), or the free one where it belongs."""
    mask = len(keys) - 1
    at = ((item * 0x9E3779B1) >> 12) & mask
    while keys[at] >= 0 and keys[at] != item:
        at = (at + 1) & mask
    return at
