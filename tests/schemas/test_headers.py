from schemas import headers
from schemas.rejections import Reason, Rejection


def test_cloudevents_attributes_follow_the_kafka_binding():
    built = headers.cloudevent(
        event_id="e1", event_type="shop.browse", source="/shop", time_ms=1_732_270_000_007
    )
    assert dict(built) == {
        "ce_specversion": b"1.0",
        "ce_id": b"e1",
        "ce_type": b"shop.browse",
        "ce_source": b"/shop",
        "ce_time": b"2024-11-22T10:06:40.007Z",
        "content-type": b"application/json",
    }


def test_times_before_1970_have_headers_too():
    built = headers.cloudevent(event_id="e", event_type="t", source="/s", time_ms=-1)
    assert dict(built)["ce_time"] == b"1969-12-31T23:59:59.999Z"


def test_dead_letter_headers_are_named_as_kafka_streams_names_them():
    rejection = Rejection(Reason.BAD_ID, "$.user_id is 'ä '")
    built = headers.dead_letter(
        rejection, topic="events.browse", partition=3, offset=9, timestamp_ms=-1, attempt=1
    )
    assert dict(built) == {
        "__streams.errors.exception": b"Rejection",
        "__streams.errors.message": "$.user_id is 'ä '".encode(),
        "__streams.errors.topic": b"events.browse",
        "__streams.errors.partition": b"3",
        "__streams.errors.offset": b"9",
        "rillet.reason": b"bad_id",
        "rillet.attempt": b"1",
        "rillet.timestamp-ms": b"-1",
    }


def test_slate_headers_let_a_reader_drop_repeats_without_decoding():
    built = headers.slate(
        slate_id="events.browse-0-41", event_id="e1", model_version="2", event_time_ms=5, processed_ms=9
    )
    assert dict(built) == {
        "rillet.slate-id": b"events.browse-0-41",
        "rillet.event-id": b"e1",
        "rillet.model-version": b"2",
        "rillet.event-time-ms": b"5",
        "rillet.processed-ms": b"9",
    }
