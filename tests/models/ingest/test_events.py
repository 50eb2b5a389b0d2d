import gzip
import json
import zlib

import msgspec
import pytest

from models.ingest import Ingest
from models.ingest.settings import IngestSettings
from schemas import topics
from schemas.events import Browse, Cart, Click, Purchase, Search
from schemas.rejections import UNREADABLE_HEADER, Reason, Rejection

DAY_MS = 86_400_000
GZIP = [("content-encoding", b"gzip")]
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def reason(outcome):
    assert isinstance(outcome, Rejection), f"accepted as {outcome}"
    return outcome.reason


def test_a_plain_event_is_accepted_with_its_offset(record, view):
    accepted, rejected, unknown = Ingest(IngestSettings())([record(view, offset=41), record(view, offset=42)])
    assert [each.offset for each in accepted] == [41, 42]
    assert accepted[0].event == Browse(
        event_id="e1", user_id="u1", time_ms=view["time_ms"], item_id="i1", price=9.5
    )
    assert (rejected, unknown) == ([], {})


def test_each_topic_gives_its_own_type(take, now_ms):
    common = {"event_id": "e", "user_id": "u1", "time_ms": now_ms}
    assert isinstance(take({**common, "query": "red shoes"}, topic=topics.SEARCH), Search)
    assert isinstance(take({**common, "lines": [{"item_id": "i"}]}, topic=topics.PURCHASE), Purchase)
    assert isinstance(take({**common, "kind": "click", "item_id": "i"}, topic=topics.FEEDBACK), Click)
    assert isinstance(take({**common, "kind": "cart", "item_id": "i"}, topic=topics.FEEDBACK), Cart)


def test_an_empty_batch_becomes_nothing():
    assert Ingest(IngestSettings())([]) == ([], [], {})


def test_a_topic_without_shopper_events_is_the_callers_mistake(record, view):
    with pytest.raises(ValueError, match=r"given 'catalog\.items', it takes .*events\.browse"):
        Ingest(IngestSettings())([record(view, topic=topics.ITEMS)])


def test_a_refused_record_is_handed_back_untouched(record):
    broken = record(b"{", offset=3)
    ((same, rejection),) = Ingest(IngestSettings())([broken]).rejected
    assert same is broken
    assert rejection.reason is Reason.BROKEN_JSON


@pytest.mark.parametrize("layout", [msgspec.json.encode, lambda e: json.dumps(e, indent=2).encode()])
def test_layout_of_the_json_makes_no_difference(take, view, layout):
    assert take(layout(view)) == take(view)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"   ", Reason.BROKEN_JSON),
        (b"{}", Reason.MISSING_FIELD),
        (b"null", Reason.WRONG_TYPE),
        (b"[]", Reason.WRONG_TYPE),
        (b"\x00\x01", Reason.BROKEN_JSON),
        (b"\xff\xfe{", Reason.BROKEN_UTF8),
        (b"\xef\xbb\xbf{}", Reason.BROKEN_JSON),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b'{"a":' * 100_000, Reason.TOO_DEEP),
        (b"[" * 100_000 + b"]" * 100_000, Reason.TOO_DEEP),
        (b'"' + b'\\"' * 200_000, Reason.BROKEN_JSON),
        (b'"' + b"[" * 600 + b'"', Reason.WRONG_TYPE),
        (b" " * (topics.MIB + 1), Reason.TOO_LARGE),
    ],
)
def test_bytes_that_are_no_event_have_a_reason(take, value, expected):
    assert reason(take(value)) is expected


