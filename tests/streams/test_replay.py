"""A log arrives on the topics once, whole, in order, however often its replay is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chaos import WorkerProcess, wait_for
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.events import Browse
from streams import broker, cli, kafka_admin
from streams.errors import BrokerRefusedError, InputError
from streams.log import Log, Logged
from streams.replay.bookmark import Bookmark, Place, bookmark, key_of
from streams.replay.confirmed import ConfirmedSender
from streams.replay.pace import Pace, shift_ms, speed_of
from streams.replay.run import Replay
from streams.settings import KafkaSettings, Settings

READY_S = 20.0
AT_MS = 1_700_000_000_000
MAPPING = """
[columns]
user = "user"
item = "item"
[time]
column = "time"
format = "ms"
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """Writes a log of so many events, a second apart, of so many users."""

    def write(n: int, users: int = 50) -> Path:
        (tmp_path / "shop.toml").write_text(MAPPING)
        rows = (f"u{at % users},{at},{AT_MS + 1_000 * at}\n" for at in range(n))
        path = tmp_path / "clicks.csv"
        path.write_text("user,item,time\n" + "".join(rows))
        return path

    return write


def replay(path: Path, *options: str) -> int:
    return cli.run(["replay", str(path), "--mapping", str(path.with_name("shop.toml")), "--json", *options])


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def records(bootstrap_servers: str, n: int, topic: str = topics.BROWSE) -> list[Message]:
    """What lies on the topic, at least ``n`` records, and any more that come with them."""
    consumer = Consumer(KafkaSettings(bootstrap_servers=bootstrap_servers).consumer())
    partitions = consumer.list_topics(topic, timeout=READY_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    held = sum(
        consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=READY_S)[1] for p in partitions
    )
    assert held >= n
    found: list[Message] = []
    deadline = time.monotonic() + READY_S
    while len(found) < held and time.monotonic() < deadline:
        found += [message for message in consumer.consume(10_000, 0.2) if not message.error()]
    consumer.close()
    return found


def events(messages: Sequence[Message]) -> list[Browse]:
    return [msgspec.json.decode(message.value(), type=Browse) for message in messages]


