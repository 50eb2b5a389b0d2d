"""Folds events into one user's state: the only writer of ``State``. Parsing and late events are ingest's.

Convergence: the same events of one user, arriving on several topics in any interleaving and any batching,
leave the same state: decayed sums within 1e-9 relative at a common time, everything else exactly, offset
stamps and the origins kept to tell replays aside. It holds while the distinct keys stay within the caps (an
evicted key has forgotten its past), while no more than ``max_events`` events are in play when some come
twice, and for a catalogue that answers the same.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from math import exp2, log1p, nan

from xxhash import xxh3_64_intdigest, xxh32_intdigest

from models.interest.evidence import Details, Touch, band, complete, touches
from models.interest.settings import InterestSettings
from models.interest.state import (
    AFFINITY,
    EVENT,
    INTERACTION,
    Affinity,
    Mean,
    Platform,
    Search,
    State,
    decayed,
)
from models.interest.terms import terms
from models.kinds import WEIGHTS, Kind
from schemas import events
from schemas.events import AnyEvent


class Outcome(IntEnum):
    """What became of an arrival; ``FRESH`` and ``REPLAYED`` are originals, to be counted once."""

    FRESH = 1
    """Folded in."""
    REPLAYED = 2
    """Folded in before, at this very offset: the state stays, its output is due again under the same id."""
    DUPLICATE = 3
    """Another copy of an event accepted elsewhere: nothing changes but the stamp."""


Catalogue = Callable[[str], Details | None]
"""What is known of an item by its id."""


def fold(
    state: State,
    arrivals: Iterable[tuple[str, int, int, AnyEvent]],
    settings: InterestSettings,
    catalogue: Catalogue | None = None,
) -> list[Outcome]:
    """Fold the arrivals of ONE user into ``state`` in place; one outcome an arrival.

    ``arrivals`` are (topic, partition, offset, event), in offset order within a partition. An event that
    has left the window of ``max_events`` is told by its offset alone: ``REPLAYED`` at or below the stamp,
    ``FRESH`` above.
    """
    return [_arrive(state, *arrival, settings, catalogue) for arrival in arrivals]


def _arrive(
    state: State,
    topic: str,
    partition: int,
    offset: int,
    event: AnyEvent,
    settings: InterestSettings,
    catalogue: Catalogue | None,
) -> Outcome:
    place = f"{topic}-{partition}"
    origin = xxh32_intdigest(f"{place}-{offset}".encode())
    event_hash = xxh3_64_intdigest(event.event_id.encode())
    repeated = not _advance(state.stamps, place, offset, settings.max_stamps)
    accepted_at = _accepted_at(state.events, event_hash)
    if accepted_at is not None:
        return Outcome.REPLAYED if accepted_at == origin else Outcome.DUPLICATE
    if repeated:
        return Outcome.REPLAYED
    _remember(state.events, event.time_ms, event_hash, origin, settings.max_events)
    _apply(state, event, event_hash, settings, catalogue)
    return Outcome.FRESH


def _advance(stamps: dict[str, int], place: str, offset: int, max_stamps: int) -> bool:
    """Move the stamp of ``place`` to ``offset``; False when it already was there or beyond."""
    stamp = stamps.get(place, -1)
    if offset <= stamp:
        return False
    stamps.pop(place, None)
    stamps[place] = offset
    if len(stamps) > max_stamps:
        del stamps[next(iter(stamps))]
    return True


def _accepted_at(window: bytearray, event_hash: int) -> int | None:
    """Origin of the event if it is in the window, else None."""
    needle = event_hash.to_bytes(8, "little")
    at = window.find(needle)
    while at >= 0:
        row, inside = divmod(at, EVENT.size)
        if inside == 8:
            origin: int = EVENT.unpack_from(window, row * EVENT.size)[2]
            return origin
        at = window.find(needle, at + 1)
    return None


def _remember(window: bytearray, time_ms: int, event_hash: int, origin: int, max_events: int) -> None:
    at = _position(window, EVENT.size, EVENT.unpack_from, (time_ms, event_hash))
    window[at:at] = EVENT.pack(time_ms, event_hash, origin)
    if len(window) > max_events * EVENT.size:
        del window[: EVENT.size]


def _position(
    rows: bytearray, size: int, unpack_from: Callable[[bytearray, int], tuple[int, ...]], key: tuple[int, ...]
) -> int:
    """Byte at which a row that starts with ``key`` belongs among sorted ``rows``."""
    width = len(key)
    low, high = 0, len(rows) // size
    if high and unpack_from(rows, (high - 1) * size)[:width] < key:
        return high * size
    while low < high:
        middle = (low + high) // 2
        if unpack_from(rows, middle * size)[:width] < key:
            low = middle + 1
        else:
            high = middle
    return low * size


def _apply(
    state: State, event: AnyEvent, event_hash: int, settings: InterestSettings, catalogue: Catalogue | None
) -> None:
    state.n_events += 1
    if event.time_ms > state.latest_ms:
        state.latest_ms = event.time_ms
    if event.platform:
        platform = Platform(event.time_ms, event.platform)
        if state.platform is None or platform > state.platform:
            state.platform = platform
    if isinstance(event, events.Impression):
        state.n_impressions += 1
    elif isinstance(event, events.Search):
        _apply_search(state, event, event_hash, settings)
    elif isinstance(event, events.Dismiss):
        _keep_latest(state.dismissed, event.item_id, event.time_ms, settings.max_dismissed)
    else:
        session = xxh32_intdigest(event.session_id.encode()) or 1 if event.session_id else 0
        for line, touch in enumerate(touches(event, settings)):
            details = catalogue(touch.item_id) if catalogue else None
            known = complete(touch, details) if details else touch
            _apply_touch(state, known, (event.time_ms, event_hash, line), session, settings)


def _apply_search(state: State, event: events.Search, event_hash: int, settings: InterestSettings) -> None:
    words = terms(event.query)
    weight = WEIGHTS[Kind.SEARCH]
    for word in words:
        _strengthen(state.terms, word, event.time_ms, weight, settings, settings.max_terms)
    if event.category:
        _strengthen(
            state.categories, event.category, event.time_ms, weight, settings, settings.max_categories
        )
    if words:
        state.searches.append(Search(event.time_ms, event_hash, " ".join(words)))
        state.searches.sort()
        del state.searches[: -settings.max_searches]


def _apply_touch(
    state: State, touch: Touch, key: tuple[int, int, int], session: int, settings: InterestSettings
) -> None:
    time_ms, weight, price = key[0], touch.weight, touch.price
    _keep_interaction(state, touch, key, session, settings.max_interactions)
    if touch.category:
        _strengthen(state.categories, touch.category, time_ms, weight, settings, settings.max_categories)
    if touch.brand:
        _strengthen(state.brands, touch.brand, time_ms, weight, settings, settings.max_brands)
    if touch.store_id:
        _strengthen(state.stores, touch.store_id, time_ms, weight, settings, settings.max_stores)
    if price is not None:
        _strengthen(state.bands, band(price), time_ms, weight, settings, settings.max_bands)
        _average(state.log_price, time_ms, log1p(price), weight, settings.half_lives_s[2])
    if touch.promoted is not None:
        _keep_latest(state.bought, touch.item_id, time_ms, settings.max_bought)
        _average(state.promoted, time_ms, float(touch.promoted), 1.0, settings.half_lives_s[2])


def _keep_interaction(
    state: State, touch: Touch, key: tuple[int, int, int], session: int, max_interactions: int
) -> None:
    recents = state.recents
    rows, size = recents.rows, INTERACTION.size
    at = _position(rows, size, INTERACTION.unpack_from, key)
    price = nan if touch.price is None else touch.price
    rows[at:at] = INTERACTION.pack(*key, touch.kind, session, price, touch.dwell_ms or 0, touch.weight)
    recents.items.insert(at // size, touch.item_id)
    recents.categories.insert(at // size, touch.category)
    if len(recents.items) > max_interactions:
        del rows[:size], recents.items[0], recents.categories[0]


def _strengthen(
    affinity: Affinity, key: str, time_ms: int, weight: float, settings: InterestSettings, max_keys: int
) -> None:
    """Add ``weight`` at ``time_ms`` to ``w(t) = sum of w_i * 2 ** -((t - t_i) / half_life)``, three times."""
    keys, rows = affinity.keys, affinity.rows
    try:
        at = keys.index(key) * AFFINITY.size
    except ValueError:
        keys.append(key)
        rows += AFFINITY.pack(time_ms, weight, weight, weight)
        if len(keys) > max_keys:
            _evict(affinity, settings, max_keys)
        return
    last_ms, short, medium, long = AFFINITY.unpack_from(rows, at)
    of_short, of_medium, of_long = settings.half_lives_s
    age_s = (time_ms - last_ms) / 1000.0
    if age_s >= 0.0:
        short = short * exp2(-age_s / of_short) + weight
        medium = medium * exp2(-age_s / of_medium) + weight
        long = long * exp2(-age_s / of_long) + weight
        AFFINITY.pack_into(rows, at, time_ms, short, medium, long)
    else:
        short += weight * exp2(age_s / of_short)
        medium += weight * exp2(age_s / of_medium)
        long += weight * exp2(age_s / of_long)
        AFFINITY.pack_into(rows, at, last_ms, short, medium, long)


def _evict(affinity: Affinity, settings: InterestSettings, max_keys: int) -> None:
    """Keep the strongest three quarters by blended weight at the family's latest time, ties by key."""
    rows = [AFFINITY.unpack_from(affinity.rows, at) for at in range(0, len(affinity.rows), AFFINITY.size)]
    weights = (
        decayed(affinity, max(row[0] for row in rows), settings) @ settings.blend
    )  # (n, 3) @ (3,) -> (n,)
    order = sorted(range(len(rows)), key=lambda i: (-weights[i], affinity.keys[i]))
    kept = sorted(order[: max_keys - max_keys // 4])
    affinity.keys = [affinity.keys[i] for i in kept]
    affinity.rows = bytearray(b"".join(AFFINITY.pack(*rows[i]) for i in kept))


def _average(mean: Mean, time_ms: int, value: float, weight: float, half_life_s: float) -> None:
    age_s = (time_ms - mean.time_ms) / 1000.0
    if age_s >= 0.0:
        fade = exp2(-age_s / half_life_s)
        mean.total, mean.weight, mean.time_ms = mean.total * fade, mean.weight * fade, time_ms
    else:
        weight *= exp2(age_s / half_life_s)
    mean.total += weight * value
    mean.weight += weight


def _keep_latest(times: dict[str, int], item_id: str, time_ms: int, max_items: int) -> None:
    """Keep the latest time of each item and the ``max_items`` latest items, ties by item."""
    if times.get(item_id, time_ms) <= time_ms:
        times[item_id] = time_ms
    if len(times) > max_items:
        del times[min(times, key=lambda item: (times[item], item))]