@pytest.mark.parametrize(
    ("field", "raw", "expected"),
    [
        ("schema_version", b"2", Reason.UNKNOWN_VERSION),
        ("schema_version", b'"1"', Reason.WRONG_TYPE),
        ("schema_version", b"9" * 400, Reason.UNKNOWN_VERSION),
        ("item_id", b"7", Reason.WRONG_TYPE),
        ("item_id", b"null", Reason.WRONG_TYPE),
        ("item_id", b'""', Reason.BAD_ID),
        ("item_id", b'"  "', Reason.BAD_ID),
        ("item_id", b'"\\u0000\\u001f"', Reason.BAD_ID),
        ("item_id", b'"\x7f"', Reason.BAD_ID),
        ("item_id", "\u00a0\u2003".join('""').encode(), Reason.BAD_ID),
        ("item_id", b'"' + b"x" * 257 + b'"', Reason.BAD_ID),
        ("item_id", b'"' + "ü".encode() * 129 + b'"', Reason.BAD_ID),
        ("item_id", b'"\\ud800"', Reason.BROKEN_UTF8),
        ("item_id", b'"\\udc00x"', Reason.BROKEN_UTF8),
        ("category", b'"\\ud800\\u0041"', Reason.BROKEN_UTF8),
        ("category", b'"\xed\xa0\x80"', Reason.BROKEN_UTF8),
        ("session_id", b'""', Reason.BAD_ID),
        ("price", b"NaN", Reason.OUT_OF_RANGE),
        ("price", b"-Infinity", Reason.OUT_OF_RANGE),
        ("price", b"1e999", Reason.OUT_OF_RANGE),
        ("price", b"-0.01", Reason.OUT_OF_RANGE),
        ("price", b"9" * 400, Reason.OUT_OF_RANGE),
        ("price", b'"9.5"', Reason.WRONG_TYPE),
        ("position", b"10001", Reason.OUT_OF_RANGE),
        ("dwell_ms", b"1.5", Reason.WRONG_TYPE),
        ("time_ms", b"true", Reason.WRONG_TYPE),
        ("time_ms", b"0", Reason.OUT_OF_RANGE),
        ("time_ms", b"1732270000", Reason.OUT_OF_RANGE),
        ("time_ms", b"1732270000000000", Reason.OUT_OF_RANGE),
        ("time_ms", b"9" * 400, Reason.OUT_OF_RANGE),
        ("time_ms", b"9" * 5000, Reason.OUT_OF_RANGE),
        ("time_ms", b"-9223372036854775808", Reason.OUT_OF_RANGE),
    ],
)
def test_a_field_that_cannot_be_right_is_refused(take, view, field, raw, expected):
    value = msgspec.json.encode({name: each for name, each in view.items() if name != field})
    outcome = take(value[:-1] + b',"' + field.encode() + b'":' + raw + b"}")
    assert reason(outcome) is expected
    assert len(outcome.detail) <= 300


def test_every_missing_required_field_is_named(take, view):
    for name in ("event_id", "user_id", "time_ms", "item_id"):
        outcome = take({each: view[each] for each in view if each != name})
        assert outcome == Rejection(Reason.MISSING_FIELD, f"$.{name} is missing")


def test_the_detail_shows_place_and_value(take, view, now_ms):
    assert take(view | {"item_id": 7}).detail == "$.item_id is 7: Expected `str`, got `int`"
    lines = [{"item_id": "i1"}, {"item_id": "i2", "quantity": 0}]
    order = {"event_id": "e", "user_id": "u1", "time_ms": now_ms, "lines": lines}
    assert take(order, topic=topics.PURCHASE).detail == "$.lines[1].quantity is 0: Expected `int` >= 1"


@pytest.mark.parametrize("kind", ["", "Click", "view", "\x00"])
def test_an_unknown_kind_of_feedback_is_refused(take, view, kind):
    assert reason(take(view | {"kind": kind}, topic=topics.FEEDBACK)) is Reason.UNKNOWN_KIND


def test_feedback_without_kind_misses_a_field(take, view):
    assert reason(take(view, topic=topics.FEEDBACK)) is Reason.MISSING_FIELD


