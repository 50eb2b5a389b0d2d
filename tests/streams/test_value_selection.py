"""Reports of all workers on ``metrics.value`` make one of them propose, flag, and begin a challenger that all have."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chaos import WorkerProcess, read_all, wait_for

from models.learn.learning import Learning
from models.learn.without import name_of
from models.path import Path as PurePath
from models.value.selection_settings import SelectionSettings
from models.value.settings import ValueSettings
from schemas import topics
from schemas.audit import AuditEntry
from schemas.checks import Alert, Status
from schemas.value import Value, ValueReport
from streams import errors
from streams.cli import run
from streams.engine.outbox import Outbox
from streams.follow import Follower
from streams.kafka_admin import ensure
from streams.settings import Settings, load
from streams.value_selection import ValueSelection

SELECTION = SelectionSettings(min_windows=4, min_lists=400, windows=4)
HARMFUL = name_of("signal", "price")


def window(number: int, price: float) -> bytes:
    """Of 200 lists: history is worth much, searches nothing, prices what is given."""
    values = {"history": (0.2, 0.01), "search": (0.0, 0.0001), "price": (price, 0.001)}
    told = [
        Value(player=player, metric="ndcg", value=value, value_error=error, left_out=0.0, left_out_error=0.0)
        for player, (value, error) in values.items()
    ]
    report = ValueReport(
        of="signal",
        window_start_ms=number * 1_000,
        window_end_ms=number * 1_000 + 1_000,
        n=200,
        k=20,
        all_in={"ndcg": 0.5},
        none_in={"ndcg": 0.0},
        values=told,
        worker=f"w{number % 2}",
    )
    return msgspec.json.encode(report)


@pytest.fixture
def settings(embedded: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    settings = load()
    ensure(settings)
    return settings


class Worker:
    """What a worker runs of the selection, over a learn stage of its own."""

    def __init__(self, settings: Settings, *, leads: bool, **changed: Any) -> None:
        self.conf = settings.kafka.client_conf()
        learning = PurePath(settings.path()).learning
        assert learning
        self.learning: Learning = learning
        value = ValueSettings(act="apply", selection=SELECTION).model_copy(update=changed)
        self.outbox = Outbox(self.conf)
        self.selection = ValueSelection(value, learning, self.outbox, lambda: leads, "w1")

    async def follow(self) -> None:
        """Catch up with what is there, and act."""
        for topic, apply in ((topics.VALUE, self.selection.apply), (topics.AUDIT, self.selection.heard)):
            follower = Follower(self.conf, [topic], apply, self.fail)
            follower.start()
            await follower.caught_up
            await asyncio.to_thread(follower.stop)
        await self.selection.act()

    async def send(self, *windows: bytes) -> None:
        parcel = self.outbox.parcel()
        for each in windows:
            parcel.add(topics.VALUE, b"signal", each)
        parcel.seal()
        await parcel.delivered

    def fail(self, error: BaseException) -> None:
        raise error


def audit(settings: Settings, skipped: bytes = b"") -> list[tuple[str, str, str]]:
    values = (m.value() for m in read_all(settings.kafka.bootstrap_servers, topics.AUDIT))
    entries = [msgspec.json.decode(value, type=AuditEntry) for value in values if value != skipped]
    return sorted((each.action, each.subject, each.detail.partition(":")[0]) for each in entries)


def alerts(settings: Settings) -> list[Alert]:
    values = (m.value() for m in read_all(settings.kafka.bootstrap_servers, topics.ALERTS))
    return [msgspec.json.decode(value, type=Alert) for value in values]


def test_what_harms_is_flagged_tried_without_and_told_when_it_is_over(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        leader = Worker(settings, leads=True)
        await leader.send(b"{}", *(window(number, price=-0.02) for number in range(4)))
        await leader.follow()
        await leader.selection.act()  # nothing is new
        assert leader.learning.trials == [HARMFUL]
        other = PurePath(settings.path()).learning
        assert other
        for key, value in leader.learning.records():
            other.heard(key, value)
        assert other.trials == [HARMFUL]
        leader.outbox.close()

    asyncio.run(work())
    assert audit(settings) == [
        ("drop", "signal/search", "proposed"),
        ("flag", "signal/price", "proposed"),
        ("trial", HARMFUL, "begun against listwise"),
    ]
    (alert,) = alerts(settings)
    assert (alert.source, alert.result.check, alert.result.field) == ("signal", "value", "price")
    assert (alert.before, alert.result.status, alert.result.n) == (Status.PASS, Status.FAIL, 800)
    assert alert.result.value == pytest.approx(-0.02)
    assert "on 800 lists from 0 to 4000 ms" in alert.result.evidence

    command = ["value", "--by", "signal", "--since", "beginning", "--propose"]
    assert run(command) == errors.OK
    assert "by 800 lists; it takes 2,000" in capsys.readouterr().err
    assert run([*command, "--set", "value.selection.min_lists=400"]) == errors.FOUND
    said = capsys.readouterr().out
    assert "price harms: NDCG -0.02000" in said
    assert "search is worth nothing: NDCG +0.00000" in said


def test_what_gets_better_is_withdrawn(settings: Settings) -> None:
    async def work() -> None:
        leader = Worker(settings, leads=True, act="propose")
        await leader.send(*(window(number, price=-0.02) for number in range(4)))
        await leader.follow()
        await leader.send(*(window(number, price=0.05) for number in range(4, 8)))
        await leader.follow()
        leader.outbox.close()

    asyncio.run(work())
    assert ("flag", "signal/price", "withdrawn") in audit(settings)
    assert [(each.before, each.result.status) for each in alerts(settings)] == [
        (Status.PASS, Status.FAIL),
        (Status.FAIL, Status.PASS),
    ]


def test_unless_it_may_apply_nothing_competes(settings: Settings) -> None:
    async def work() -> None:
        leader = Worker(settings, leads=True, act="propose")
        await leader.send(*(window(number, price=-0.02) for number in range(4)))
        await leader.follow()
        assert leader.learning.trials == []
        assert leader.learning.records() == []
        leader.outbox.close()

    asyncio.run(work())
    assert [action for action, *_ in audit(settings)] == ["drop", "flag"]


def test_a_challenger_that_does_not_take_over_is_given_up_and_not_tried_again_at_once(
    settings: Settings,
) -> None:
    async def work() -> None:
        short = SELECTION.model_copy(update={"max_lists": 1})
        leader = Worker(settings, leads=True, selection=short)
        await leader.send(*(window(number, price=-0.02) for number in range(4)))
        await leader.follow()
        contest = leader.learning.contests[HARMFUL]
        leader.learning.contests[HARMFUL] = contest._replace(n=1.0, total=-0.1)
        await leader.selection.act()
        assert leader.learning.trials == [name_of("signal", "search")]
        leader.outbox.close()

    asyncio.run(work())
    assert [each for each in audit(settings) if each[0] == "trial"] == [
        ("trial", HARMFUL, "begun against listwise"),
        ("trial", HARMFUL, "ended"),
        ("trial", name_of("signal", "search"), "begun against listwise"),
    ]


def test_another_leader_tells_nothing_twice_and_withdraws_what_is_over(settings: Settings) -> None:
    async def work() -> None:
        first = Worker(settings, leads=True, act="propose")
        await first.send(*(window(number, price=-0.02) for number in range(4)))
        await first.follow()
        first.outbox.close()
        second = Worker(settings, leads=True, act="propose")
        parcel = second.outbox.parcel()
        parcel.add(topics.AUDIT, b"", b"no entry")
        parcel.seal()
        await parcel.delivered
        await second.follow()
        assert len(alerts(settings)) == 1
        await second.send(*(window(number, price=0.05) for number in range(4, 8)))
        second.outbox.close()
        third = Worker(settings, leads=True, act="propose")
        await third.follow()
        third.outbox.close()

    asyncio.run(work())
    assert audit(settings, skipped=b"no entry") == [
        ("drop", "signal/search", "proposed"),
        ("flag", "signal/price", "proposed"),
        ("flag", "signal/price", "withdrawn"),
    ]
    begun, over = alerts(settings)
    assert (begun.result.status, over.result.status) == (Status.FAIL, Status.PASS)
    assert begun.alert_id == over.alert_id
    assert (over.result.n, over.window_end_ms) == (800, 4_000)


def test_another_leader_tries_nothing_again_too_early(settings: Settings) -> None:
    trials: list[list[str]] = []
    only = SELECTION.model_copy(update={"again_s": 5.0, "worth": -0.01})

    async def work() -> None:
        first = Worker(settings, leads=True, selection=only)
        await first.send(*(window(number, price=-0.02) for number in range(4)))
        await first.follow()
        trials.append(first.learning.trials)
        first.outbox.close()
        for numbers in (range(4, 8), range(8, 9)):
            later = Worker(settings, leads=True, selection=only)
            await later.send(*(window(number, price=-0.02) for number in numbers))
            await later.follow()
            trials.append(later.learning.trials)
            later.outbox.close()

    asyncio.run(work())
    # It was tried by windows that end at 4 s; those that end at 8 s are 4 s later, those at 9 s are 5 s later.
    assert trials == [[HARMFUL], [], [HARMFUL]]


def test_who_has_just_begun_to_lead_waits_a_turn(settings: Settings) -> None:
    async def work() -> None:
        worker = Worker(settings, leads=True, act="propose", report_s=0.01)
        asked = 0

        def leads() -> bool:
            nonlocal asked
            asked += 1
            return asked != 2

        selection = ValueSelection(
            ValueSettings(act="propose", report_s=0.01), worker.learning, worker.outbox, leads, "w1"
        )
        acted: list[int] = []
        acting = selection.act

        async def act() -> None:
            acted.append(asked)
            await acting()

        selection.act = act  # type: ignore[method-assign]
        running = asyncio.create_task(selection.run())
        while not acted:
            await asyncio.sleep(0.01)
        running.cancel()
        worker.outbox.close()
        assert acted[0] == 4, "it led at first and lost it, and has led twice in a row only now"

    asyncio.run(work())


def test_a_worker_that_is_started_again_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    extra = {
        "RILLET_VALUE__REPORT_S": "0.2",
        "RILLET_VALUE__SELECTION__MIN_WINDOWS": "4",
        "RILLET_VALUE__SELECTION__MIN_LISTS": "400",
        "RILLET_VALUE__SELECTION__WINDOWS": "4",
    }
    servers, shop = settings.kafka.bootstrap_servers, Worker(settings, leads=False)
    with WorkerProcess(servers, "app", "w1", tmp_path, extra).start() as worker:
        wait_for(worker.ready, "it is ready", worker=worker)
        asyncio.run(shop.send(*(window(number, price=-0.02) for number in range(4))))
        wait_for(lambda: len(audit(settings)) >= 2, "both are told of", worker=worker)
    with WorkerProcess(servers, "app", "w1", tmp_path, extra).start() as worker:
        wait_for(worker.ready, "it is ready again", worker=worker)
        asyncio.run(shop.send(*(window(number, price=0.05) for number in range(4, 8))))
        wait_for(lambda: len(alerts(settings)) == 2, "it is told that it is over", worker=worker)
    shop.outbox.close()
    assert audit(settings) == [
        ("drop", "signal/search", "proposed"),
        ("flag", "signal/price", "proposed"),
        ("flag", "signal/price", "withdrawn"),
    ]
