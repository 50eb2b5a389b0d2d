import json
from collections import Counter

import msgspec
import numpy as np
import pytest

from models.simulate.settings import FAULTS, FaultSettings, SimulateSettings
from models.simulate.shop import Batch, Shop
from schemas.events import Browse, Feedback, Purchase, Search
from schemas.topics import BROWSE, FEEDBACK, PURCHASE, SEARCH

START_MS = 1_700_000_000_000
TYPES = {BROWSE: Browse, SEARCH: Search, PURCHASE: Purchase, FEEDBACK: Feedback}


def spoilt(**rates: float) -> Batch:
    settings = SimulateSettings(
        n_items=400,
        n_categories=12,
        n_shoppers=800,
        events_per_s=100.0,
        gap_s=1.0,
        faults=FaultSettings(**rates),
    )
    return Shop(settings, np.random.default_rng(2), START_MS).advance(60.0, START_MS + 60_000)


def with_fault(batch: Batch, name: str) -> list[tuple[str, bytes, bytes]]:
    rows = np.flatnonzero(batch.truth.fault == 1 + FAULTS.index(name)).tolist()
    found = [(batch.topics[row], batch.keys[row], batch.values[row]) for row in rows]
    assert len(found) > 20
    return [(topic, key, value) for topic, key, value in found if value is not None]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_as_frequent_as_asked(name: str) -> None:
    rate = 0.05
    batch = spoilt(**{name: rate})
    events = batch.truth.kind > 0
    faulty = int((batch.truth.fault[events] > 0).sum())
    faulty = faulty // 2 if name == "duplicate" else faulty
    sent = int(events.sum()) - (faulty if name == "duplicate" else 0)
    assert abs(faulty - rate * sent) < 4 * np.sqrt(sent * rate * (1 - rate))


def test_without_rates_nothing_is_spoilt() -> None:
    assert not spoilt().truth.fault.any()


def test_a_duplicate_is_the_same_record_again() -> None:
    twice = Counter(with_fault(spoilt(duplicate=0.05), "duplicate"))
    assert set(twice.values()) == {2}


def test_missing_attributes_leave_a_valid_event() -> None:
    for topic, _, value in with_fault(spoilt(missing_attribute=0.05), "missing_attribute"):
        event = msgspec.json.decode(value, type=TYPES[topic])
        assert getattr(event, "category", None) is None
        assert getattr(event, "price", None) is None


@pytest.mark.parametrize("name", ["missing_field", "wrong_type"])
def test_the_schema_refuses(name: str) -> None:
    for topic, _, value in with_fault(spoilt(**{name: 0.05}), name):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(value, type=TYPES[topic])


def test_broken_json_does_not_parse() -> None:
    for _, _, value in with_fault(spoilt(broken_json=0.05), "broken_json"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(value)


def test_clocks_are_off_by_what_was_asked() -> None:
    batch = spoilt(
        future=0.03, late=0.03, out_of_order=0.03, future_s=600.0, late_s=9_000.0, out_of_order_s=30.0
    )
    lags_s: dict[str, list[float]] = {"future": [], "late": [], "out_of_order": []}
    for value, time_ms, code in zip(batch.values, batch.time_ms, batch.truth.fault.tolist(), strict=True):
        if code and value is not None:
            lags_s[FAULTS[code - 1]].append((time_ms - msgspec.json.decode(value)["time_ms"]) / 1000)
    assert set(lags_s["future"]) == {-600.0}
    assert set(lags_s["late"]) == {9_000.0}
    assert 0.0 <= min(lags_s["out_of_order"]) < max(lags_s["out_of_order"]) <= 30.0


def test_unknown_fields_are_added() -> None:
    for topic, _, value in with_fault(spoilt(unknown_field=0.05), "unknown_field"):
        assert "campaign" in msgspec.json.decode(value)
        msgspec.json.decode(value, type=TYPES[topic])


def test_a_wrong_key_is_another_shopper_s() -> None:
    for topic, key, value in with_fault(spoilt(wrong_key=0.05), "wrong_key"):
        assert key.decode() != msgspec.json.decode(value, type=TYPES[topic]).user_id


def test_rates_beyond_every_event_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sum to 1\.2"):
        FaultSettings(late=0.6, future=0.6)