def test_a_blank_id_inside_a_list_is_found(take, now_ms):
    common = {"event_id": "e", "user_id": "u1", "time_ms": now_ms}
    lines = [{"item_id": "i1"}, {"item_id": " "}]
    assert reason(take({**common, "lines": lines}, topic=topics.PURCHASE)) is Reason.BAD_ID
    assert (
        reason(take({**common, "query": "q", "results": ["i", "\t"]}, topic=topics.SEARCH)) is Reason.BAD_ID
    )
    shown = {**common, "kind": "impression", "item_ids": ["i", ""]}
    assert reason(take(shown, topic=topics.FEEDBACK)) is Reason.BAD_ID


def test_ids_may_hold_any_visible_text_of_256_bytes(take, view):
    for each in ("ü" * 128, "a b", "商品", "x" * 256, "🛒"):
        assert take(view | {"item_id": each}).item_id == each


@pytest.mark.parametrize("key", [None, b"", b"u2", b"u1 ", b'"u1"', b"\xff"])
def test_a_record_keyed_by_anything_but_the_user_is_refused(take, view, key):
    assert reason(take(view, key=key)) is Reason.KEY_MISMATCH


def test_time_is_judged_by_the_record_alone(take, view, now_ms):
    def at(time_ms, **fields):
        return take(view | {"time_ms": time_ms}, **fields)

    assert isinstance(at(now_ms + 300_000), Browse)
    assert reason(at(now_ms + 300_001)) is Reason.FROM_THE_FUTURE
    assert isinstance(at(now_ms - 7 * DAY_MS), Browse)
    assert reason(at(now_ms - 7 * DAY_MS - 1)) is Reason.TOO_LATE
    hour = IngestSettings(allowed_lateness_ms=3_600_000)
    assert reason(at(now_ms - 3_600_001, settings=hour)) is Reason.TOO_LATE
    assert isinstance(at(now_ms - 300 * DAY_MS, timestamp=now_ms - 300 * DAY_MS), Browse)


def test_a_record_without_timestamp_is_not_judged_for_lateness(take, view, now_ms):
    assert isinstance(take(view | {"time_ms": now_ms - 300 * DAY_MS}, timestamp=-1), Browse)
    assert reason(take(view | {"time_ms": 946_684_799_999}, timestamp=-1)) is Reason.OUT_OF_RANGE


def test_fields_that_the_schema_does_not_know_are_dropped_and_counted(record, view, now_ms):
    ingest = Ingest(IngestSettings())
    batch = [record(view), record(view | {"colour": 1, "size": 2}), record(view | {"colour": {"a": [1]}})]
    assert ingest(batch).unknown_fields == {"colour": 2, "size": 1}
    lines = [{"item_id": "i1", "colour": 1}, {"item_id": "i2", "colour": 1}]
    order = {"event_id": "e", "user_id": "u1", "time_ms": now_ms, "lines": lines, "total": 3}
    assert ingest([record(order, topic=topics.PURCHASE)]).unknown_fields == {"total": 1, "lines[].colour": 2}
    click = {"kind": "click", "price": 3, **{name: view[name] for name in view if name != "price"}}
    assert ingest([record(click, topic=topics.FEEDBACK)]).unknown_fields == {"price": 1}


def test_unknown_fields_of_refused_records_are_not_counted(record, view):
    assert Ingest(IngestSettings())([record(view | {"colour": 1}, key=b"x")]).unknown_fields == {}


def test_at_most_64_names_are_reported_and_none_is_lost(record, view):
    junk = [record(view | {f"junk-{i}": 1, "colour": 1}) for i in range(100)]
    counted = Ingest(IngestSettings())(junk).unknown_fields
    assert len(counted) == 64
    assert counted["colour"] == 100
    assert counted["*"] == 100 - 62
    assert sum(counted.values()) == 200


def test_names_of_unknown_fields_are_printable_and_short(record, view):
    value = msgspec.json.encode(view)[:-1] + b',"\\u0000\xff":1,"' + b"n" * 1000 + b'":2}'
    counted = Ingest(IngestSettings())([record(value)]).unknown_fields
    assert counted == {"\\x00\\ufffd": 1, "n" * 64: 1}