def test_events_arrive_keyed_by_user_stamped_with_their_time_in_order(
    embedded: str,
    log: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    assert replay(log(3_000)) == 0
    summary = said(capsys)
    assert (summary["events"], summary["complete"], summary["mapping"]) == (3_000, True, "shop")
    found = records(embedded, 3_000)
    assert len(found) == 3_000
    for message, event in zip(found, events(found), strict=True):
        assert message.key().decode() == event.user_id
        assert message.timestamp()[1] == event.time_ms
    of_one = [event.time_ms for event in events(found) if event.user_id == "u7"]
    assert of_one == sorted(of_one)


def test_a_log_that_was_sent_is_not_sent_again_unless_asked(
    embedded: str,
    log: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    path = log(100)
    sent = []
    for options in ([], [], ["--restart"]):
        assert replay(path, *options) == 0
        sent.append(said(capsys)["events"])
    assert sent == [100, 0, 100]
    ids = Counter(event.event_id for event in events(records(embedded, 200)))
    assert set(ids.values()) == {2}, "ids are the same at every run"


def test_shifted_to_now_the_last_event_happens_now(
    embedded: str,
    log: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    before_ms = time.time() * 1_000
    assert replay(log(100), "--shift", "now") == 0
    times = sorted(event.time_ms for event in events(records(embedded, 100)))
    assert before_ms - 1 <= times[-1] <= time.time() * 1_000
    assert times[-1] - times[0] == 99_000
    assert said(capsys)["shift_ms"] == times[0] - AT_MS


class BreakdownError(Exception):
    """The process is gone."""


class Recorder:
    """Stands for the broker: delivers at once, and breaks down after so many events."""

    def __init__(self, topic: list[Logged], room: int) -> None:
        self._topic = topic
        self._room = room
        self.n_confirmed = 0

    def send(self, parcel: Sequence[Logged]) -> None:
        fitting = parcel[: self._room]
        self._topic += fitting
        self._room -= len(fitting)
        if len(fitting) < len(parcel):
            raise BreakdownError
        self.n_confirmed += len(parcel)

    def poll(self, _: float) -> None: ...

    def flush(self) -> None: ...


@given(
    users=st.lists(st.sampled_from("abc"), min_size=1, max_size=300),
    rooms=st.lists(st.integers(0, 120), max_size=6),
    saves=st.booleans(),
)
def test_however_often_it_dies_nothing_is_lost_and_the_worker_can_know_what_came_twice(
    tmp_path_factory: pytest.TempPathFactory, users: list[str], rooms: list[int], saves: bool
) -> None:
    max_per_user = 10
    logged = [
        Logged(topics.BROWSE, Browse(event_id=f"e{n}", user_id=user, time_ms=AT_MS + n, item_id="1"), ("1",))
        for n, user in enumerate(users)
    ]
    mark = Bookmark(tmp_path_factory.mktemp("state") / "mark.json")
    if not saves:  # killed: the bookmark of the breakdown is never written
        mark.write(Place())
    topic: list[Logged] = []
    for room in [*rooms, 10_000]:
        before = mark.read()
        run = Replay(
            Recorder(topic, room),  # type: ignore[arg-type]
            mark,
            before,
            Pace(None),
            max_per_user=max_per_user,
        )
        with suppress(BreakdownError):
            assert run.run(iter(logged)).complete
    assert mark.read().done
    seen: dict[str, list[str]] = {}
    kept = []
    for each in topic:  # as the worker does: what is among a user's last events is a duplicate
        last = seen.setdefault(each.event.user_id, [])
        if each.event.event_id not in last[-max_per_user:]:
            kept.append(each.event.event_id)
            last.append(each.event.event_id)
    by_user = {user: [e for e in kept if logged[int(e[1:])].event.user_id == user] for user in set(users)}
    for user, ids in by_user.items():
        assert ids == [each.event.event_id for each in logged if each.event.user_id == user]


def test_a_stop_ends_after_the_parcel_and_the_next_run_goes_on(
    tmp_path: Path, log: Callable[..., Path]
) -> None:
    path = log(1_200)
    logged = list(Log(path, str(path.with_name("shop.toml"))))
    mark = Bookmark(tmp_path / "mark.json")
    topic: list[Logged] = []

    def run(stop_after: int) -> Replay:
        each = Replay(
            Recorder(topic, 10_000),  # type: ignore[arg-type]
            mark,
            mark.read(),
            Pace(None),
            max_per_user=1_000,
            on_sent=lambda sent: each.stop() if sent.n_sent >= stop_after else None,
        )
        each.run(iter(logged))
        return each

    first = run(600)
    assert not first.replayed.complete
    assert mark.read().n_events == len(topic) == 1_000  # two parcels of 500
    second = run(10_000)
    assert (second.replayed.n_before, second.replayed.n_sent, second.replayed.complete) == (1_000, 200, True)
    assert topic == logged


def test_asked_to_stop_before_anything_is_sent_it_stops_at_once(tmp_path: Path) -> None:
    run = Replay(
        Recorder([], 0),  # type: ignore[arg-type]
        Bookmark(tmp_path / "mark.json"),
        Place(),
        Pace(None),
        max_per_user=10,
    )
    with pytest.raises(KeyboardInterrupt):
        run.stop()


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("realtime", 1.0), ("60x", 60.0), ("0.5x", 0.5)])
def test_speeds_are_read(text: str, speed: float | None) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["fast", "0x", "-1x", "60"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="60x"):
        speed_of(text)


def test_an_event_waits_for_the_clock_of_the_log() -> None:
    pace = Pace(60.0)
    assert pace.wait_s(AT_MS, now_s=10.0) == 0.0
    # A minute later in the log is a second later here.
    assert pace.wait_s(AT_MS + 60_000, now_s=10.25) == pytest.approx(0.75)
    assert pace.wait_s(AT_MS + 60_000, now_s=11.5) < 0
    assert Pace(None).wait_s(AT_MS, now_s=0.0) == 0.0


@pytest.mark.parametrize(
    ("speed", "shift"),
    [
        (None, 5_000 - 1_600),  # all at once: the last one, at 1,600, happens at 5,000
        (1.0, 5_000 - 1_000),  # the first one now, and so each when it is sent
        (6.0, 5_000 + 100 - 1_600),  # 600 ms of the log take 100 ms
    ],
)
def test_no_event_is_shifted_beyond_the_moment_at_which_it_is_sent(speed: float | None, shift: int) -> None:
    assert shift_ms(1_000, 1_600, speed, now_ms=5_000) == shift


def test_bookmarks_differ_by_log_mapping_shift_and_cluster(tmp_path: Path, log: Callable[..., Path]) -> None:
    path = log(10)
    mapping = str(path.with_name("shop.toml"))
    keys = {key_of(Log(path, mapping), shift, cluster) for shift in ("keep", "now") for cluster in "ab"}
    path.with_name("shop.toml").write_text(MAPPING.replace('"ms"', '"number"'))
    keys.add(key_of(Log(path, mapping), "keep", "a"))
    log(11)
    keys.add(key_of(Log(path, mapping), "keep", "a"))
    assert len(keys) == 6
    assert key_of(Log(path, mapping), "keep", "a") in keys


def test_one_log_is_replayed_by_one_process_at_a_time() -> None:
    with (
        bookmark("k"),
        pytest.raises(InputError, match="by another process"),
        bookmark("k"),
    ):
        pass


def test_a_damaged_bookmark_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "mark.json").write_text("{")
    assert Bookmark(tmp_path / "mark.json").read() == Place()


def test_a_refused_event_is_an_error_with_a_way_out(embedded: str) -> None:
    conf = {**KafkaSettings(bootstrap_servers="127.0.0.1:1").producer(), "message.timeout.ms": 300}
    sender = ConfirmedSender(conf)
    sender.send(
        [Logged(topics.BROWSE, Browse(event_id="e", user_id="u", time_ms=AT_MS, item_id="1"), ("1",))]
    )
    with pytest.raises(BrokerRefusedError, match="see whether the broker is up"):
        sender.flush()
    assert sender.n_confirmed == 0


