"""``rillet doctor``: what is amiss, and what to do about it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.dead_letter import printable
from streams.commands.options import Config, Json, example, new_app, print_json
from streams.errors import FOUND

if TYPE_CHECKING:
    from streams.doctor.finding import Finding

app = new_app()


@app.command(epilog=example("rillet doctor", "rillet doctor --json | jq '.[] | select(.severity != \"ok\")'"))
def doctor(
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0.0, max=600.0, help="Seconds after which an unmoved commit is stuck."),
    ] = 5.0,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check settings, machine, broker, topics, partitioner, clock, lag and dead letters. Changes nothing.

    Each finding is ok, warn or fail, with a remedy. Exit code 1 when one is not ok."""
    from streams.doctor.finding import Severity
    from streams.doctor.run import examine

    findings = []
    for finding in examine(config, wait_s):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.severity != Severity.OK for finding in findings):
        raise typer.Exit(FOUND)


def _print(finding: "Finding") -> None:
    print(printable(f"{finding.severity:<4}  {finding.check:<12}  {finding.what}"), flush=True)
    if finding.remedy:
        print(printable(f"      remedy: {finding.remedy}"), flush=True)
