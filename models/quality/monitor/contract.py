"""Rules that a contract declares: the library metrics of ODCS v3.1 ``quality``, judged on each window.

::

    apiVersion: v3.1.0
    kind: DataContract
    schema:
      - name: events.browse
        quality:
          - {metric: rowCount, mustBeGreaterThan: 10}
          - {metric: duplicateValues, mustBeLessThan: 1, unit: percent}
          - {metric: freshness, mustBeLessThan: 30}
        properties:
          - name: price
            quality:
              - {metric: nullValues, mustBeLessThan: 5, unit: percent}
              - {metric: invalidValues, mustBe: 0}

``freshness`` is not of ODCS: the median lag of the window, seconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from models.quality.fields import PATHS, SHAPES
from models.quality.lag import quantile_s
from models.quality.profile import Profile
from schemas.checks import CheckResult, Status

ROWS: Final = "rows"
PERCENT: Final = "percent"
DIMENSIONS: Final[Mapping[str, str]] = {
    "nullValues": "completeness",
    "invalidValues": "validity",
    "duplicateValues": "uniqueness",
    "rowCount": "volume",
    "freshness": "timeliness",
}
OF_FIELD: Final = ("nullValues",)
OPERATORS: Final = (
    "mustBe",
    "mustNotBe",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
SEVERITIES: Final = {"warning": Status.WARN, "info": Status.WARN}


class ContractError(ValueError):
    """A contract that cannot be judged by."""


class Rule(NamedTuple):
    """One rule on a source, or on a field of it."""

    source: str
    field: str
    metric: str
    unit: str
    operator: str
    bounds: tuple[float, ...]
    broken: Status
    """What a window is that breaks it."""
    name: str


def rules(contract: object, sources: frozenset[str]) -> list[Rule]:
    """The rules of a contract that was parsed from YAML.

    Raises:
        ContractError: it names what is not understood, and where.
    """
    if not isinstance(contract, dict) or not isinstance(contract.get("schema"), list):
        raise ContractError("schema: a list of objects is expected, as in ODCS v3.1")
    found: list[Rule] = []
    for place, entry in enumerate(contract["schema"]):
        where = f"schema[{place}]"
        if not isinstance(entry, dict):
            raise ContractError(f"{where}: an object is expected")
        source = entry.get("physicalName", entry.get("name"))
        if source not in sources:
            raise ContractError(f"{where}: {source!r} is no source; those are {', '.join(sorted(sources))}")
        found += _rules_of(entry, str(source), "", where)
        for number, of_field in enumerate(entry.get("properties") or ()):
            there = f"{where}.properties[{number}]"
            path = of_field.get("name") if isinstance(of_field, dict) else None
            if path not in PATHS:
                raise ContractError(f"{there}: {path!r} is no field of an event")
            found += _rules_of(of_field, str(source), str(path), there)
    return found


def _rules_of(entry: Mapping[str, Any], source: str, field: str, where: str) -> Iterator[Rule]:
    for number, given in enumerate(entry.get("quality") or ()):
        there = f"{where}.quality[{number}]"
        if not isinstance(given, dict):
            raise ContractError(f"{there}: an object is expected")
        if given.get("type", "library") == "text":
            continue
        yield _rule(given, source, field, there)


def _rule(given: Mapping[str, Any], source: str, field: str, where: str) -> Rule:
    metric = given.get("metric", given.get("rule"))
    if metric not in DIMENSIONS:
        raise ContractError(f"{where}: metric {metric!r} is not judged; those are {', '.join(DIMENSIONS)}")
    if metric in OF_FIELD and not field:
        raise ContractError(f"{where}: {metric} is for a property, not for a whole source")
    unit = given.get("unit", ROWS)
    if unit not in (ROWS, PERCENT):
        raise ContractError(f"{where}: unit {unit!r} is neither {ROWS} nor {PERCENT}")
    operators = [name for name in OPERATORS if name in given]
    if len(operators) != 1:
        raise ContractError(f"{where}: exactly one of {', '.join(OPERATORS)} is needed")
    (operator,) = operators
    asked = given[operator]
    bounds = asked if isinstance(asked, list) else [asked]
    n_bounds = 2 if operator.endswith("Between") else 1
    if len(bounds) != n_bounds or not all(isinstance(b, int | float) for b in bounds):
        raise ContractError(
            f"{where}: {operator} takes {n_bounds} number{'s' * (n_bounds > 1)}, not {asked!r}"
        )
    broken = SEVERITIES.get(str(given.get("severity")), Status.FAIL)
    name = str(given.get("name") or f"{metric} {operator} {asked}{' %' * (unit == PERCENT)}")
    return Rule(source, field, metric, unit, operator, tuple(map(float, bounds)), broken, name)


def judged(rule: Rule, window: Profile) -> CheckResult:
    """The rule in one window; one with nothing to judge passes."""
    n_bad, n = _counted(rule, window)
    value = 100.0 * n_bad / n if rule.unit == PERCENT and n else n_bad
    kept = _keeps(rule, value) if n or rule.metric == "rowCount" else True
    low, high = _range(rule)
    return CheckResult(
        check=f"contract: {rule.name}",
        dimension=DIMENSIONS[rule.metric],
        field=rule.field,
        status=Status.PASS if kept else rule.broken,
        value=value,
        low=low,
        high=high,
        n=n,
        evidence="declared in the contract",
    )


def _counted(rule: Rule, window: Profile) -> tuple[float, int]:
    """What the metric counts, and out of how many."""
    if rule.metric == "nullValues":
        n = sum(
            n
            for name, n in window.shapes.items()
            if name in SHAPES and any(path == rule.field for _, path, _ in SHAPES[name].optional)
        )
        return window.absent.get(rule.field, 0), n
    if rule.metric == "invalidValues":
        return window.invalid.get(rule.field, 0) if rule.field else window.n_rejected, window.n_events
    if rule.metric == "duplicateValues":
        return window.n_duplicates, window.n_accepted
    if rule.metric == "freshness":
        return quantile_s(window.lag, 0.5) or 0.0, window.n_accepted
    return window.n_events, window.n_events


def _keeps(rule: Rule, value: float) -> bool:
    first, last = rule.bounds[0], rule.bounds[-1]
    return {
        "mustBe": value == first,
        "mustNotBe": value != first,
        "mustBeLessThan": value < first,
        "mustBeLessOrEqualTo": value <= first,
        "mustBeGreaterThan": value > first,
        "mustBeGreaterOrEqualTo": value >= first,
        "mustBeBetween": first <= value <= last,
        "mustNotBeBetween": not first <= value <= last,
    }[rule.operator]


def _range(rule: Rule) -> tuple[float | None, float | None]:
    if rule.operator in ("mustBe", "mustBeBetween"):
        return rule.bounds[0], rule.bounds[-1]
    if "Less" in rule.operator:
        return None, rule.bounds[0]
    return (rule.bounds[0], None) if "Greater" in rule.operator else (None, None)
