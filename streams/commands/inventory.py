"""``rillet inventory``: what there is on a cluster."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.dead_letter import UNITS_S
from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import InputError

if TYPE_CHECKING:
    from streams.inventory import Inventory
    from streams.inventory.look import Tell
    from streams.settings import Settings

PIPE_COLUMNS = 160
"""Of a terminal its own; a pipe has none."""

app = new_app()


@app.command(
    epilog=example(
        "rillet inventory",
        "rillet inventory --topic 'shop-*' --sample 1000",
        "rillet inventory --json | jq '.assets[] | select(.known | not)'",
        "rillet inventory --html inventory.html --odcs contracts/ --openlineage lineage.jsonl",
        "rillet inventory --publish --every 60s",
    )
)
def inventory(
    topic: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only topics of such names; * and ? stand for any.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Newest records looked at of each partition; 0 for none."),
    ] = 250,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report for a browser.")] = None,
    odcs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a data contract (ODCS 3.1) for each asset.")
    ] = None,
    openlineage: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write OpenLineage events, one a line.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Write it to the topic inventory.assets.")
    ] = False,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Look again so often, until Ctrl-C: 60s, 15m, 1h.")
    ] = None,
    forget_after: Annotated[
        str, typer.Option(metavar="TIME", help="With --publish: remove what has been gone for so long.")
    ] = "7d",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List topics and tables: what they hold, who reads them, how fresh and good they are, what they cost.

    Schema, formats, keys, event time and personal data are inferred from a sample of the newest records; no value of a
    record is shown or written. Topics that Rillet does not know come with a mapping to its events, where one fits.
    Reads only, unless told to publish."""
    from streams.settings import load

    every_s = seconds("--every", every) if every else None
    forget_after_s = seconds("--forget-after", forget_after)
    settings = load(config)

    def once() -> None:
        found = _look(settings, topic, sample)
        if publish:
            _publish(settings, found, topic, forget_after_s)
        _export(found, html, odcs, openlineage)
        if as_json:
            print_json(_as_json(found))
        elif found.assets and not (publish or html or odcs or openlineage):
            _print(found)

    if every_s is None:
        once()
    else:
        again_and_again(once, every_s)


def again_and_again(work: Callable[[], None], every_s: float) -> None:
    """Until Ctrl-C or SIGTERM, which are the way to end this."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            started = time.monotonic()
            work()
            time.sleep(max(0.0, every_s - (time.monotonic() - started)))
    except KeyboardInterrupt:
        note("stopped")


def _look(settings: "Settings", pattern: str | None, n_sampled: int) -> "Inventory":
    from streams.inventory import look

    with progress() as tell:
        found = look(settings, pattern=pattern, n_sampled=n_sampled, tell=tell)
    if not found.assets:
        note(f"no topic {pattern!r} at {found.servers}" if pattern else f"no topics at {found.servers}")
    return found


@contextmanager
def progress() -> "Iterator[Tell]":
    """Bars while topics are looked at."""
    from rich.console import Console

    from streams.commands.evaluate import progress_bars

    with progress_bars(Console(stderr=True)) as tell:
        yield tell


def _publish(settings: "Settings", found: "Inventory", pattern: str | None, forget_after_s: float) -> None:
    from schemas import topics
    from streams.inventory import ledger
    from streams.inventory.cluster import matching

    if not found.has_ledger:
        raise InputError(f"There is no topic {topics.ASSETS}.", fix="`rillet topics create` creates it.")
    n = ledger.publish(settings, found.assets, found.known, found.time_ms, forget_after_s, matching(pattern))
    note(f"{n} records written to {topics.ASSETS}")


def _export(found: "Inventory", html: Path | None, odcs: Path | None, openlineage: Path | None) -> None:
    if html:
        from streams.inventory.page import page

        html.write_text(page(found), encoding="utf-8")
        note(f"report written to {html}")
    if odcs:
        from streams.inventory.odcs import write

        note(f"{write(found, odcs)} contracts written to {odcs}")
    if openlineage:
        from streams.inventory.open_lineage import lines

        openlineage.write_text("".join(f"{line}\n" for line in lines(found)), encoding="utf-8")
        note(f"events written to {openlineage}")


def _as_json(found: "Inventory") -> dict[str, object]:
    import msgspec

    return {
        "servers": found.servers,
        "cluster": found.cluster,
        "time_ms": found.time_ms,
        "assets": msgspec.to_builtins(found.assets),
        "processes": [each._asdict() for each in found.processes],
        "notes": found.notes,
    }


def _print(found: "Inventory") -> None:
    from rich.console import Console

    from streams.inventory.terminal import table

    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=PIPE_COLUMNS)
    screen.print(table(found, screen.width))


def seconds(option: str, text: str) -> float:
    """Of ``90s``, ``15m``, ``2h``, ``7d``."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS_S or not (number.isascii() and number.isdigit()) or not int(number):
        raise InputError(f"{option} {text!r} is no time.", fix="Give 90s, 15m, 2h or 7d.")
    return float(int(number) * UNITS_S[unit])
