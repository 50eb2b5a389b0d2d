"""What is done about failing checks: begun with the window that fails, over with the one that is good again."""

from typing import Any

import pytest

from models.quality.action_settings import ActionSettings
from models.quality.actions import MAX_ENDED, Sanction, Sanctions
from models.quality.monitor.monitor import Judged
from schemas import topics
from schemas.checks import Action, Alert, CheckReport, CheckResult, Status


def judged(check: str, field: str, status: Status, start_ms: int, before: Status = Status.PASS) -> Judged:
    result = CheckResult(
        check=check,
        dimension="d",
        field=field,
        status=status,
        value=1.0,
        low=None,
        high=None,
        n=9,
        evidence="",
    )
    window: dict[str, Any] = {"window_start_ms": start_ms, "window_end_ms": start_ms + 60}
    report = CheckReport(source=topics.BROWSE, n_events=9, status=status, checks=[result], **window)
    alert = Alert(alert_id="a", source=topics.BROWSE, before=before, result=result, **window)
    return Judged(report, [alert])


def told(sanctions: Sanctions, each: Judged) -> Action | None:
    return sanctions.heard(each).alerts[0].action


def test_a_field_is_blank_from_the_window_that_fails_until_it_is_good_again() -> None:
    sanctions = Sanctions(ActionSettings(act="apply"))
    assert told(sanctions, judged("drift", "lines.price", Status.FAIL, 600)) == Action(
        kind="blank", field="price", state="done", since_ms=600, until_ms=None
    )
    (held,) = sanctions.in_force
    assert held == Sanction("blank", topics.BROWSE, "price", 600)
    assert (held.covers(topics.BROWSE, 600), held.covers(topics.BROWSE, 599)) == (True, False)
    assert not held.covers(topics.SEARCH, 600)
    assert told(sanctions, judged("drift", "lines.price", Status.PASS, 900, Status.FAIL)) == Action(
        kind="blank", field="price", state="undone", since_ms=600, until_ms=960
    )
    assert sanctions.going_on == []
    assert sanctions.in_force == [Sanction("blank", topics.BROWSE, "price", 600, 960)], "for what comes late"


def test_checks_of_a_source_quarantine_or_weigh_it() -> None:
    settings = ActionSettings(act="apply", quarantine=("contract",), weigh=("rejected",))
    sanctions = Sanctions(settings)
    sanctions.heard(judged("contract: rowCount mustBe 1", "", Status.FAIL, 0))
    sanctions.heard(judged("rejected", "", Status.FAIL, 0))
    assert [each.kind for each in sanctions.in_force] == ["quarantine", "weigh"]


@pytest.mark.parametrize(("check", "field"), [("drift", "dwell_ms"), ("volume", ""), ("hot_key", "user_id")])
def test_other_checks_are_only_told_of(check: str, field: str) -> None:
    sanctions = Sanctions(ActionSettings(act="apply"))
    assert told(sanctions, judged(check, field, Status.FAIL, 0)) is None
    assert told(sanctions, judged(check, field, Status.PASS, 60, Status.FAIL)) is None
    assert sanctions.in_force == []


def test_a_warning_is_no_reason() -> None:
    assert told(Sanctions(ActionSettings(act="apply")), judged("drift", "price", Status.WARN, 0)) is None


def test_by_default_it_is_proposed_and_nothing_is_done() -> None:
    sanctions = Sanctions(ActionSettings())
    action = told(sanctions, judged("agreement", "category", Status.FAIL, 0))
    assert action
    assert action.state == "proposed"
    assert sanctions.in_force == []
    action = told(sanctions, judged("agreement", "category", Status.PASS, 60, Status.FAIL))
    assert action
    assert (action.state, action.until_ms) == ("withdrawn", 120)


def test_off_says_nothing() -> None:
    assert told(Sanctions(ActionSettings(act="off")), judged("drift", "price", Status.FAIL, 0)) is None


def test_workers_that_hear_the_same_do_the_same_and_what_is_over_is_bounded() -> None:
    here, there = (Sanctions(ActionSettings(act="apply")) for _ in range(2))
    for number in range(2 * MAX_ENDED):
        for each in (here, there):
            each.heard(judged("drift", "price", Status.FAIL, 120 * number))
            each.heard(judged("drift", "price", Status.PASS, 120 * number + 60, Status.FAIL))
    assert here.in_force == there.in_force
    assert len(here.in_force) == MAX_ENDED
