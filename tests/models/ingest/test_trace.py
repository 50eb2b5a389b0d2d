"""W3C trace context: what is a valid one, where it is read, and that a repeat carries the same."""

import pytest

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from models.ingest.trace import MAX_STATE_BYTES, carried, of_slates
from schemas.rejections import Reason, Rejection

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01".encode()
OTHER = f"00-{TRACE_ID[::-1]}-{SPAN_ID}-00".encode()


def of_one(record, **fields):
    found = record(b"{}", **fields)
    (headers,) = of_slates([[found]], [(found.topic, found.partition, found.offset)])
    return dict(headers)


def test_a_slate_is_another_span_of_the_trace_of_its_event(record):
    found = of_one(record, headers=[("traceparent", PARENT), ("tracestate", b"vendor=1")])
    version, trace_id, span_id, flags = found["traceparent"].decode().split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "01")
    assert span_id != SPAN_ID
    assert len(span_id) == 16
    assert found["tracestate"] == b"vendor=1"


def test_a_repeat_carries_the_same_and_another_slate_of_the_trace_another_span(record):
    own = [("traceparent", PARENT)]
    assert of_one(record, headers=own) == of_one(record, headers=own)
    assert of_one(record, headers=own) != of_one(record, headers=own, offset=8)


def test_where_no_event_has_a_trace_no_slate_has(record):
    assert of_one(record) == {}
    assert of_one(record, headers=[("content-type", b"application/json")]) == {}


def test_each_slate_has_the_trace_of_its_own_record(record):
    batch = [record(b"{}", offset=7, headers=[("traceparent", PARENT)]), record(b"{}", offset=8)]
    with_one, without = of_slates([batch], [(batch[0].topic, 0, 7), (batch[0].topic, 0, 8)])
    assert [name for name, _ in with_one] == ["traceparent"]
    assert without == []


def test_the_extension_of_cloudevents_is_read_in_both_modes(record):
    binary = carried(record(b"{}", headers=[("ce_traceparent", PARENT), ("ce_tracestate", b"a=b")]))
    value = {"specversion": "1.0", "traceparent": PARENT.decode(), "tracestate": "a=b", "data": {}}
    structured = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    assert binary == carried(record(value, headers=structured))
    assert (binary.trace_id, binary.span_id, binary.flags, binary.state) == (TRACE_ID, SPAN_ID, 1, "a=b")


def test_the_record_s_own_header_goes_before_the_extension(record):
    found = carried(record(b"{}", headers=[("ce_traceparent", OTHER), ("traceparent", PARENT)]))
    assert found.trace_id == TRACE_ID


@pytest.mark.parametrize(
    "parent",
    [
        None,
        b"",
        b"\xff\xfe",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + b"-x",  # version 00 has four parts
        b"ff" + PARENT[2:],  # forbidden version
        PARENT.replace(TRACE_ID.encode(), b"0" * 32),
        PARENT.replace(SPAN_ID.encode(), b"0" * 16),
    ],
)
def test_what_is_no_valid_context_is_passed_over(record, parent):
    assert carried(record(b"{}", headers=[("traceparent", parent)])) is None


def test_a_later_version_is_read_as_far_as_it_is_known(record):
    assert carried(record(b"{}", headers=[("traceparent", b"01" + PARENT[2:-2] + b"ff-more")])).flags == 0b11


def test_a_structured_event_that_is_none_has_no_trace(record):
    own = [("content-type", b"application/cloudevents+json")]
    for value in (None, b"[" * 100_000, b'{"traceparent": 1}'):
        assert carried(record(value, headers=own)) is None


def test_states_of_several_headers_are_joined_and_too_long_ones_left_out(record):
    own = [("traceparent", PARENT), ("tracestate", b"a=1"), ("tracestate", b"b=2")]
    assert carried(record(b"{}", headers=own)).state == "a=1,b=2"
    own[1] = ("tracestate", b"x" * MAX_STATE_BYTES)
    assert carried(record(b"{}", headers=own)).state == ""


def test_a_dead_letter_that_is_cut_keeps_its_trace(record):
    own = [("x", b"y" * 3_000_000), ("traceparent", PARENT)]
    letter = bury(Rejected(record(b"{", headers=own), Rejection(Reason.BROKEN_JSON, "at byte 1")))
    assert letter.headers[0] == ("traceparent", PARENT)
    assert "x" not in dict(letter.headers)
