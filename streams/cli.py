"""The ``rillet`` command: finds the sub-command, runs it, and turns errors into a message and an exit code.

A sub-command's module is imported only when it is called. Exit codes are those of ``streams.errors``.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

import typer

from streams.commands.options import example, new_app
from streams.errors import FAULT, RilletError

COMMANDS = {
    "demo": ("streams.demo", "See it work: a shop, a broker and a worker."),
    "worker": ("streams.commands.worker", "Run one worker."),
    "api": ("streams.commands.api", "Serve recommendations over HTTP."),
    "trainer": ("streams.commands.trainer", "Learn the embedding model."),
    "shadows": ("streams.commands.shadows", "Learn without each source, as a cross-check."),
    "value": ("streams.commands.value", "Show what each source of data is worth."),
    "topics": ("streams.commands.topics", "Create, compare and describe the topics."),
    "broker": ("streams.commands.broker", "Start a broker for trying out."),
    "simulate": ("streams.simulate", "Send the events of a simulated shop."),
    "tune": ("streams.commands.tune", "Search settings that suit a log."),
    "evaluate": ("streams.commands.evaluate", "Try the recommendations over a log."),
    "ope": ("streams.commands.ope", "Estimate what another policy would have earned."),
    "replay": ("streams.commands.replay", "Send a shop's event log to the topics."),
    "connect": ("streams.commands.connect", "Carry a shop's own topic into Rillet."),
    "mapping": ("streams.commands.mapping", "Guess, list and show what the columns of a log mean."),
    "explain": ("streams.commands.explain", "Tell why a user sees these items."),
    "doctor": ("streams.commands.doctor", "Tell what is amiss, and the remedy."),
    "inventory": ("streams.commands.inventory", "List what there is, and what it holds."),
    "quality": ("streams.commands.quality", "Tell whether the data are as they were."),
    "report": ("streams.commands.report", "Write a page on value, quality and inventory."),
    "watch": ("streams.commands.watch", "Print what comes on a topic."),
    "model": (
        "streams.commands.model",
        "Show or reset what the ranking learned.",
    ),
    "models": ("streams.commands.models", "List snapshots of models, choose one to serve."),
    "state": ("streams.commands.state", "Show what is remembered of users."),
    "clean": ("streams.commands.clean", "Check a recipe of cleaning, show what it changes."),
    "dead-letter": ("streams.commands.dead_letter", "List, show and replay refused records."),
    "settings": ("streams.commands.settings", "Print the settings, or a settings file."),
}
"""Name: the module that offers ``app``, and a line for ``rillet --help``."""


def main() -> None:
    """Entry point of the ``rillet`` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and answer with its exit code."""
    try:
        if arguments and arguments[0] in COMMANDS:
            name, *rest = arguments
            command: typer.Typer = import_module(COMMANDS[name][0]).app
            command(rest, prog_name=f"rillet {name}")
        else:
            _overview()(arguments, prog_name="rillet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAULT
    except RilletError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error}\n  fix: Check the disk, the path and its permissions.", file=sys.stderr)
        return FAULT
    except Exception:  # Python would leave with 1, which here means that something was found
        traceback.print_exc()
        return FAULT
    return 0


def _overview() -> typer.Typer:
    """What is shown for ``rillet --help`` and for a command that does not exist."""
    app = new_app()
    for name, (_, line) in COMMANDS.items():
        app.command(name, help=line)(_unreachable)

    @app.callback(
        help="Fresh recommendations and data-quality metrics from a stream of shop events, on Kafka topics.",
        epilog=example("rillet demo", "rillet worker --config rillet.toml", "rillet topics create --help"),
        no_args_is_help=True,
    )
    def _root(
        show_version: bool = typer.Option(
            False, "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ) -> None: ...

    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rillet {version('rillet')}")
        raise typer.Exit


def _unreachable() -> None:
    raise AssertionError("known commands are dispatched before the overview is asked")


if __name__ == "__main__":
    main()
