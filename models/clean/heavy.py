"""Users who do more than a shopper does: bots, testers, shops' own terminals. Told by the user's own state alone.

What they do goes on to their state and their slates; beyond the cap, others do not learn from it.
"""

from bisect import bisect_left
from typing import Final

from xxhash import xxh3_64_intdigest

from models.clean.recipe import Cap
from models.interest.state import EVENT, State
from schemas.events import AnyEvent

ALL: Final = float(1 << 64)


def may_be_heavy(cap: Cap, state: State, n_new: int) -> bool:
    """Whether any of ``n_new`` events can be beyond the cap: what rules out nearly all users at once."""
    return len(state.events) // EVENT.size + n_new > cap.events


def is_beyond(cap: Cap, state: State, event: AnyEvent) -> bool:
    """Whether as many events as are allowed came before this one in time, within the span, and no hash spares it.

    A redelivered event has the same answer: later events, and the event itself, do not count.
    """
    first_ms, end_ms = cap.span_ms
    if not first_ms <= event.time_ms < end_ms:
        return False
    key = event.time_ms, xxh3_64_intdigest(event.event_id.encode())
    window = range(len(state.events) // EVENT.size)

    def at(row: int) -> tuple[int, int]:
        time_ms, digest, _ = EVENT.unpack_from(state.events, row * EVENT.size)
        return time_ms, digest

    since = bisect_left(window, (event.time_ms - int(cap.within_s * 1_000.0), 0), key=at)
    n_before = bisect_left(window, key, key=at) - since
    return n_before >= cap.events and key[1] / ALL >= cap.keep
