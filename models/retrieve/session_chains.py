"""The sessions of each item, the latest first, bounded: blocks of a few sessions, each linked to the one
before.

A block fills one cache line, so that walking an item's sessions waits for memory once in six. It knows
sessions by their running numbers only, and does not know which of them are still held.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled
from models.retrieve.contract import F32, I32
from models.retrieve.sessions import I64

_BEFORE, _FILLED, _FIRST = 0, 1, 2
_WORDS = 8
_ROW, _POSITION, SERIAL = 0, 1, 2


class Chains(NamedTuple):
    """B blocks, the ones begun last; B is a power of two.

    A block's running number tells whether it is still there: numbers from ``begun - B`` on are. An item whose
    latest block is among the older half begins a new one, so a session stays for at least B / 2 blocks to
    come.
    """

    block: I64
    """(B, 8) number of the item's block before this one (-1 none), how many sessions follow, and up to 6
    sessions.
    """
    item: I32
    """(B,) whose block it is, -1 when the item was forgotten."""
    head: I64
    """(I,) number of the item's latest block, -1 none."""
    n_sessions: I32
    """(I,) sessions in the item's blocks."""
    log_n_sessions: F32
    """(I,) natural logarithm of that, 0 for none."""
    begun: I64
    """(1,) blocks begun so far."""


def empty_chains(n_blocks: int, n_items: int) -> Chains:
    """Room for ``n_blocks``, a power of two."""
    return Chains(
        block=np.zeros((n_blocks, _WORDS), np.int64),
        item=np.full(n_blocks, -1, np.int32),
        head=np.full(n_items, -1, np.int64),
        n_sessions=np.zeros(n_items, np.int32),
        log_n_sessions=np.zeros(n_items, np.float32),
        begun=np.zeros(1, np.int64),
    )


@compiled
def count(c: Chains, item: int, change: int) -> None:
    """Count sessions of ``item`` in or out."""
    c.n_sessions[item] += change
    c.log_n_sessions[item] = np.log(max(1, c.n_sessions[item]))


@compiled
def begin_block(c: Chains, item: int) -> None:
    """Make the oldest block the latest one of ``item``."""
    n_blocks = c.item.shape[0]
    number = c.begun[0]
    at = number & (n_blocks - 1)
    if c.item[at] >= 0:
        count(c, c.item[at], -c.block[at, _FILLED])
    c.block[at, _BEFORE] = c.head[item]
    c.block[at, _FILLED] = 0
    c.item[at] = item
    c.head[item] = number
    c.begun[0] = number + 1


@compiled
def append(c: Chains, item: int, serial: int) -> None:
    """Note that ``item`` is in the session of running number ``serial``."""
    n_blocks = c.item.shape[0]
    at = c.head[item] & (n_blocks - 1)
    if c.head[item] < max(0, c.begun[0] - max(1, n_blocks >> 1)) or c.block[at, _FILLED] == _WORDS - _FIRST:
        begin_block(c, item)
        at = c.head[item] & (n_blocks - 1)
    c.block[at, _FIRST + c.block[at, _FILLED]] = serial
    c.block[at, _FILLED] += 1
    count(c, item, 1)


@compiled
def enter(c: Chains, number: int, cursor: I64) -> None:
    """Set ``cursor`` (3,) on the last session of a block: its row, the place in it, and the session, -1 at
    the end.
    """
    if number < max(0, c.begun[0] - c.item.shape[0]):
        cursor[SERIAL] = -1
        return
    cursor[_ROW] = number & (c.item.shape[0] - 1)
    cursor[_POSITION] = _FIRST + c.block[cursor[_ROW], _FILLED] - 1
    cursor[SERIAL] = c.block[cursor[_ROW], cursor[_POSITION]]


@compiled
def advance(c: Chains, cursor: I64) -> None:
    """Set ``cursor`` on the session before."""
    if cursor[_POSITION] > _FIRST:
        cursor[_POSITION] -= 1
        cursor[SERIAL] = c.block[cursor[_ROW], cursor[_POSITION]]
    else:
        enter(c, c.block[cursor[_ROW], _BEFORE], cursor)


@compiled
def newest(cursors: I64, n: int) -> int:
    """Which of the first ``n`` cursors (L, 3) is on the latest session, ties to the first."""
    p = 0
    for q in range(1, n):
        if cursors[q, SERIAL] > cursors[p, SERIAL]:
            p = q
    return p


def drop_items(c: Chains, gone: NDArray[np.bool_]) -> None:
    """Empty the chains of the items marked in ``gone`` (I + 1,); the last mark stands for padding."""
    c.head[gone[:-1]] = -1
    c.n_sessions[gone[:-1]] = 0
    c.log_n_sessions[gone[:-1]] = 0.0
    c.item[gone[c.item]] = -1
