"""``rillet state`` reads users' states from the changelog, as recovery would, without a worker."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from chaos import WorkerProcess, wait_for
from confluent_kafka import Producer

from models.interest.codec import encode
from models.interest.fold import fold
from models.interest.settings import InterestSettings
from models.interest.state import State
from schemas import topics
from schemas.events import Browse, Line, Purchase, Search
from streams import broker, errors
from streams.cli import run
from streams.engine.state import OFFSET_KEY, free
from streams.kafka_admin import ensure
from streams.settings import Settings, load

HOUR_MS = 3_600_000
NOW_MS = 1_790_000_000_000


def state(user: str, n: int = 1) -> bytes:
    """Of a user who looked at ``n`` items."""
    made = State()
    for i in range(n):
        event = Browse(
            event_id=f"b{i}", user_id=user, time_ms=NOW_MS + i, item_id=f"item{i}", category="shoes"
        )
        fold(made, [(topics.BROWSE, 0, i, event)], InterestSettings())
    return encode(made)


class Changelog:
    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(dict(settings.kafka.producer()))
        self._topic = topics.changelogs(settings.worker.app_id)[0].name

    def write(self, *values: tuple[str, bytes | None]) -> None:
        for user, value in values:
            self._producer.produce(self._topic, value, free(user.encode()))
        assert self._producer.flush(20) == 0


@pytest.fixture
def changelog(
    kafka: broker.KafkaBroker, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Changelog:
    """That of an application of the test's own."""
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("RILLET_APP_ID", unique("app"))
    settings = load()
    ensure(settings)
    return Changelog(settings)


def test_a_user_is_shown_with_what_was_seen_bought_and_searched(
    changelog: Changelog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = State()
    events = [
        Browse(event_id="e1", user_id="u", time_ms=NOW_MS, item_id="boot", category="shoes", price=50.0),
        Search(event_id="e2", user_id="u", time_ms=NOW_MS, query="red boot"),
        Purchase(event_id="e3", user_id="u", time_ms=NOW_MS, lines=[Line(item_id="boot", price=50.0)]),
    ]
    for offset, event in enumerate(events):
        fold(made, [(topics.of_event(event), 0, offset, event)], InterestSettings())
    changelog.write(("someone", state("someone")), ("u", state("u")), ("u", encode(made)))
    before = dict(zip(made.categories.keys, _weights(made), strict=True))["shoes"]
    monkeypatch.setattr("streams.commands.state.time.time_ns", lambda: (NOW_MS + 4 * HOUR_MS) * 1_000_000)

    assert run(["state", "show", "u", "--json"]) == errors.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["user_id"], told["n_events"]) == ("u", 3)
    assert "boot" in told["bought"]
    assert [sorted(search["query"].split()) for search in told["searches"]] == [["boot", "red"]]
    assert {"item": "boot", "kind": "view"}.items() <= told["recents"][-1].items()
    # half-lives of 15 minutes, 4 hours and 14 days, 4 hours later: 1/2^16, 1/2 and nearly all of it
    assert told["categories"]["shoes"] == pytest.approx(
        [before[0] / 2**16, before[1] / 2, before[2] * 2 ** (-4 / 336)], rel=1e-3
    )

    assert run(["state", "show", "u"]) == errors.OK
    text = capsys.readouterr().out
    assert all(word in text for word in ("n_events", "boot", "shoes", "events.purchase-0"))


def _weights(made: State) -> list[list[float]]:
    from models.interest.state import decayed

    return decayed(made.categories, NOW_MS, InterestSettings()).tolist()


def test_a_user_that_is_not_known_or_was_removed_ends_with_1(
    changelog: Changelog, capsys: pytest.CaptureFixture[str]
) -> None:
    changelog.write(("gone", state("gone")), ("gone", None))
    for user in ("gone", "never"):
        assert run(["state", "show", user]) == errors.FOUND
        assert f"nothing is remembered of {user!r}" in capsys.readouterr().err


def test_a_value_that_a_ghost_wrote_behind_a_newer_one_is_left_out(
    changelog: Changelog, capsys: pytest.CaptureFixture[str]
) -> None:
    changelog.write(("u", state("u", n=3)), ("u", state("u", n=2)))
    assert run(["state", "show", "u", "--json"]) == errors.OK
    assert json.loads(capsys.readouterr().out)["n_events"] == 3


def test_all_users_are_exported_each_once_with_their_newest_state(
    changelog: Changelog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = OFFSET_KEY.decode()  # the key under which Faust keeps its own: stored under another
    changelog.write(*((f"u{n}", state(f"u{n}")) for n in range(50)))
    changelog.write(("u7", state("u7", n=4)), ("u8", None), (odd, state(odd)))
    assert run(["state", "export", str(tmp_path / "states.jsonl")]) == errors.OK
    rows = [json.loads(line) for line in (tmp_path / "states.jsonl").read_text().splitlines()]
    n_events = {row["user_id"]: row["n_events"] for row in rows}
    assert n_events == {f"u{n}": 1 for n in range(50) if n != 8} | {"u7": 4, odd: 1}
    assert len(rows) == 50
    assert "50 users" in capsys.readouterr().err


def test_a_missing_changelog_is_told_with_the_way_out(
    kafka: broker.KafkaBroker,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("RILLET_APP_ID", unique("nobody"))
    assert run(["state", "show", "u"]) == errors.USAGE
    assert "RILLET_APP_ID" in capsys.readouterr().err


def test_what_a_worker_remembers_is_shown(
    changelog: Changelog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load()
    event = Browse(
        event_id="e1", user_id="u", time_ms=int(time.time() * 1000), item_id="boot", category="shoes"
    )
    producer = Producer(dict(settings.kafka.producer()))
    producer.produce(topics.BROWSE, msgspec.json.encode(event), b"u")
    assert producer.flush(20) == 0

    def remembered() -> bool:
        return run(["state", "show", "u", "--json"]) == errors.OK

    with WorkerProcess(settings.kafka.bootstrap_servers, settings.worker.app_id, "w1", tmp_path) as worker:
        worker.start()
        wait_for(remembered, "the state is in the changelog", worker=worker)
    told = json.loads(capsys.readouterr().out)
    assert (told["n_events"], told["recents"][0]["item"]) == (1, "boot")
    assert list(told["categories"]) == ["shoes"]
