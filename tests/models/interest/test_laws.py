"""Laws of folding: order and batching do not matter, repeats change nothing, size is bounded."""

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.interest.codec import decode, encode
from models.interest.fold import Outcome, fold
from models.interest.settings import InterestSettings
from models.interest.state import AFFINITY, EVENT, State
from schemas.events import (
    Browse,
    Cart,
    Click,
    Dismiss,
    Dwell,
    Impression,
    Line,
    Purchase,
    Rating,
    Search,
    Wishlist,
)

SETTINGS = InterestSettings(max_interactions=6, max_bought=2, max_dismissed=2, max_searches=2)
"""The latest of these are kept by event time, so that their caps do not disturb convergence."""

TOPIC = {Browse: "events.browse", Search: "events.search", Purchase: "events.purchase"}

word = st.sampled_from(["a", "b", "c", "d"])
maybe = st.none() | word
price = st.none() | st.floats(0.0, 1e4)
lines = st.lists(
    st.builds(
        Line, item_id=word, price=price, category=maybe, brand=maybe, store_id=maybe, promotion_id=maybe
    ),
    min_size=1,
    max_size=3,
)


def kind(event_type, **fields):
    common = {
        "event_id": st.uuids().map(str),
        "user_id": st.just("u"),
        "time_ms": st.integers(0, 100) | st.integers(0, 60 * 86_400_000),
        "session_id": maybe,
        "platform": maybe,
    }
    return st.builds(event_type, **common, **fields)


dwell = st.integers(0, 600_000)
events = st.one_of(
    kind(
        Browse,
        item_id=word,
        category=maybe,
        brand=maybe,
        price=price,
        store_id=maybe,
        dwell_ms=st.none() | dwell,
    ),
    kind(Search, query=st.lists(word, max_size=3).map(" ".join), category=maybe),
    kind(Purchase, lines=lines),
    kind(Impression, item_ids=st.lists(word, min_size=1, max_size=3)),
    kind(Click, item_id=word),
    kind(Cart, item_id=word, price=price),
    kind(Wishlist, item_id=word),
    kind(Dismiss, item_id=word),
    kind(Rating, item_id=word, rating=st.floats(0.0, 1.0)),
    kind(Dwell, item_id=word, dwell_ms=dwell),
)


@st.composite
def logs(draw):
    """Events of one user, some of them twice."""
    originals = draw(st.lists(events, min_size=1, max_size=20))
    copies = draw(st.lists(st.sampled_from(originals), max_size=4))
    return originals + copies


def arrivals(log):
    """The log as it comes: each event on the topic of its kind, at that topic's next offset."""
    offsets = {}
    for event in log:
        topic = TOPIC.get(type(event), "events.feedback")
        offsets[topic] = offsets.get(topic, -1) + 1
        yield topic, 3, offsets[topic], event


def exact(state):
    """All that must be equal to the last bit."""
    seen = [row[:2] for row in EVENT.iter_unpack(state.events)]
    counts = state.n_events, state.n_impressions, state.latest_ms, state.platform
    return *counts, seen, state.recents, state.bought, state.dismissed, state.searches


def sums(state):
    """Decayed sums by name; each stands at the time of its last event, which is part of the name."""
    found = {}
    for family in ("categories", "brands", "bands", "terms", "stores"):
        affinity = getattr(state, family)
        rows = AFFINITY.iter_unpack(affinity.rows)
        for key, (time_ms, *weights) in zip(affinity.keys, rows, strict=True):
            found |= {(family, key, time_ms, h): weight for h, weight in enumerate(weights)}
    for name in ("log_price", "promoted"):
        mean = getattr(state, name)
        found |= {(name, "total", mean.time_ms): mean.total, (name, "weight", mean.time_ms): mean.weight}
    return found


@settings(max_examples=300)
@given(logs(), st.data())
def test_any_interleaving_in_any_batching_gives_the_same_state(log, data):
    one, other = State(), State()
    fold(one, arrivals(log), SETTINGS)
    shuffled = list(arrivals(data.draw(st.permutations(log))))
    while shuffled:
        n = data.draw(st.integers(1, len(shuffled)))
        fold(other, shuffled[:n], SETTINGS)
        other, shuffled = decode(encode(other)), shuffled[n:]
    assert exact(one) == exact(other)
    assert sums(one) == pytest.approx(sums(other), rel=1e-9)


@given(logs(), st.data())
def test_replaying_any_suffix_changes_nothing(log, data):
    state, log = State(), list(arrivals(log))
    first = fold(state, log, SETTINGS)
    before = encode(state)
    start = data.draw(st.integers(0, len(log)))
    again = fold(state, log[start:], SETTINGS)
    assert encode(state) == before
    replayed = [Outcome.REPLAYED if outcome is Outcome.FRESH else outcome for outcome in first[start:]]
    assert again == replayed


@given(logs(), st.data())
def test_a_duplicate_changes_nothing_but_the_stamp(log, data):
    state, log = State(), list(arrivals(log))
    fold(state, log, SETTINGS)
    before = deepcopy(state)
    copy = data.draw(st.sampled_from(log))[3]
    assert fold(state, [("events.browse", 3, 1000, copy)], SETTINGS) == [Outcome.DUPLICATE]
    assert state.stamps["events.browse-3"] == 1000
    state.stamps = before.stamps
    assert state == before


@given(logs())
def test_decoding_gives_back_what_was_encoded(log):
    state = State()
    fold(state, arrivals(log), SETTINGS)
    assert decode(encode(state)) == state


def long_event(n):
    """Event n with ids of 36 bytes and labels of 16 bytes that never came before."""
    long_id, label = f"{n:036d}", f"{n:016d}"
    common = {"event_id": long_id, "user_id": "u", "time_ms": n * 60_000, "platform": label}
    facts = {"category": label, "brand": label, "price": float(n % 9973) ** 2, "store_id": long_id}
    if n % 4 == 0:
        return Purchase(**common, lines=[Line(item_id=long_id, **facts)])
    if n % 4 == 1:
        return Dismiss(**common, item_id=long_id)
    if n % 4 == 2:
        return Search(**common, query=" ".join(f"{n:07d}{i}" for i in range(8)))
    return Browse(**common, item_id=long_id, **facts)


def test_a_state_stays_below_16_kib_after_100_000_events_of_new_keys():
    state, sizes = State(), []
    for batch in range(100):
        log = [("events.browse", 0, n, long_event(n)) for n in range(batch * 1000, (batch + 1) * 1000)]
        fold(state, log, InterestSettings())
        state = decode(encode(state))
        sizes.append(len(encode(state)))
    assert max(sizes) < 16 * 1024
    assert len(state.recents.items) == 50
    assert len(state.bought) == 64
