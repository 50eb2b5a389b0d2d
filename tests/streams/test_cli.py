"""The command line explains itself, speaks JSON, and ends with the documented exit codes."""

import json
import re
import signal
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest
import typer

from streams import errors
from streams.cli import COMMANDS, run

HEAVY = ("faust", "confluent_kafka", "numpy", "numba", "pydantic", "rich")


def leaves() -> list[str]:
    """Every command, with its sub-command where it has some."""
    found = []
    for name, (module, _) in COMMANDS.items():
        app: typer.Typer = import_module(module).app
        commands = app.registered_commands
        if app.registered_callback is None:
            found.append(name)
        else:
            found += [f"{name} {each.name or each.callback.__name__}" for each in commands]
    return found


@pytest.mark.parametrize("command", leaves())
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"Examples?:\n(.*\n)*? .*rillet {command}\b", text), text


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\w", text, re.MULTILINE) for name in COMMANDS)
    assert "..." not in text.replace("[ARGS]...", ""), "a line is too long and was cut"


def test_the_overview_imports_nothing_heavy() -> None:
    script = (
        "import sys; from streams.cli import run; run(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "[]"


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"rillet {version('rillet')}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], errors.USAGE),
        (["topics", "create", "--nonsense"], errors.USAGE),
        (["settings", "--config", "/nowhere/rillet.toml"], errors.USAGE),
        (["settings", "--json", "--toml"], errors.USAGE),
        (["broker", "start", "--port", "9092"], errors.USAGE),
    ],
)
def test_usage_and_settings_errors_end_with_2(
    arguments: list[str], expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == expected
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err


def test_a_broker_that_is_away_ends_with_3_and_a_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert run(["topics", "diff"]) == errors.BROKER
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"error: No Kafka answered at 127\.0\.0\.1:1 .*\n  fix: .*\n", told.err)


def test_a_fault_of_our_own_ends_with_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("streams.settings.load_with_origins", fail)
    assert run(["settings"]) == errors.FAULT
    assert "ZeroDivisionError: on purpose" in capsys.readouterr().err


def test_differences_end_with_1(
    embedded: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RILLET_BOOTSTRAP_SERVERS", embedded)
    assert run(["topics", "diff", "--json"]) == errors.FOUND
    missing = [difference["topic"] for difference in json.loads(capsys.readouterr().out)]
    assert run(["topics", "create", "--json"]) == errors.OK
    assert json.loads(capsys.readouterr().out) == {"created": missing}
    assert run(["topics", "diff", "--json"]) == errors.OK
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("command", ["settings", "topics describe"])
def test_json_is_one_value(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--json"]) == 0
    assert all("name" in row for row in json.loads(capsys.readouterr().out))


def test_tables_are_plain_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "describe"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "events.browse" in text


def test_the_embedded_broker_runs_until_told_to_stop() -> None:
    command = [sys.executable, "-m", "streams.cli", "broker", "start", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert json.loads(announced)["broker"] == "embedded"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"(\w+Error) +exit (\d)", errors.__doc__ or "")
    real = {
        (name, str(value.exit_code))
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.RilletError)
    }
    assert set(drawn) == real
