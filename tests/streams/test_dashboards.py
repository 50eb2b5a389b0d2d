"""Dashboards and alert rules: as generated, of metrics that exist, and each alert tested and in the runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_tools import tool

from streams.dashboards.catalogue import DASHBOARDS
from streams.dashboards.draw import draw
from streams.dashboards.rules import prometheus_rule
from streams.metrics_page import rows

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"]: rule for group in GROUPS for rule in group["rules"] if "record" in rule}
TARGET = {"job", "instance"}
FOREIGN = {"ALERTS": {"alertname", "alertstate"}, "up": set()}
"""Series of Prometheus itself, with their labels."""
PROCESS = ("resident_memory_bytes", "open_fds", "max_fds", "cpu_seconds_total", "start_time_seconds")
QUERIES = [
    pytest.param(query.expr, id=f"{board.name}: {panel.title}")
    for board in DASHBOARDS
    for row in board.rows
    for panel in row.panels
    for query in panel.queries
]
EXPRESSIONS = [
    pytest.param(rule["expr"], id=rule.get("alert", rule.get("record")))
    for rule in (*ALERTS, *RECORDED.values())
]


def labels_by_series() -> dict[str, set[str]]:
    known: dict[str, set[str]] = {name: TARGET | labels for name, labels in FOREIGN.items()}
    known |= {f"process_{name}": TARGET for name in PROCESS}
    known |= {name: set() for name in RECORDED}
    for row in rows():
        labels = TARGET | set(row.labels)
        if row.type == "histogram":
            known |= {f"{row.name}_bucket": labels | {"le"}, f"{row.name}_sum": labels}
            known[f"{row.name}_count"] = labels
        else:
            known[row.name] = labels
    return known


KNOWN = labels_by_series()


def parsed(expr: str) -> Any:
    return promql_parser.parse(expr.replace("$__rate_interval", "5m").replace("$__range", "1h"))


def selectors(expr: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(parsed(expr), visit)
    return found


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.name)
def test_the_committed_dashboard_is_what_is_generated(board: Any) -> None:
    path = ROOT / "deploy" / "grafana" / f"{board.name}.json"
    assert path.read_text(encoding="utf-8") == draw(board), "run: make docs"


def test_every_dashboard_that_is_committed_is_generated() -> None:
    committed = {path.stem for path in (ROOT / "deploy" / "grafana").glob("*.json")}
    assert committed == {board.name for board in DASHBOARDS}


@pytest.mark.parametrize("expr", [*QUERIES, *EXPRESSIONS])
def test_series_and_the_labels_that_select_them_exist(expr: str) -> None:
    found = selectors(expr)
    for each in found:
        assert each.name in KNOWN
        assert {matcher.name for matcher in each.matchers.matchers} <= KNOWN[each.name]
    assert found or expr.startswith("vector")


@pytest.mark.parametrize("expr", QUERIES)
def test_labels_that_remain_are_those_of_the_series(expr: str) -> None:
    kept = {label for group in re.findall(r"\bby \(([^)]*)\)", expr) for label in group.split(", ")}
    assert kept <= set().union(*(KNOWN[each.name] for each in selectors(expr)))


def test_legends_name_labels_that_remain() -> None:
    for board in DASHBOARDS:
        for panel in (panel for row in board.rows for panel in row.panels):
            for query in panel.queries:
                shown = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
                assert shown <= set().union(*(KNOWN[each.name] for each in selectors(query.expr)))


def test_panels_of_a_dashboard_have_names_and_data_sources_of_their_own() -> None:
    for board in DASHBOARDS:
        drawn = json.loads(draw(board))
        panels = [panel for panel in drawn["panels"] if panel["type"] != "row"]
        assert len({panel["title"] for panel in panels}) == len(panels)
        assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
        assert drawn["uid"] == board.name


def test_every_alert_is_tested_and_says_how_urgent_it_is_and_what_to_do() -> None:
    tests = yaml.safe_load((RULES.parent / "alerts.test.yml").read_text())["tests"]
    tested = {test["alertname"] for each in tests for test in each.get("alert_rule_test", [])}
    anchors = re.findall(r"^## (Rillet\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert tested == {alert["alert"] for alert in ALERTS} == set(anchors)
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["annotations"]["summary"]


def promtool(*arguments: str) -> None:
    ended = subprocess.run([tool("promtool"), *arguments], cwd=RULES.parent, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_rules_fire_when_they_should_and_not_otherwise() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


def test_prometheus_accepts_its_settings() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_kubernetes_is_given_the_same_rules_and_dashboards() -> None:
    resource = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "alerts.yaml"
    assert resource.read_text(encoding="utf-8") == prometheus_rule(RULES.read_text()), "run: make docs"
    (generator,) = yaml.safe_load((ROOT / "deploy" / "grafana" / "kustomization.yaml").read_text())[
        "configMapGenerator"
    ]
    assert generator["files"] == sorted(f"{board.name}.json" for board in DASHBOARDS)
