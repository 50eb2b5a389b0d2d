"""Which items have a token in their title, category or brand: bounded lists by token, and the tokens of each
item.

It holds no text and splits none: tokens come as indexes of their vocabulary.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32


class Postings(NamedTuple):
    """Lists of up to P items for T tokens. When a list is full the least popular item makes room, ties the
    lowest.

    An item that lost its place in a list gets it back when it is indexed again.
    """

    items: I32
    """(T, P)"""
    length: I32
    """(T,)"""
    n_with: I32
    """(T,) items that have the token, in the list or not."""
    tokens: I32
    """(I, M) distinct tokens of the item, -1 padded."""
    n_indexed: I32
    """(1,) items that have any token."""


def empty_postings(n_tokens: int, n_posted: int, n_items: int, item_tokens: int) -> Postings:
    """Room for ``n_posted`` items a token and ``item_tokens`` tokens an item."""
    return Postings(
        items=np.full((n_tokens, n_posted), -1, np.int32),
        length=np.zeros(n_tokens, np.int32),
        n_with=np.zeros(n_tokens, np.int32),
        tokens=np.full((n_items, item_tokens), -1, np.int32),
        n_indexed=np.zeros(1, np.int32),
    )


@compiled
def withdraw(p: Postings, item: int) -> None:
    """Take the item out of the lists of all its tokens."""
    if p.tokens[item, 0] >= 0:
        p.n_indexed[0] -= 1
    for m in range(p.tokens.shape[1]):
        token = p.tokens[item, m]
        if token < 0:
            return
        p.tokens[item, m] = -1
        p.n_with[token] -= 1
        for j in range(p.length[token]):
            if p.items[token, j] == item:
                p.length[token] -= 1
                p.items[token, j] = p.items[token, p.length[token]]
                p.items[token, p.length[token]] = -1
                break


@compiled
def place_for(p: Postings, token: int, popularity: F32) -> int:
    """Where the next item of the list goes: behind the last, or over the least popular."""
    if p.length[token] < p.items.shape[1]:
        p.length[token] += 1
        return int(p.length[token] - 1)
    least = 0
    for j in range(1, p.items.shape[1]):
        item, other = p.items[token, j], p.items[token, least]
        if popularity[item] < popularity[other] or (popularity[item] == popularity[other] and item < other):
            least = j
    return least


@compiled
def post(p: Postings, item: int, tokens: I32, popularity: F32) -> None:
    """Index ``item`` by its ``tokens``, in place of those it had; what is beyond M is left out."""
    withdraw(p, item)
    n = 0
    for token in tokens:
        known = token < 0 or token >= p.length.shape[0]
        for m in range(n):
            known = known or p.tokens[item, m] == token
        if known or n == p.tokens.shape[1]:
            continue
        p.tokens[item, n] = token
        n += 1
        p.n_with[token] += 1
        p.items[token, place_for(p, token, popularity)] = item
    if n > 0:
        p.n_indexed[0] += 1


@compiled
def withdraw_all(p: Postings, items: I32) -> None:
    """Take items out of all lists; those out of range are passed over."""
    for item in items:
        if 0 <= item < p.tokens.shape[0]:
            withdraw(p, item)


@compiled
def match(p: Postings, tokens: I32, weights: F32, coverage: F32, matched: I32) -> tuple[int, float]:
    """Add up for each item the inverse document frequencies of the tokens it has.

    ``coverage`` (I,) is all 0 before; ``matched`` (I,) receives the items. Returns how many, and the sum over
    all tokens.
    """
    n_matched, total = 0, 0.0
    for c in range(tokens.shape[0]):
        token = tokens[c]
        if token < 0 or token >= p.length.shape[0] or weights[c] <= 0.0 or p.n_with[token] <= 0:
            continue
        gain = np.float32(weights[c] * np.log(1.0 + p.n_indexed[0] / p.n_with[token]))
        total += float(gain)
        for j in range(p.length[token]):
            item = p.items[token, j]
            if coverage[item] == 0.0:
                matched[n_matched] = item
                n_matched += 1
            coverage[item] += gain
    return n_matched, total


def drop_tokens(p: Postings, gone: NDArray[np.bool_]) -> None:
    """Empty the lists of the tokens marked in ``gone`` (T + 1,), and take the tokens from their items."""
    p.items[gone[:-1]] = -1
    p.length[gone[:-1]] = 0
    p.n_with[gone[:-1]] = 0
    hit = np.flatnonzero(gone[p.tokens].any(axis=1))
    rows = p.tokens[hit]
    dropped = gone[rows] | (rows < 0)
    order = np.argsort(dropped, axis=1, kind="stable")
    p.tokens[hit] = np.take_along_axis(np.where(dropped, -1, rows), order, axis=1)
    p.n_indexed[0] -= int(dropped.all(axis=1).sum())
