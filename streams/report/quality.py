"""The quality of the data: fields by dimension, scores over time, drift, alerts."""

from collections.abc import Iterator, Sequence
from typing import Final

from schemas.checks import Alert, CheckReport, CheckResult
from streams.evaluation_report.markup import Html, tag
from streams.report.gathered import N_STRETCHES, Gathered, Scored, time_of
from streams.report.parts import figure, hidden, marked, name, section, table, text
from streams.report.spark import spark

WHOLE: Final = "(the source)"
DIMENSIONS: Final = ("overall", "completeness", "validity", "uniqueness", "timeliness", "consistency")
RANK: Final = {"pass": 0, "warn": 1, "fail": 2}
DRIFT: Final = "distribution"
MOST_DRIFT: Final = 20
"""Curves of drift that are shown, those nearest to their limit."""


def sections(found: Gathered) -> Iterator[Html]:
    """Of the newest windows, and of all that were read."""
    newest = {each.source: each for each in found.checks}
    if newest:
        yield section("Quality now", *(_map(newest[source]) for source in sorted(newest)))
    if found.scored:
        yield section("Quality over time", _trends(found.scored))
    if drift := list(_drift(found.checks)):
        yield section("Drift", table("Nearest to their limit first", DRIFT_HEAD, drift, 3))
    if found.checks or found.alerts:
        yield section("Alerts", _alerts(found.alerts))


def _map(report: CheckReport) -> Html:
    """Fields by dimension: the worst check of each, with its figure."""
    dimensions = sorted({each.dimension for each in report.checks})
    fields = sorted({each.field for each in report.checks})
    rows = (
        [name(field or WHOLE), *(_worst(report.checks, field, dimension) for dimension in dimensions)]
        for field in fields
    )
    caption = f"{report.source}, {time_of(report.window_start_ms)} UTC, {report.n_events:,} events"
    return table(caption, ["field", *dimensions], rows)


def _worst(checks: Sequence[CheckResult], field: str, dimension: str) -> Html:
    of = [each for each in checks if (each.field, each.dimension) == (field, dimension)]
    if not of:
        return tag("td", "", class_="cell")
    worst = max(of, key=lambda each: RANK[each.status])
    why = "; ".join(f"{each.check} {each.status}: {each.value:.4g}, {_expected(each)}" for each in of)
    return marked(worst.status, f"{worst.value:.3g}", why)


def _trends(scored: Sequence[Scored]) -> Html:
    rows = []
    for source in sorted({each.source for each in scored}):
        mine = [each for each in scored if each.source == source]
        cells = [_trend(source, dimension, mine) for dimension in DIMENSIONS]
        rows.append([name(source), *cells])
    return table("Scores from 0 to 1 as curves, and the latest", ["source", *DIMENSIONS], rows)


def _trend(source: str, dimension: str, scored: Sequence[Scored]) -> Html:
    known = [(each.scores[dimension], each.n_events) for each in scored if dimension in each.scores]
    if not known:
        return figure("-")
    values = _thinned(known)
    says = f"{dimension} of {source}: from {values[0]:.3f} to {values[-1]:.3f}, at least {min(values):.3f}"
    return figure(spark(values, says), tag("small", f"{values[-1]:.3f}"))


def _thinned(known: Sequence[tuple[float, int]]) -> list[float]:
    """Means of so many stretches, weighted by events."""
    size = max(1, -(-len(known) // N_STRETCHES))
    parts = [known[at : at + size] for at in range(0, len(known), size)]
    return [
        sum(value * n for value, n in part) / n_all if (n_all := sum(n for _, n in part)) else part[-1][0]
        for part in parts
    ]


DRIFT_HEAD: Final = ("source", "field", "check", "over time", "latest", "limit", "status")


def _drift(reports: Sequence[CheckReport]) -> Iterator[Sequence[Html]]:
    curves: dict[tuple[str, str, str], list[CheckResult]] = {}
    for report in reports:
        for each in report.checks:
            if each.dimension == DRIFT:
                curves.setdefault((report.source, each.field, each.check), []).append(each)
    nearest = sorted(curves.items(), key=lambda curve: -_nearness(curve[1][-1]))
    for (source, field, check), results in nearest[:MOST_DRIFT]:
        last = results[-1]
        values = _thinned([(each.value, each.n) for each in results])
        limit = "-" if last.high is None else f"{last.high:.3g}"
        says = f"{check} of {field} from {values[0]:.3g} to {values[-1]:.3g}, limit {limit}"
        yield [
            name(source),
            text(field),
            text(check),
            figure(spark(values, says, last.high)),
            figure(f"{last.value:.3g}"),
            figure(limit),
            marked(last.status, "", last.evidence),
        ]


def _nearness(result: CheckResult) -> float:
    return result.value / result.high if result.high else RANK[result.status] - 1.0


def _alerts(alerts: Sequence[Alert]) -> Html:
    if not alerts:
        return tag("p", "No check changed its status.")
    head = ("time, UTC", "source", "check", "became", "figure", "expected", "evidence")
    return table("Newest first", head, (_alert(each) for each in reversed(alerts)), 4)


def _alert(alert: Alert) -> Sequence[Html]:
    result = alert.result
    return [
        name(time_of(alert.window_start_ms)),
        text(alert.source),
        text(f"{result.check} {result.field}".strip()),
        marked(result.status, f"was {alert.before}", result.evidence),
        figure(f"{result.value:.4g}"),
        figure(_expected(result)),
        text(hidden("show", tag("p", result.evidence))) if result.evidence else text(""),
    ]


def _expected(result: CheckResult) -> str:
    bounds = [("at least", result.low), ("at most", result.high)]
    return " and ".join(f"{word} {bound:.4g}" for word, bound in bounds if bound is not None) or "any"


def worst(found: Gathered) -> tuple[str, str]:
    """How many checks of the newest windows fail or warn, and which fail."""
    newest = {each.source: each for each in found.checks}
    by_status: dict[str, list[str]] = {"fail": [], "warn": []}
    for source, report in newest.items():
        for each in report.checks:
            if each.status in by_status:
                by_status[each.status].append(f"{source} {each.check} {each.field}".strip())
    named = ", ".join(by_status["fail"][:3])
    return f"{len(by_status['fail'])} fail, {len(by_status['warn'])} warn", named or "of the newest windows"
