"""``rillet models`` on a real broker: what was announced, which serves, and how that is changed by hand."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer

from schemas import topics
from schemas.audit import AuditEntry
from schemas.snapshots import About, NextOffset
from streams import errors
from streams.broker import KafkaBroker
from streams.cli import run
from streams.interest_states import Changelog
from streams.kafka_admin import ensure
from streams.settings import load
from streams.snapshots.decide import versions
from streams.snapshots.settings import SnapshotSettings
from streams.snapshots.store import Part, SnapshotStore
from streams.snapshots.versions import VersionRecord

ABOUT = About(
    model="embedding",
    features=2,
    settings={"dim": 4},
    offsets=[NextOffset(topic=topics.INTERACTIONS, partition=0, offset=4_711)],
)


class Trainer:
    """Writes and announces; the same arrays, other losses."""

    def __init__(self, folder: Path) -> None:
        self.store = SnapshotStore(SnapshotSettings(url=str(folder)))
        self._producer = Producer({**load().kafka.producer(), "log_level": 0})

    def announce(self, loss: float) -> str:
        model = Part({"vectors": np.zeros((3, 4), np.float32)}, {"items": ["a", "b", "c"]})
        about = msgspec.structs.replace(ABOUT, metrics={"loss": loss})
        version = self.store.write(model, about).version
        self.tell(VersionRecord.of(self.store.announcement(version)))
        return version

    def tell(self, record: VersionRecord) -> None:
        self._producer.produce(record.topic, record.value, record.key)
        assert self._producer.flush(20) == 0


@pytest.fixture
def trainer(own_broker: None, tmp_path: Path) -> Trainer:
    return Trainer(tmp_path)


@pytest.fixture(params=["kafka", "embedded"])
def own_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose topics nobody else writes to."""
    kind = "own_kafka" if request.param == "kafka" else "embedded"
    started: KafkaBroker | str = request.getfixturevalue(kind)
    servers = started if isinstance(started, str) else started.bootstrap_servers
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", servers)
    ensure(load())


def audited() -> list[AuditEntry]:
    with Changelog(load(), topics.AUDIT) as log:
        return [msgspec.json.decode(each.value or b"", type=AuditEntry) for each in log.read()]


def test_versions_are_listed_shown_promoted_and_rolled_back(
    trainer: Trainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path)]

    def told(*arguments: str, expected: int = errors.OK) -> str:
        capsys.readouterr()
        assert run(["models", *arguments]) == expected, capsys.readouterr().err
        captured = capsys.readouterr()
        return captured.out if expected == errors.OK and captured.out else captured.err

    # nothing there yet
    assert "no version was announced yet" in told("list")
    assert json.loads(told("list", "--json")) == []
    assert "No version serves yet" in told("show", expected=errors.USAGE)
    assert "there are: none" in told("rollback", expected=errors.USAGE)

    one, two, three = (trainer.announce(loss) for loss in (6.5, 6.25, 7.0))
    lines = told("list").splitlines()
    assert lines[0].split() == ["version", "written", "MB", "loss"]
    assert [(line.split()[0], line.split()[-1]) for line in lines[1:]] == [
        (three, "7"),
        (two, "6.25"),
        (one, "6.5"),
    ]

    # promotions reach the topic and the audit log
    assert f"{one} serves from now on" in told("promote", one, *store)
    assert f"{one} serves already" in told("promote", one, *store)
    assert re.search(rf"^{one} +serves ", told("list"), re.MULTILINE)
    assert "pinned" in told("promote", one, *store, "--pin")
    assert versions(load()).is_pinned
    assert re.search(rf"^{one} +pinned ", told("list"), re.MULTILINE)
    told("promote", two, *store, "--reason", "lower loss")
    assert not versions(load()).is_pinned
    told("promote", three, *store)
    assert versions(load()).protected == {three, two}
    listed = json.loads(told("list", "--json"))
    assert [(each["version"], each["serves"]) for each in listed] == [
        (three, True),
        (two, False),
        (one, False),
    ]

    # a broken one serves neither by promotion nor by rollback
    (tmp_path / two / "model.safetensors").write_bytes(b"")
    message = told("rollback", *store, expected=errors.FAULT)
    assert re.search(rf"{two}/model\.safetensors is broken(.|\n)*fix: .*rillet models list", message)
    assert json.loads(told("show", "--json", *store))["version"] == three

    # back to the latest that is still there
    trainer.tell(VersionRecord.retraction(two))
    told("rollback", *store, "--reason", "worse")
    shown = json.loads(told("show", "--json", *store))
    assert (shown["version"], shown["metrics"], shown["serves"]["detail"]) == (one, {"loss": 6.5}, "worse")
    text = told("show", *store)
    assert re.search(rf"^version +{one}$", text, re.MULTILINE)
    assert re.search(r"^serves +pinned since .*Z, rillet models: worse$", text, re.MULTILINE)
    assert re.search(r"^read to, knowledge\.interactions-0 +4,711$", text, re.MULTILINE)
    assert re.search(r"^ids of items +3$", text, re.MULTILINE)
    assert re.search(r"^vectors +float32 +\[3, 4\]$", text, re.MULTILINE)
    assert "none was promoted before" in told("rollback", *store, expected=errors.USAGE)

    assert [(each.action, each.subject, each.detail) for each in audited()] == [
        ("promotion", "embedding", f"{one}: by hand"),
        ("promotion", "embedding", f"{one}, pinned: by hand"),
        ("promotion", "embedding", f"{two} after {one}: lower loss"),
        ("promotion", "embedding", f"{three} after {two}: by hand"),
        ("rollback", "embedding", f"{one}, pinned: worse"),
    ]
    assert {each.actor for each in audited()} == {"rillet models"}

    # what is not there is told with what is
    for command in (["show", two], ["promote", two], ["promote", "nonsense"]):
        message = told(*command, *store, expected=errors.USAGE)
        assert f"there are: {three}, {one}" in message
    message = told("show", three, "--store", str(tmp_path / "elsewhere"), expected=errors.FAULT)
    assert re.search(rf"no version {three} in .*elsewhere(.|\n)*--store", message)


def test_the_help_tells_the_two_commands_apart(capsys: pytest.CaptureFixture[str]) -> None:
    helps: list[str] = []
    for name in ("model", "models"):
        assert run([name, "--help"]) == 0
        helps.append(" ".join(capsys.readouterr().out.split()))
    assert "`rillet models`" in helps[0]
    assert "`rillet model`" in helps[1]


def test_a_broker_that_is_away_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(["models", "list"]) == errors.BROKER
    assert "fix:" in capsys.readouterr().err


def test_a_missing_topic_is_told(
    kafka: KafkaBroker,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    unique: Callable[[str], str],
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setattr("schemas.topics.VERSIONS", unique("absent"))
    assert run(["models", "list"]) == errors.USAGE
    assert "rillet topics create" in capsys.readouterr().err
