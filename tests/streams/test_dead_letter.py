"""Refused records can be found, looked at, and sent back as they were."""

import io
import json
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from schemas import headers, topics
from schemas.rejections import Reason, Rejection
from streams import broker
from streams.cli import run
from streams.commands.dead_letter import printable, since_ms
from streams.dead_letter import DeadLetters, Filter, replay
from streams.errors import InputError
from streams.follow import FollowedRecord
from streams.kafka_admin import ensure
from streams.settings import KafkaSettings, load

NOW_MS = 1_700_000_000_000
REFUSED = b'{"event_id": "e1", \x1b[31m\xff'


def refused(
    *,
    topic: str = topics.BROWSE,
    reason: Reason = Reason.BROKEN_JSON,
    attempts_before: int = 0,
    offset: int = 41,
) -> Rejected:
    own = [("trace", b"t-1"), *([(headers.ATTEMPT, b"%d" % attempts_before)] if attempts_before else [])]
    record = FollowedRecord(topic, 2, offset, NOW_MS, b"user-1", REFUSED, own)
    return Rejected(record, Rejection(reason, "at byte 19"))


def bury_all(kafka: KafkaSettings, letters: list[Rejected]) -> None:
    producer = Producer(dict(kafka.producer()))
    for rejected in letters:
        letter = bury(rejected)
        producer.produce(letter.topic, letter.value, letter.key, headers=letter.headers)
    assert producer.flush(20) == 0


def read_all(kafka: KafkaSettings, topic: str, n_records: int) -> list[Message]:
    consumer = Consumer({**kafka.consumer(), "group.id": "check"})
    consumer.subscribe([topic])
    try:
        return consumer.consume(n_records, timeout=20)
    finally:
        consumer.close()


def n_records(kafka: KafkaSettings, topic: str) -> int:
    consumer = Consumer({**kafka.consumer(), "group.id": "check"})
    try:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in range(4))
    finally:
        consumer.close()


