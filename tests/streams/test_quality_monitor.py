"""Windows on ``metrics.quality`` become checks and alerts, once, whoever tells; and ``rillet quality`` shows them."""

import asyncio
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from chaos import read_all

from models.quality.action_settings import ActionSettings
from models.quality.actions import Sanctions
from models.quality.monitor.contract import rules
from models.quality.monitor.settings import MonitorSettings
from models.quality.profile import Profile
from models.quality.report import report
from models.quality.sketch import N_NUMBER_BINS, add_numbers
from schemas import topics
from schemas.audit import AuditEntry
from schemas.checks import Action, Alert, CheckReport, Status
from streams import errors
from streams.cli import run
from streams.engine.outbox import Outbox
from streams.errors import SettingsError
from streams.follow import Follower
from streams.kafka_admin import ensure
from streams.quality_contract import declared
from streams.quality_monitor import QualityMonitor
from streams.settings import Settings, load

SETTINGS = MonitorSettings(warm_up_windows=10)
MINUTE_MS = 60_000
N_WINDOWS, N_JUDGED = 30, 28
RULE = {"metric": "rowCount", "mustBeGreaterThan": 100}
RULES = rules({"schema": [{"name": topics.BROWSE, "quality": [RULE]}]}, frozenset(topics.BEHAVIOUR))


def window(number: int, partition: int) -> bytes:
    """1,000 prices around 20; from the 26th window on they are in cents."""
    rng = np.random.default_rng((number, partition))
    prices = [0] * N_NUMBER_BINS
    add_numbers(prices, (np.exp(rng.normal(3, 1, 1_000)) * (100 if number >= 25 else 1)).tolist())
    lag = [0] * 92
    lag[20] = 1_000
    profile = Profile(
        source=topics.BROWSE,
        partitions=[partition],
        start_ms=number * MINUTE_MS,
        width_ms=MINUTE_MS,
        n_accepted=1_000,
        shapes={"Browse": 1_000},
        lag=lag,
        numbers={"price": prices},
    )
    return msgspec.json.encode(report([profile]))


@pytest.fixture
def settings(embedded: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    settings = load()
    ensure(settings)
    return settings


class Teller:
    """A monitor that follows the topics, as a worker runs it."""

    def __init__(self, settings: Settings, *, leads: bool) -> None:
        conf = settings.kafka.client_conf()
        self.outbox = Outbox(conf)
        self.monitor = QualityMonitor(
            SETTINGS, RULES, self.outbox, lambda: leads, Sanctions(ActionSettings(act="apply"))
        )
        self.follower = Follower(conf, [topics.QUALITY, topics.CHECKS], self.monitor.apply, self.fail)

    def fail(self, error: BaseException) -> None:
        raise error

    async def run(self) -> None:
        """Catch up, and tell what is untold."""
        self.follower.start()
        await self.follower.caught_up
        await self.monitor.tell()

    def close(self) -> None:
        self.follower.stop()
        self.outbox.close()


def told(settings: Settings) -> tuple[list[CheckReport], list[Alert]]:
    servers = settings.kafka.bootstrap_servers
    return (
        [msgspec.json.decode(m.value(), type=CheckReport) for m in read_all(servers, topics.CHECKS)],
        [msgspec.json.decode(m.value(), type=Alert) for m in read_all(servers, topics.ALERTS)],
    )


@pytest.fixture
def judged(settings: Settings) -> Settings:
    outbox = Outbox(settings.kafka.client_conf())

    async def send() -> None:
        parcel = outbox.parcel()
        for number in range(N_WINDOWS):
            for partition in (0, 1):
                parcel.add(topics.QUALITY, topics.BROWSE.encode(), window(number, partition))
        parcel.add(topics.QUALITY, b"x", b"{}")
        parcel.seal()
        await parcel.delivered

    async def judge() -> None:
        await send()
        teller = Teller(settings, leads=True)
        await teller.run()
        await asyncio.to_thread(teller.close)

    asyncio.run(judge())
    outbox.close()
    return settings


def test_windows_of_all_partitions_are_judged_and_a_change_of_status_is_an_alert(judged: Settings) -> None:
    reports, alerts = told(judged)
    assert [each.window_start_ms // MINUTE_MS for each in reports] == list(range(N_JUDGED))
    assert {each.n_events for each in reports} == {2_000}
    assert [each.status for each in reports] == [Status.PASS] * 25 + [Status.FAIL] * 3
    assert {(a.result.check, a.result.field, a.before, a.result.status) for a in alerts} == {
        ("drift", "price", Status.PASS, Status.FAIL),
        ("shift", "price", Status.PASS, Status.FAIL),
    }
    assert {check.check for check in reports[0].checks} >= {
        "volume",
        "contract: rowCount mustBeGreaterThan 100",
    }


def test_what_is_done_about_it_is_told_with_the_alert_and_on_the_audit_log(judged: Settings) -> None:
    since_ms = 25 * MINUTE_MS  # the first window in cents
    _, alerts = told(judged)
    blank = Action(kind="blank", field="price", state="done", since_ms=since_ms, until_ms=None)
    assert {alert.action for alert in alerts} == {blank}
    values = (m.value() for m in read_all(judged.kafka.bootstrap_servers, topics.AUDIT))
    entries = [msgspec.json.decode(value, type=AuditEntry) for value in values]
    assert {(each.actor, each.action, each.subject) for each in entries} == {
        ("quality monitor", "blank", "events.browse/price")
    }
    assert all(f"events from {since_ms} ms on" in each.detail for each in entries)


def test_who_takes_over_tells_nothing_twice(judged: Settings) -> None:
    before = told(judged)

    async def take_over() -> None:
        teller = Teller(judged, leads=True)
        await teller.run()
        await asyncio.to_thread(teller.close)

    asyncio.run(take_over())
    assert told(judged) == before


def test_the_command_shows_what_fails_why_and_since_when(
    judged: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["quality", "report", "--since", "beginning"]) == errors.FOUND
    out = capsys.readouterr().out
    assert "events.browse" in out
    assert "fail 2/" in out
    assert "drift price" in out
    assert (
        run(["quality", "explain", "drift", "price", "--since", "beginning", "--json", "--last", "4"])
        == errors.OK
    )
    found = json.loads(capsys.readouterr().out)
    assert [each["checks"][0]["status"] for each in found] == ["pass", "fail", "fail", "fail"]
    assert run(["quality", "explain", "drift", "price", "--since", "beginning"]) == errors.OK
    assert "PSI" in capsys.readouterr().out
    assert run(["quality", "watch", "--since", "beginning", "--limit", "1"]) == errors.OK
    out = capsys.readouterr().out
    assert "pass to fail" in out
    assert "done: blank price from" in out
    assert run(["quality", "explain", "nothing", "--since", "beginning"]) == errors.USAGE
    assert "has a check 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "schema: 1", "a: &a [*a]"])
def test_a_contract_that_cannot_be_judged_by_is_a_refused_setting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop.odcs.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"shop\.odcs\.yaml"):
        declared(str(path))
