"""What the encoder reads of N users, from the queries of serving. The same from the past of training: ``histories``."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.contract import F32, I32, U8, Queries

N_EVIDENCE: Final = 5
"""Evidence of interest in an item: 0 outside the session, 1 looked at, 2 liked, 3 in the cart, 4 bought."""

EVIDENCE_ABOVE: Final[F32] = np.array([0.0, 1.5, 2.5, 4.0], np.float32)
"""Weights of interactions above which evidence is 1, 2, 3, 4. They lie between those of the kinds, so that how long
something was looked at, which only serving knows, changes nothing; a middling rating counts as looked at there.
"""


class Sequences(NamedTuple):
    """The past of N users, newest first."""

    items: I32
    """(N, L) distinct items, -1 padded."""
    age_s: F32
    """(N, L) seconds before the newest, 0 where padded."""
    evidence: U8
    """(N, L) strongest evidence in the session under way, 0 outside of it and where padded."""
    query: I32
    """(N,) most recent query (query vocabulary), -1 none."""
    segment: I32
    """(N,) platform, -1 unknown."""

    def of(self, rows: NDArray[np.int64] | slice) -> "Sequences":
        """Some of the users."""
        return Sequences._make(column[rows] for column in self)


class Examples(NamedTuple):
    """n interactions, each with what came before it."""

    sequences: Sequences
    item: I32
    """(n,) what the interaction was with."""
    kind: U8
    """(n,) ``models.kinds.Kind``"""
    stay_s: F32
    """(n,) seconds since the interaction before it, with the newest item; NaN where that was another session."""

    def of(self, rows: NDArray[np.int64] | slice) -> "Examples":
        """Some of the interactions."""
        return Examples(self.sequences.of(rows), self.item[rows], self.kind[rows], self.stay_s[rows])


def of_queries(queries: Queries, length: int) -> Sequences:
    """The ``length`` newest items of N histories as the encoder reads them.

    The session's items are the newest of the history in the same order, as ``models.interest.queries`` makes both.
    """
    width = min(length, queries.history.shape[1])
    items = np.full((len(queries.history), length), -1, np.int32)
    age_s = np.zeros(items.shape, np.float32)
    evidence = np.zeros(items.shape, np.uint8)
    items[:, :width] = queries.history[:, :width]
    age_s[:, :width] = queries.history_age_s[:, :width] - queries.history_age_s[:, :1]
    age_s[items < 0] = 0.0
    n = min(width, queries.items.shape[1])
    evidence[:, :n] = np.searchsorted(EVIDENCE_ABOVE, queries.weights[:, :n])
    evidence[:, :n][queries.items[:, :n] != items[:, :n]] = 0
    return Sequences(items, age_s, evidence, queries.query, queries.segment)


def before_newest(sequences: Sequences) -> Sequences:
    """What users had read before their newest item: (N, L - 1)."""
    items, age_s, evidence = sequences.items[:, 1:], sequences.age_s[:, 1:], sequences.evidence[:, 1:]
    age_s = np.where(items >= 0, age_s - age_s[:, :1], np.float32(0.0))
    return sequences._replace(items=items, age_s=age_s, evidence=evidence)


def leave_out(examples: Examples, gone: NDArray[np.bool_]) -> None:
    """Take the items marked in ``gone`` (N, L) out of the sequences in place; those after them move up."""
    sequences = examples.sequences
    examples.stay_s[gone[:, 0]] = np.nan
    hit = np.flatnonzero(gone.any(axis=1))
    left = gone[hit] | (sequences.items[hit] < 0)
    order = np.argsort(left, axis=1, kind="stable")
    padded = np.arange(gone.shape[1]) >= (~left).sum(axis=1)[:, None]
    for column, nothing in ((sequences.items, -1), (sequences.age_s, 0.0), (sequences.evidence, 0)):
        rows = np.take_along_axis(column[hit], order, axis=1)
        rows[padded] = nothing
        column[hit] = rows
