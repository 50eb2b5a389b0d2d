import pytest

from models.quality.monitor.contract import ContractError, judged, rules
from models.quality.profile import Profile
from schemas.checks import Status

SOURCES = frozenset({"events.browse"})
WINDOW = Profile(
    source="events.browse",
    partitions=[0],
    start_ms=0,
    width_ms=60_000,
    n_accepted=190,
    n_duplicates=19,
    shapes={"Browse": 190},
    absent={"price": 38},
    rejected={"out_of_range": 10},
    invalid={"price": 6},
)


def contract(quality, field=None):
    entry = {"name": "events.browse"}
    entry |= {"properties": [{"name": field, "quality": quality}]} if field else {"quality": quality}
    return {"apiVersion": "v3.1.0", "kind": "DataContract", "schema": [entry]}


@pytest.mark.parametrize(
    ("given", "field", "value", "status"),
    [
        ({"metric": "rowCount", "mustBeGreaterThan": 100}, None, 200, Status.PASS),
        ({"metric": "rowCount", "mustBeBetween": [1, 199]}, None, 200, Status.FAIL),
        ({"metric": "duplicateValues", "mustBeLessThan": 10, "unit": "percent"}, None, 10, Status.FAIL),
        ({"metric": "duplicateValues", "mustBeLessOrEqualTo": 10, "unit": "percent"}, None, 10, Status.PASS),
        ({"metric": "nullValues", "mustBeLessThan": 30, "unit": "percent"}, "price", 20, Status.PASS),
        ({"metric": "nullValues", "mustBe": 0, "severity": "warning"}, "price", 38, Status.WARN),
        ({"metric": "invalidValues", "mustBe": 0}, "price", 6, Status.FAIL),
        ({"metric": "invalidValues", "mustNotBe": 10}, None, 10, Status.FAIL),
        ({"metric": "freshness", "mustBeLessThan": 30}, None, 0, Status.PASS),
    ],
)
def test_a_rule_is_judged_on_a_window(given, field, value, status):
    (rule,) = rules(contract([given], field), SOURCES)
    result = judged(rule, WINDOW)
    assert (result.value, result.status, result.field) == (value, status, field or "")


def test_rules_in_words_are_left_to_people():
    assert rules(contract([{"type": "text", "description": "prices include VAT"}]), SOURCES) == []


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("text", "schema: a list"),
        ({"schema": [{"name": "orders"}]}, "'orders' is no source"),
        (contract([{"metric": "rowCount"}]), "exactly one of mustBe"),
        (contract([{"metric": "mean", "mustBe": 1}]), "metric 'mean' is not judged"),
        (contract([{"metric": "nullValues", "mustBe": 1}]), "for a property"),
        (contract([{"metric": "rowCount", "mustBe": "many"}]), "takes 1 number, not 'many'"),
        (contract([{"metric": "rowCount", "mustBeBetween": [1]}]), "takes 2 numbers"),
        (contract([{"metric": "rowCount", "mustBe": 1, "unit": "dozen"}]), "unit 'dozen'"),
        (contract([{"metric": "nullValues", "mustBe": 1}], "colour"), "'colour' is no field"),
        (contract(["nullValues"]), "an object is expected"),
    ],
)
def test_what_is_not_understood_is_named(broken, message):
    with pytest.raises(ContractError, match=message):
        rules(broken, SOURCES)
