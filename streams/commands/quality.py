"""``rillet quality``: whether the data are as they were, from `metrics.checks` and `alerts`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.commands.since import WHEN, Since, start_of
from streams.errors import FOUND, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.table import Table
    from rich.text import Text

    from schemas.checks import Alert, CheckReport, CheckResult, Status

app = new_app("Whether the data are as they were before, and as a contract demands.")

STYLES: Final = {"pass": "green", "warn": "yellow", "fail": "bold red"}


@app.callback()
def _group() -> None: ...


@app.command(epilog=example("rillet quality report", "rillet quality report --since 7d --json"))
def report(since: Since = "1d", config: Config = None, as_json: Json = False) -> None:
    """The newest window of each source by dimension, then what does not pass. Exit code 1 where a check fails."""
    newest = {each.source: each for each in _reports(since, config)}
    reports = [newest[source] for source in sorted(newest)]
    if as_json:
        _print_values(reports)
    else:
        from rich.console import Console

        console = Console()
        console.print(_grid(reports))
        for each in reports:
            for result in each.checks:
                if result.status != "pass":
                    console.print(_line(each.source, result), soft_wrap=True)
    if any(each.status == "fail" for each in reports):
        raise typer.Exit(FOUND)


@app.command(
    epilog=example(
        "rillet quality explain drift price",
        "rillet quality explain volume --source events.browse --since 7d",
        "rillet quality explain agreement category --json",
    )
)
def explain(
    check: Annotated[str, typer.Argument(help="Name of a check, as `rillet quality report` shows.")],
    field: Annotated[str, typer.Argument(help="Its field, where it has one.")] = "",
    source: Annotated[str | None, typer.Option(help="Only of this source.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Windows to show of each source.")] = 12,
    since: Since = "1d",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """One check: its latest windows, what was expected, and the evidence."""
    rows = [
        (each, result)
        for each in _reports(since, config)
        for result in each.checks
        if (result.check, result.field) == (check, field) and source in (None, each.source)
    ]
    if not rows:
        raise InputError(
            f"No window since {since} has a check {check!r}{f' of {field}' if field else ''}.",
            fix="`rillet quality report --json` lists the checks; --since reaches back further.",
        )
    by_source: dict[str, list[tuple[CheckReport, CheckResult]]] = {}
    for row in rows:
        by_source.setdefault(row[0].source, []).append(row)
    shown = [row for of_source in by_source.values() for row in of_source[-last:]]
    if as_json:
        _print_values([each for each, _ in shown], only=(check, field))
        return
    from rich.console import Console

    Console().print(_history(shown))


@app.command(epilog=example("rillet quality watch", "rillet quality watch --since 1h --json"))
def watch(
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=WHEN)] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many alerts.")] = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value a line, for programs.")] = False,
) -> None:
    """Print alerts as they come, until Ctrl-C: checks that changed their status, with the evidence."""
    import msgspec
    from rich.console import Console

    from streams.client import Rillet
    from streams.commands.watch import until_stopped
    from streams.settings import load

    console = Console()

    def show() -> None:
        with Rillet(kafka=load(config).kafka) as rillet:
            for number, alert in enumerate(
                rillet.alerts(since="end" if since is None else start_of(since)), 1
            ):
                if as_json:
                    print(msgspec.json.encode(alert).decode(), flush=True)
                else:
                    console.print(_alert(alert), soft_wrap=True)
                if number == limit:
                    return

    until_stopped(show)


def _reports(since: str, config: Config) -> "list[CheckReport]":
    """Oldest first."""
    from streams.client import Rillet
    from streams.settings import load

    with Rillet(kafka=load(config).kafka) as rillet:
        found = list(rillet.checks(since=start_of(since), follow=False))
    if not found:
        note(f"No window was judged since {since}: a worker runs, and has read more than a few windows?")
    return sorted(found, key=lambda each: (each.window_start_ms, each.source))


def _print_values(reports: "list[CheckReport]", only: tuple[str, str] | None = None) -> None:
    import msgspec

    values = msgspec.to_builtins(reports)
    for each in values if only else ():
        each["checks"] = [c for c in each["checks"] if (c["check"], c["field"]) == only]
    print_json(values)


def _grid(reports: "list[CheckReport]") -> "Table":
    from rich import box
    from rich.table import Table

    from models.quality.monitor.monitor import worst

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", *(each.source for each in reports)):
        table.add_column(name)
    table.add_row("window", *(_time(each.window_start_ms) for each in reports))
    table.add_row("events", *(f"{each.n_events:,}" for each in reports))
    for dimension in sorted({result.dimension for each in reports for result in each.checks}):
        of_sources = ([result for result in each.checks if result.dimension == dimension] for each in reports)
        table.add_row(dimension, *(_count(results, worst) for results in of_sources))
    return table


def _count(results: "list[CheckResult]", worst: "Callable[[Iterable[Status]], Status]") -> "Text":
    """The worst status, and how many of how many checks are so bad."""
    if not results:
        return _styled("-", "")
    status = worst(result.status for result in results)
    n = sum(result.status == status for result in results)
    return _styled(status if status == "pass" else f"{status} {n}/{len(results)}", STYLES[status])


def _line(source: str, result: "CheckResult") -> "Text":
    text = _styled(f"{result.status:5}", STYLES[result.status])
    return text.append(f"{source} {_name(result)}: {_said(result)}", style="default")


def _alert(alert: "Alert") -> "Text":
    result = alert.result
    text = _styled(f"{_time(alert.window_start_ms)}  ", "dim")
    text.append(f"{alert.before} to {result.status}", style=STYLES[result.status])
    text.append(f"  {alert.source} {_name(result)}: {_said(result)}", style="default")
    if (action := alert.action) is not None:
        until = "" if action.until_ms is None else f" to {_time(action.until_ms)}"
        text.append(f"; {action.state}: {action.kind} {action.field}".rstrip(), style="bold")
        text.append(f" from {_time(action.since_ms)}{until}")
    return text


def _name(result: "CheckResult") -> str:
    return f"{result.check} {result.field}".strip()


def _said(result: "CheckResult") -> str:
    from streams.evaluation_report.words import printable

    evidence = f"; {printable(result.evidence)}" if result.evidence else ""
    return f"{result.value:.4g}, expected {_expected(result)}, n {result.n}{evidence}"


def _expected(result: "CheckResult") -> str:
    if result.low is None and result.high is None:
        return "any"
    if result.low is None or result.high is None:
        return f"at most {result.high:.4g}" if result.low is None else f"at least {result.low:.4g}"
    return f"{result.low:.4g} to {result.high:.4g}"


def _history(rows: "list[tuple[CheckReport, CheckResult]]") -> "Table":
    from rich import box
    from rich.table import Table

    from streams.evaluation_report.words import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("source", "window", "status", "value", "expected", "n", "evidence"):
        table.add_column(name, justify="right" if name in ("value", "n") else "left")
    for each, result in rows:
        table.add_row(
            each.source,
            _time(each.window_start_ms),
            _styled(result.status, STYLES[result.status]),
            f"{result.value:.4g}",
            _expected(result),
            str(result.n),
            printable(result.evidence),
        )
    return table


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _styled(words: str, style: str) -> "Text":
    from rich.text import Text

    return Text(words, style=style)
