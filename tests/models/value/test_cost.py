"""Costs fall on the sources that cause them, and add up to what was measured."""

import pytest

from models.value.cost import EVERY, Tally, costs, summed
from schemas.events import Browse, Cart, Dismiss, Line, Purchase, Search
from schemas.value import SourceCost, ValueReport

HEAD = {"event_id": "1", "user_id": "u", "time_ms": 1}


def browse(**more):
    return Browse(**HEAD, item_id="a", **more)


def by_source(found):
    return {each.player: each for each in found}


def test_records_of_a_topic_are_shared_by_what_they_are():
    tally = Tally()
    tally.take([Cart(**HEAD, item_id="a"), Dismiss(**HEAD, item_id="a")], 300)
    tally.take([Search(**HEAD, query="q")], 100)
    found = by_source(costs(tally, {}, {}))
    assert {name: (each.n_events, each.n_bytes) for name, each in found.items() if each.n_events} == {
        "browse": (1, 150),
        "feedback": (1, 150),
        "search": (1, 100),
    }


def test_attributes_pay_for_their_bytes_and_the_event_does_not():
    tally = Tally()
    # ,"category":"c" are 15 bytes, and ,"price":1.5 are 12.
    tally.take([browse(category="c", price=1.5)] * EVERY, 100 * EVERY)
    tally.take([Purchase(**HEAD, lines=[Line(item_id="a")])], 80)
    found = by_source(costs(tally, {}, {}))
    assert found["attributes"].n_bytes == 27 * EVERY
    assert found["browse"].n_bytes == 73 * EVERY
    assert found["purchase"].n_bytes == 80


def test_seconds_are_paid_by_who_causes_them_and_add_up():
    tally = Tally()
    tally.take([browse(), browse(), browse()], 300)
    tally.take([Search(**HEAD, query="q")], 100)
    tally.serve(browse(), 10.0)
    tally.serve(Search(**HEAD, query="q"), 30.0)
    stage_s = {"ingest": 4.0, "rank": 2.0, "retrieve.search": 1.0, "retrieve.content": 3.0}
    found = by_source(costs(tally, stage_s, {"session_knn": 50, "content": 20}))
    # ingest 3 : 1 by events; rank 1 : 1 by slates; search by itself; content by browsing and text, half each.
    assert found["browse"].cpu_s == pytest.approx(3.0 + 1.0 + 1.5)
    assert found["search"].cpu_s == pytest.approx(1.0 + 1.0 + 1.0)
    assert found["text"].cpu_s == pytest.approx(1.5)
    assert sum(each.cpu_s for each in found.values()) == pytest.approx(sum(stage_s.values()))
    assert (found["browse"].memory_bytes, found["text"].memory_bytes) == (60, 10)
    assert (found["browse"].latency_s, found["search"].latency_s) == (0.01, 0.03)
    assert found["purchase"].latency_s is None


def test_windows_and_workers_add_up_and_memory_is_the_newest_of_each_worker():
    def told(worker, end_ms, memory_bytes, latency_s):
        cost = SourceCost(player="browse", n_events=2, n_slates=1, n_bytes=10, cpu_s=0.5,
                          memory_bytes=memory_bytes, latency_s=latency_s)  # fmt: skip
        return ValueReport(of="source", window_start_ms=0, window_end_ms=end_ms, n=1, k=20, all_in={}, none_in={},
                           values=[], costs=[cost], worker=worker)  # fmt: skip

    (found,) = summed([told("1", 20, 7, 0.1), told("1", 10, 5, 0.3), told("2", 10, 3, 0.2)])
    assert (found.n_events, found.n_slates, found.n_bytes, found.cpu_s) == (6, 3, 30, 1.5)
    assert found.memory_bytes == 7 + 3
    assert found.latency_s == pytest.approx(0.2)