@pytest.fixture
def local(embedded: str, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """An embedded broker with the catalogue's topics, which commands use too."""
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    settings = load()
    ensure(settings)
    return settings.kafka


def test_letters_are_picked_by_reason_and_source(local: KafkaSettings) -> None:
    bury_all(local, [refused(), refused(reason=Reason.TOO_LATE), refused(topic=topics.SEARCH)])
    with DeadLetters(local) as letters:
        assert len(list(letters.select(Filter()))) == 3
        assert len(list(letters.select(Filter(reason="too_late")))) == 1
        assert len(list(letters.select(Filter(topic=topics.SEARCH)))) == 1
        assert list(letters.select(Filter(reason="too_late", topic=topics.SEARCH))) == []


def test_letters_are_picked_by_time(
    kafka: broker.KafkaBroker, unique: Callable[[str], str], wait_until: Callable[..., None]
) -> None:
    settings = load(environ={"RILLET_BOOTSTRAP_SERVERS": kafka.bootstrap_servers})
    ensure(settings)
    source = unique("source")
    bury_all(settings.kafka, [refused(topic=source), refused(topic=source)])
    with DeadLetters(settings.kafka) as letters:
        first, second = letters.select(Filter(topic=source))
        assert [each.offset for each in letters.select(Filter(topic=source, since_ms=first.refused_ms))] == [
            first.offset,
            second.offset,
        ]
        assert list(letters.select(Filter(topic=source, since_ms=second.refused_ms + 1))) == []


def test_a_replayed_record_is_the_original_and_counts_its_refusals(local: KafkaSettings) -> None:
    bury_all(local, [refused(attempts_before=1)])
    with DeadLetters(local) as letters:
        outcome = replay(local, (buried.letter for buried in letters.select(Filter())))
    assert outcome.sent == {topics.BROWSE: 1}
    (message,) = read_all(local, topics.BROWSE, 1)
    assert (message.key(), message.value()) == (b"user-1", REFUSED)
    assert message.timestamp()[1] == NOW_MS
    assert message.headers() == [("trace", b"t-1"), (headers.ATTEMPT, b"2")]


def test_letters_refused_too_often_stay(local: KafkaSettings) -> None:
    bury_all(local, [refused(attempts_before=2)])
    with DeadLetters(local) as letters:
        outcome = replay(local, [buried.letter for buried in letters.select(Filter())], max_attempts=3)
    assert (outcome.sent, outcome.exhausted) == ({}, 1)


def test_a_forged_source_is_not_written_to(local: KafkaSettings) -> None:
    bury_all(local, [refused(topic=topics.SLATES), refused(topic="elsewhere")])
    with DeadLetters(local) as letters:
        outcome = replay(local, [buried.letter for buried in letters.select(Filter())])
    assert (outcome.sent, outcome.homeless) == ({}, 2)


def test_a_dry_run_sends_nothing(local: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    bury_all(local, [refused()])
    assert run(["dead-letter", "replay", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == {topics.BROWSE: 1}
    assert run(["dead-letter", "replay", "--yes", "--json"]) == 0
    assert len(read_all(local, topics.BROWSE, 1)) == 1
    assert n_records(local, topics.BROWSE) == 1


@pytest.mark.parametrize(("answer", "exit_code", "sent"), [("n\n", 2, 0), ("", 2, 0), ("y\n", 0, 1)])
def test_replay_asks_first(
    local: KafkaSettings, monkeypatch: pytest.MonkeyPatch, answer: str, exit_code: int, sent: int
) -> None:
    bury_all(local, [refused()])
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert run(["dead-letter", "replay"]) == exit_code
    assert n_records(local, topics.BROWSE) == sent


def test_the_list_counts_and_shows_the_newest_first(
    local: KafkaSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    bury_all(local, [refused(), refused(reason=Reason.TOO_LATE), refused(reason=Reason.TOO_LATE)])
    assert run(["dead-letter", "list", "--limit", "2", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["by_topic"] == {topics.BROWSE: 3}
    assert listed["by_reason"] == {"broken_json": 1, "too_late": 2}
    assert [row["offset"] for row in listed["newest"]] == [2, 1]
    assert run(["dead-letter", "list"]) == 0
    assert "too_late" in capsys.readouterr().out


def test_show_tells_everything_and_cannot_steer_the_terminal(
    local: KafkaSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    bury_all(local, [refused()])
    with DeadLetters(local) as letters:
        (buried,) = letters.select(Filter())
    place = [str(buried.partition), str(buried.offset)]
    assert run(["dead-letter", "show", *place]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert all(text in shown for text in ("broken_json", "at byte 19", "user-1", "t-1", topics.BROWSE, "41"))
    assert run(["dead-letter", "show", *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source_offset"] == 41
    with (
        pytest.raises(InputError, match="No dead letter lies at partition 3, offset 7"),
        DeadLetters(local) as it,
    ):
        it.find(3, 7)


def test_records_of_others_in_the_topic_are_listed_and_left(
    local: KafkaSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    producer = Producer(dict(local.producer()))
    producer.produce(topics.DEAD_LETTER, b"?")
    assert producer.flush(20) == 0
    assert run(["dead-letter", "list", "--json"]) == 0
    assert "no dead letter of ours" in json.loads(capsys.readouterr().out)["newest"][0]["detail"]
    with DeadLetters(local) as letters:
        assert replay(local, [buried.letter for buried in letters.select(Filter())]).homeless == 1


def test_an_unknown_reason_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dead-letter", "list", "--reason", "bad"]) == 2
    assert "too_late" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("90s", NOW_MS - 90_000),
        ("2h", NOW_MS - 7_200_000),
        ("7d", NOW_MS - 604_800_000),
        ("1970-01-01T00:01Z", 60_000),
        ("1970-01-01T00:01", 60_000),
        ("1970-01-01T02:01+02:00", 60_000),
    ],
)
def test_since_takes_ages_and_times(text: str, expected_ms: int) -> None:
    assert since_ms(text, now_ms=NOW_MS) == expected_ms


def test_since_refuses_anything_else() -> None:
    with pytest.raises(InputError, match="'yesterday' is no time"):
        since_ms("yesterday", now_ms=NOW_MS)


def test_printable_keeps_text_and_escapes_the_rest() -> None:
    assert printable("naïve\tline\n\x1b[0m\u202e") == "naïve\tline\n\\x1b[0m\\u202e"