@pytest.fixture
def settings(own_kafka: broker.KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", own_kafka.bootstrap_servers)
    return Settings(kafka=KafkaSettings(bootstrap_servers=own_kafka.bootstrap_servers))


@contextmanager
def replaying(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A replay of 2,000 s of a log in 10 s, by a process of its own."""
    command = [sys.executable, "-m", "streams.cli", "replay", str(path), "--json", "--speed", "200x"]
    command += ["--mapping", str(path.with_name("shop.toml"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as running:
        yield running
        running.kill()


def n_noted(state: Path) -> int:
    """Events that the bookmark counts as delivered."""
    files = list(state.glob("rillet/replay/*.json"))
    return Bookmark(files[0]).read().n_events if files else 0


def test_on_real_kafka_an_interrupted_replay_goes_on_without_duplicates(
    settings: Settings,
    state: Path,
    log: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    wait_until: Callable[..., None],
) -> None:
    path = log(2_000)
    assert replay(path) == 3
    assert "rillet topics create" in capsys.readouterr().err
    kafka_admin.ensure(settings)
    with replaying(path) as running:
        wait_until(lambda: n_noted(state))
        running.send_signal(signal.SIGINT)
        first = json.loads(running.communicate(timeout=30)[0])
    assert running.returncode == 1
    assert not first["complete"]
    assert 0 < first["events"] == n_noted(state) < 2_000
    assert replay(path) == 0
    told = capsys.readouterr()
    assert "older than the topics keep them, 28 days" in told.err
    second = json.loads(told.out)
    assert (second["events_before"], second["complete"]) == (first["events"], True)
    ids = [event.event_id for event in events(records(settings.kafka.bootstrap_servers, 2_000))]
    assert sorted(ids) == sorted(f"shop-clicks-{n}" for n in range(2_000))


def test_on_real_kafka_a_killed_replay_loses_nothing_and_repeats_little(
    settings: Settings, state: Path, log: Callable[..., Path], wait_until: Callable[..., None]
) -> None:
    kafka_admin.ensure(settings)
    path = log(2_000)
    with replaying(path) as running:
        wait_until(lambda: n_noted(state))
    assert running.returncode == -signal.SIGKILL
    assert replay(path) == 0
    ids = Counter(event.event_id for event in events(records(settings.kafka.bootstrap_servers, 2_000)))
    assert set(ids) == {f"shop-clicks-{n}" for n in range(2_000)}
    assert ids.total() < 2_400, "more than two seconds of it were sent again"


def test_a_worker_counts_each_event_of_a_killed_replay_once(
    settings: Settings,
    state: Path,
    log: Callable[..., Path],
    wait_until: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RILLET_APP_ID", "replayed")
    states = tmp_path / "states.jsonl"

    def n_folded() -> int:
        assert cli.run(["state", "export", str(states)]) == 0
        return sum(json.loads(line)["n_events"] for line in states.read_text().splitlines())

    path = log(2_000)
    with WorkerProcess(settings.kafka.bootstrap_servers, "replayed", "w1", tmp_path).start() as worker:
        wait_for(worker.ready, "the worker is ready", worker=worker)
        for _ in range(2):
            with replaying(path) as running:
                noted = n_noted(state)
                wait_until(lambda noted=noted: n_noted(state) > noted)
            assert running.returncode == -signal.SIGKILL
        assert replay(path) == 0
        n_sent = len(records(settings.kafka.bootstrap_servers, 2_000))
        taken = 'rillet_records_total{topic="events.browse"}'
        wait_for(lambda: worker.metrics().get(taken, 0) >= n_sent, "all is taken", worker=worker)
        wait_for(lambda: n_folded() >= 2_000, "all is folded", worker=worker)
    assert n_folded() == 2_000


def test_a_broker_that_dies_and_comes_back_is_waited_for(
    own_kafka: broker.KafkaBroker,
    settings: Settings,
    state: Path,
    log: Callable[..., Path],
    wait_until: Callable[..., None],
) -> None:
    kafka_admin.ensure(settings)
    with replaying(log(2_000)) as running:
        wait_until(lambda: n_noted(state))
        own_kafka.kill()
        own_kafka.start()
        summary = json.loads(running.communicate(timeout=60)[0])
    assert (summary["events"], summary["complete"]) == (2_000, True)
    found = events(records(settings.kafka.bootstrap_servers, 2_000))
    # Producers of old records are forgotten by a broker that dies, so that it may take some events twice.
    once = list({event.event_id: event for event in found}.values())
    assert {event.event_id for event in once} == {f"shop-clicks-{n}" for n in range(2_000)}
    for user in ("u0", "u31"):
        times = [event.time_ms for event in once if event.user_id == user]
        assert times == sorted(times)