def test_a_stand_in_for_an_unreadable_batch_is_refused_with_its_bytes(take, record):
    header = [(UNREADABLE_HEADER, b"checksum does not match")]
    assert take(b"\x00\x01", key=None, headers=header) == Rejection(
        Reason.UNREADABLE_BATCH, "checksum does not match"
    )
    assert take(b"", key=None, headers=header).reason is Reason.UNREADABLE_BATCH


def test_gzip_is_inflated(take, view):
    assert take(gzip.compress(msgspec.json.encode(view)), headers=GZIP) == take(view)


def test_a_compression_bomb_is_refused_before_it_is_inflated(take):
    bomb = zlib.compress(b" " * 50_000_000, 9, wbits=31)
    assert len(bomb) < topics.MIB
    assert reason(take(bomb, headers=GZIP)) is Reason.TOO_LARGE


def test_broken_and_unknown_compression_are_told_apart(take, view):
    whole = gzip.compress(msgspec.json.encode(view))
    for broken in (whole[:-9], whole + b"x", b"not gzip", whole + whole):
        assert reason(take(broken, headers=GZIP)) is Reason.BROKEN_COMPRESSION
    assert reason(take(whole, headers=[("content-encoding", b"br")])) is Reason.UNKNOWN_COMPRESSION
    assert reason(take(gzip.compress(b""), headers=GZIP)) is Reason.EMPTY


def test_cloudevents_headers_fill_what_the_body_lacks(take, view, now_ms):
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"c1"),
        ("ce_time", b"2024-11-22T11:06:40+01:00"),
        ("x", None),
    ]
    bare = {"user_id": "u1", "item_id": "i1"}
    assert take(bare, headers=headers) == Browse(event_id="c1", user_id="u1", time_ms=now_ms, item_id="i1")
    assert take(view, headers=headers).event_id == "e1"


def test_cloudevents_in_structured_mode_carry_the_event_in_the_value(take, now_ms):
    envelope = {
        "specversion": "1.0",
        "id": "c1",
        "source": "/shop",
        "type": "shop.browse",
        "time": "2024-11-22T10:06:40Z",
        "data": {"user_id": "u1", "item_id": "i1"},
    }
    expected = Browse(event_id="c1", user_id="u1", time_ms=now_ms, item_id="i1")
    assert take(envelope, headers=STRUCTURED) == expected
    assert reason(take(envelope | {"specversion": "2.0"}, headers=STRUCTURED)) is Reason.UNKNOWN_VERSION
    assert reason(take(envelope | {"data": 3}, headers=STRUCTURED)) is Reason.WRONG_TYPE
    assert (
        reason(take({"specversion": "1.0", "id": "c", "type": "t"}, headers=STRUCTURED))
        is Reason.MISSING_FIELD
    )


@pytest.mark.parametrize(
    "time", [b"2024-11-22T10:06:40", b"yesterday", b"", b"\xff", b"9999-99-99T00:00:00Z"]
)
def test_a_time_without_offset_or_sense_fills_nothing(take, time):
    outcome = take({"user_id": "u1", "item_id": "i1"}, headers=[("ce_id", b"c1"), ("ce_time", time)])
    assert outcome == Rejection(Reason.MISSING_FIELD, "$.time_ms is missing")


def test_deep_nesting_in_an_unknown_field_is_refused_at_a_fixed_depth(take, view):
    def nested(depth):
        return msgspec.json.encode(view)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"

    assert isinstance(take(nested(255)), Browse)
    assert reason(take(nested(256))) is Reason.TOO_DEEP


def test_brackets_inside_strings_do_not_count_as_nesting(take, view):
    assert isinstance(take(view | {"note": '[{\\"' * 10_000}), Browse)


def test_settings_refuse_a_format_for_a_topic_without_events():
    with pytest.raises(ValueError, match=r"catalog\.items; only events\.browse"):
        IngestSettings(formats={"catalog.items": "ga4"})
