"""What every retrieval source promises: the arrays it is fed, the arrays it answers with.

Items, categories, brands and terms are dense indexes handed out by ``models.knowledge.vocabulary``; -1 means
none. N is the number of users in the micro-batch. Best first, ties by the lower index, so no answer depends
on hash order.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]


class Interactions(NamedTuple):
    """One micro-batch of accepted, not repeated interactions in arrival order; every column has length n."""

    user: U64
    """64-bit hash of the user id."""
    session: U64
    """64-bit hash of the session id the shop sent, 0 when it sent none: sessions are then cut by idle time.
    """
    item: I32
    kind: U8
    """``models.kinds.Kind``; kinds of weight 0 are not present."""
    time_s: F64
    """Event time, seconds since 1970."""
    term: I32
    """Index of the shopper's most recent query in the query vocabulary, -1 when no search came before."""
    segment: I32
    """Cold-start segment of the shopper (platform vocabulary), -1 unknown."""


class Queries(NamedTuple):
    """What the sources see of N users."""

    now_s: F64
    """(N,) event time of the latest event."""
    user: U64
    """(N,)"""
    items: I32
    """(N, L) distinct items of the current session, newest first, -1 padded."""
    weights: F32
    """(N, L) weight of the kind of the strongest interaction with that item in the session."""
    history: I32
    """(N, H) distinct items of the longer history, newest first, with the current session's, -1 padded."""
    history_age_s: F32
    """(N, H) seconds since the last interaction."""
    history_times: I32
    """(N, H) remembered interactions with the item."""
    category: I32
    """(N, C) strongest categories, -1 padded."""
    category_weight: F32
    """(N, C) decayed affinity, blended over half-lives, summing to 1 where there is any."""
    brand: I32
    brand_weight: F32
    log_price: F32
    """(N,) decayed mean of log(1 + price) of what the user looked at, NaN when unknown."""
    term: I32
    """(N, T) recent query terms (token vocabulary), newest first, -1 padded."""
    term_weight: F32
    segment: I32
    """(N,) cold-start segment (platform vocabulary), -1 unknown."""
    query: I32
    """(N,) index of the most recent query in the query vocabulary, as in ``Interactions.term``, -1 none."""


class Candidates(NamedTuple):
    """(N, K) best first, -1 padded, and their scores: positive, 0 where padded, comparable in a row."""

    items: I32
    scores: F32
    because: I32
    """(N, K) the user's own item that brought the candidate (-1 none), for the explanation."""


class Source(Protocol):
    """A pure, bounded candidate generator. Scoring writes nothing; only ``update`` and ``forget`` do."""

    name: str

    def update(self, batch: Interactions) -> None:
        """Learn from a micro-batch; the same rows in any batching leave the same answers."""

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """Up to ``k`` candidates a user, vectorised over users."""

    def forget(self, items: I32) -> None:
        """Drop all trace of these items: their indexes are about to be given to others."""

    @property
    def size_bytes(self) -> int:
        """Memory held, for the gauge; bounded by the settings."""


@runtime_checkable
class Described(Protocol):
    """A source that is told the words that describe items."""

    def index(self, item: int, terms: I32) -> None:
        """Take ``terms`` (t,), indexes in the token vocabulary, as the words of ``item``, in place of earlier
        ones.
        """


@runtime_checkable
class TextSource(Described, Protocol):
    """A source that also finds items by them."""

    def terms_of(self, item: int) -> I32:
        """(t,) the words that ``item`` is found by."""
