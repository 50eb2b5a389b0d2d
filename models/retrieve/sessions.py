"""The latest sessions, bounded: which items each holds, and which session an interaction belongs to.

A session is known by the hash the shop sent or, where it sent none, is the user's latest session until that
has been idle for too long. Slots are reused in turn, so the session that began longest ago makes room. It
scores nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.retrieve.compiled import compiled
from models.retrieve.contract import F64, I32, U64

I64 = NDArray[np.int64]

_SESSION_SALT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_EMPTY = np.uint64(0)


class Sessions(NamedTuple):
    """S slots of up to W distinct items; S is a power of two, and so is the size M = 4 S of the map."""

    serial: I64
    """(S,) running number of the session in the slot, -1 when it never held one."""
    items: I32
    """(S, W) distinct items, the latest interaction last, then -1."""
    length: I32
    first_s: F64
    last_s: F64
    key: U64
    """(S,) key of the shop's session hash, 0 when it sent none."""
    owner: U64
    """(S,) key of the user who was last seen in the session."""
    map_key: U64
    """(M,) open addressing from the key of a session or user to the slot, 0 where free."""
    map_slot: I32
    begun: I64
    """(1,) sessions begun so far."""


def empty_sessions(n_sessions: int, n_items: int) -> Sessions:
    """Room for ``n_sessions``, rounded up to a power of two, of ``n_items`` each."""
    s = power_of_two(n_sessions)
    return Sessions(
        serial=np.full(s, -1, np.int64),
        items=np.full((s, n_items), -1, np.int32),
        length=np.zeros(s, np.int32),
        first_s=np.zeros(s),
        last_s=np.zeros(s),
        key=np.zeros(s, np.uint64),
        owner=np.zeros(s, np.uint64),
        map_key=np.zeros(4 * s, np.uint64),
        map_slot=np.zeros(4 * s, np.int32),
        begun=np.zeros(1, np.int64),
    )


def power_of_two(n: int) -> int:
    """The least power of two that is at least ``n``."""
    return 1 << max(0, n - 1).bit_length()


@compiled
def mixed(bits: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64, made odd so that no key is 0, the mark of a free entry."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MULTIPLIER_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MULTIPLIER_2
    return (bits ^ (bits >> np.uint64(31))) | _ONE


@compiled
def home(key: np.uint64, mask: int) -> int:
    """Where the search for ``key`` begins."""
    return int(key >> np.uint64(33)) & mask


@compiled
def position_of(s: Sessions, key: np.uint64) -> int:
    """Where ``key`` is in the map, or the free entry where it would go."""
    mask = s.map_key.shape[0] - 1
    at = home(key, mask)
    while s.map_key[at] != _EMPTY and s.map_key[at] != key:
        at = (at + 1) & mask
    return at


@compiled
def slot_of(s: Sessions, key: np.uint64) -> int:
    """The slot that ``key`` leads to, -1 when there is none."""
    at = position_of(s, key)
    return int(s.map_slot[at]) if s.map_key[at] == key else -1


@compiled
def current_slot(s: Sessions, user: np.uint64) -> int:
    """The slot of the user's latest session, -1 when it is not held."""
    return slot_of(s, mixed(user))


@compiled
def point(s: Sessions, key: np.uint64, slot: int) -> None:
    """Let ``key`` lead to ``slot``."""
    at = position_of(s, key)
    s.map_key[at] = key
    s.map_slot[at] = slot


@compiled
def unpoint(s: Sessions, key: np.uint64, slot: int) -> None:
    """Free the entry of ``key`` if it leads to ``slot``; later entries of its run move up, so no marks
    remain.
    """
    at = position_of(s, key)
    if s.map_key[at] == _EMPTY or s.map_slot[at] != slot:
        return
    mask = s.map_key.shape[0] - 1
    hole = at
    at = (at + 1) & mask
    while s.map_key[at] != _EMPTY:
        if (at - home(s.map_key[at], mask)) & mask >= (at - hole) & mask:
            s.map_key[hole] = s.map_key[at]
            s.map_slot[hole] = s.map_slot[at]
            hole = at
        at = (at + 1) & mask
    s.map_key[hole] = _EMPTY


@compiled
def begin(s: Sessions, key: np.uint64, owner: np.uint64, time_s: float) -> int:
    """Take the next slot for a new session."""
    serial = int(s.begun[0])
    s.begun[0] += 1
    slot: int = serial & (s.serial.shape[0] - 1)
    if s.serial[slot] >= 0:
        unpoint(s, s.owner[slot], slot)
        if s.key[slot] != _EMPTY:
            unpoint(s, s.key[slot], slot)
    s.serial[slot] = serial
    s.items[slot, : s.length[slot]] = -1
    s.length[slot] = 0
    s.first_s[slot] = time_s
    s.last_s[slot] = time_s
    s.key[slot] = key
    s.owner[slot] = owner
    if key != _EMPTY:
        point(s, key, slot)
    return slot


@compiled
def own(s: Sessions, slot: int, owner: np.uint64) -> None:
    """Make ``owner`` the user of the session and, unless they have a later one, make this their latest."""
    if s.owner[slot] != owner:
        unpoint(s, s.owner[slot], slot)
        s.owner[slot] = owner
    latest = slot_of(s, owner)
    if latest < 0 or s.last_s[slot] >= s.last_s[latest]:
        point(s, owner, slot)


@compiled
def place(s: Sessions, session: np.uint64, user: np.uint64, time_s: float, idle_s: float) -> int:
    """The slot of the session that an interaction belongs to, begun if need be.

    -1 for a straggler without a session hash from more than ``idle_s`` before the user's latest session.
    """
    owner = mixed(user)
    key = _EMPTY
    if session != _EMPTY:
        key = mixed(session ^ _SESSION_SALT)
        slot = slot_of(s, key)
    else:
        slot = slot_of(s, owner)
        if slot >= 0 and time_s < s.first_s[slot] - idle_s:
            return -1
        if slot >= 0 and time_s > s.last_s[slot] + idle_s:
            slot = -1
    if slot < 0:
        slot = begin(s, key, owner, time_s)
    s.first_s[slot] = min(s.first_s[slot], time_s)
    s.last_s[slot] = max(s.last_s[slot], time_s)
    own(s, slot, owner)
    return slot


@compiled
def remember(s: Sessions, slot: int, item: int) -> bool:
    """Make ``item`` the latest of the session, dropping the oldest of W; False when it was held already."""
    row = s.items[slot]
    n = s.length[slot]
    at = 0
    while at < n and row[at] != item:
        at += 1
    known = at < n
    if known or n == row.shape[0]:
        for j in range(at if known else 0, n - 1):
            row[j] = row[j + 1]
    else:
        n += 1
    row[n - 1] = item
    s.length[slot] = n
    return not known


def drop_items(s: Sessions, gone: NDArray[np.bool_]) -> None:
    """Take the items marked in ``gone`` (I + 1,) out of every session; the last mark stands for padding."""
    hit = np.flatnonzero(gone[s.items].any(axis=1))
    rows = s.items[hit]
    dropped = gone[rows] | (rows < 0)
    order = np.argsort(dropped, axis=1, kind="stable")
    s.items[hit] = np.take_along_axis(np.where(dropped, -1, rows), order, axis=1)
    s.length[hit] = (~dropped).sum(axis=1)
