"""``rillet watch`` prints what comes on a topic, for eyes or for programs, and ends with 0."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import Producer

from models.ingest.dead_letter import bury
from models.ingest.record import Rejected
from schemas import topics
from schemas.outputs import ReasonCode, Slate, SlateItem
from schemas.rejections import Reason, Rejection
from streams import errors
from streams.cli import run
from streams.follow import FollowedRecord
from streams.kafka_admin import ensure
from streams.publish import slate_record
from streams.settings import load

SLATE = Slate(
    slate_id="events.browse-0-7",
    user_id="u1",
    items=[SlateItem("shoe", 0.75, [ReasonCode("covisitation", 0.6, "sock"), ReasonCode("trending", 0.4)])],
    event_id="e7",
    event_time_ms=0,
    processed_ms=0,
    model_version="test",
)


@pytest.fixture
def send(embedded: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    settings = load()
    ensure(settings)
    producer = Producer(dict(settings.kafka.producer()))

    def write(
        topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        producer.produce(topic, value, key, headers=headers or [], timestamp=1_700_000_000_000)
        assert producer.flush(20) == 0

    return write


def test_a_slate_is_a_short_block_with_its_reasons(
    send: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    topic, key, value, own = slate_record(SLATE)
    send(topic, key, value, own)
    assert run(["watch", topic, "--user", "u1", "--from-beginning", "--limit", "1"]) == errors.OK
    head, what, item = capsys.readouterr().out.splitlines()
    assert head.startswith("2023-11-14 22:13:20.000  recommendations.user/")
    assert head.endswith("@0  u1")
    assert what == "  1 items after event e7 (events.browse-0-7)"
    assert item == "    1. shoe  0.75  covisitation 60% by sock, trending 40%"


def test_json_is_one_record_a_line(send: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    topic, key, value, own = slate_record(SLATE)
    send(topic, key, value, own)
    send(topic, key, None)
    assert run(["watch", topic, "--from-beginning", "--limit", "2", "--json"]) == errors.OK
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["key"], first["offset"], first["value"]["slate_id"]) == ("u1", 0, "events.browse-0-7")
    assert second["value"] is None


def test_dead_letters_and_events_can_be_watched_and_cannot_steer_the_terminal(
    send: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    record = FollowedRecord(topics.BROWSE, 2, 41, 0, b"u\x1b[31m", b"{", ())
    letter = bury(Rejected(record, Rejection(Reason.BROKEN_JSON, "at byte 1")))
    send(letter.topic, letter.key or b"", letter.value, letter.headers)
    send(topics.BROWSE, b"u1", msgspec.json.encode({"item_id": "shoe"}))
    assert run(["watch", letter.topic, "--from-beginning", "--limit", "1"]) == errors.OK
    told = capsys.readouterr().out
    assert "broken_json: at byte 1\n  from events.browse/2@41, attempt 1" in told
    assert "\x1b" not in told
    assert run(["watch", topics.BROWSE, "--user", "u1", "--from-beginning", "--limit", "1"]) == errors.OK
    assert capsys.readouterr().out.splitlines()[1] == '  {"item_id":"shoe"}'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "Known are: events.browse"),
        ([topics.INTERACTIONS], "no topic 'knowledge.interactions' to follow"),
        ([topics.TRENDING, "--user", "u1"], "not keyed by user"),
        ([topics.SLATES, "--since", "1h", "--from-beginning"], "exclude each other"),
        ([topics.SLATES, "--since", "soon"], "'soon' is no time"),
    ],
)
def test_what_makes_no_sense_ends_with_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["watch", *arguments]) == errors.USAGE
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_0(send: Callable[..., None], number: signal.Signals) -> None:
    topic, key, value, own = slate_record(SLATE)
    send(topic, key, value, own)
    command = [sys.executable, "-m", "streams.cli", "watch", topic, "--from-beginning", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["key"] == "u1"
        process.send_signal(number)
        assert process.wait(20) == errors.OK
