from models.ingest.dead_letter import bury, exhume
from models.ingest.record import Rejected
from schemas import headers, topics
from schemas.rejections import Reason, Rejection

NAMES = ["exception", "message", "topic", "partition", "offset"]


def refused(record, value=b"\xff\x00", detail="byte 0: ä", **fields):
    return Rejected(record(value, **fields), Rejection(Reason.BROKEN_UTF8, detail))


def sent(record, outgoing):
    return record(outgoing.value, topic=outgoing.topic, key=outgoing.key, headers=outgoing.headers)


def test_key_value_and_headers_are_kept_verbatim_before_ours(record):
    own = [("traceparent", b"00"), ("x", None), ("x", b"\xff")]
    letter = bury(refused(record, key=b"\xfe", headers=own))
    assert (letter.topic, letter.key, letter.value) == (topics.DEAD_LETTER, b"\xfe", b"\xff\x00")
    assert letter.headers[:3] == own
    assert [name for name, _ in letter.headers[3:8]] == [f"__streams.errors.{each}" for each in NAMES]


def test_what_was_buried_is_read_back(record, now_ms):
    own = [("traceparent", b"00"), (headers.ERROR_TOPIC, b"of another system")]
    letter = exhume(sent(record, bury(refused(record, headers=own, partition=3, offset=9))))
    assert (letter.topic, letter.partition, letter.offset) == (topics.BROWSE, 3, 9)
    assert (letter.reason, letter.detail, letter.attempt) == ("broken_utf8", "byte 0: ä", 1)
    assert (letter.timestamp_ms, letter.headers) == (now_ms, own)


def test_a_replay_is_the_record_as_it_was_and_counts_attempts(record, now_ms):
    first = refused(record, headers=[("traceparent", b"00")])
    again = exhume(sent(record, bury(first))).replayed()
    assert again[:3] == (topics.BROWSE, b"u1", b"\xff\x00")
    assert again.headers == [("traceparent", b"00"), (headers.ATTEMPT, b"1")]
    assert again.timestamp_ms == now_ms
    second = Rejected(record(again.value, headers=again.headers), first.rejection)
    letter = exhume(sent(record, bury(second)))
    assert (letter.attempt, letter.headers) == (2, [("traceparent", b"00")])


def test_a_record_without_timestamp_is_replayed_with_a_new_one(record):
    assert exhume(sent(record, bury(refused(record, timestamp=-1)))).replayed().timestamp_ms is None


def test_a_tombstone_stays_a_tombstone(record):
    assert exhume(sent(record, bury(refused(record, value=None)))).replayed().value is None


def test_an_absurd_count_of_attempts_is_not_believed(record):
    for claimed in (b"9" * 5000, b"-1", b"", None, "²".encode()):
        letter = exhume(sent(record, bury(refused(record, headers=[(headers.ATTEMPT, claimed)]))))
        assert letter.attempt == 1


def test_what_is_no_dead_letter_of_ours_is_told(record):
    assert exhume(record(b"x")).reason is Reason.MISSING_FIELD
    letter = bury(refused(record))
    for name in (headers.ERROR_OFFSET, headers.ERROR_TOPIC):
        for value in (b"\xff", b"", None) if name == headers.ERROR_OFFSET else (b"\xff",):
            spoiled = [*letter.headers, (name, value)]
            assert exhume(record(b"x", headers=spoiled)).reason is Reason.WRONG_TYPE
