"""``rillet explain``: why a user sees these items, or not this one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import FOUND, InputError

if TYPE_CHECKING:
    from schemas.explain import Explanation

app = new_app()


@app.command(
    epilog=example(
        "rillet explain u17",
        "rillet explain u17 sku-99 --worker http://host-1:6066 --worker http://host-2:6066",
        "rillet explain u17 --log events.csv.gz --mapping my-shop.toml",
        "rillet explain u17 sku-99 --json | jq .asked.absent",
    )
)
def explain(
    user: Annotated[str, typer.Argument(help="The user id.")],
    item: Annotated[
        str | None, typer.Argument(help="An item: every contribution to its score, or why it is not there.")
    ] = None,
    worker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="A worker to ask; may be repeated. By default that of the settings."
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option(metavar="FILE", help="Follow this log instead, and explain its end.")
    ] = None,
    mapping: Annotated[
        str | None, typer.Option(metavar="PRESET|FILE", help="What its columns mean; guessed by default.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All candidates, not the slate's alone; with --log.")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting for this run; may be repeated. With --log."
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell why a user sees these items: sources, the user's own events behind them, the exact parts of each score.

    The worker that has the user's partition is asked, or a log is followed. Exit code 1 when nothing is remembered of
    the user."""
    if log is None:
        _refuse_without_log(mapping=mapping is not None, all=every, set=bool(overrides))
        told = _of_worker(worker or [], user, item, config)
    elif worker:
        raise InputError("--worker and --log exclude each other.", fix="Give one of them.")
    else:
        told = _of_log(log, mapping, user, item, config, list(overrides or []), every=every)
    if told is None:
        note(f"nothing is remembered of {user!r}: no event of theirs was accepted, or it was erased")
        raise typer.Exit(FOUND)
    _show(told, as_json=as_json)


def _refuse_without_log(**given: bool) -> None:
    named = [f"--{name}" for name, is_given in given.items() if is_given]
    if named:
        raise InputError(f"{' and '.join(named)} need a log to follow.", fix="Name it with --log FILE.")


def _of_worker(workers: list[str], user: str, item: str | None, config: Path | None) -> "Explanation | None":
    from streams.explain.ask import ask, default_url
    from streams.settings import load

    return ask(workers or [default_url(load(config).worker)], user, item)


def _of_log(
    log: str,
    mapping: str | None,
    user: str,
    item: str | None,
    config: Path | None,
    overrides: list[str],
    *,
    every: bool,
) -> "Explanation | None":
    from rich.console import Console

    from streams.commands.evaluate import progress_bars
    from streams.evaluation import Log, settings_of
    from streams.explain.of_log import of_log

    settings, _ = settings_of(config, overrides)
    with progress_bars(Console(stderr=True)) as progress:
        return of_log(Log(log, mapping), settings, user, item, progress, every=every)


def _show(told: "Explanation", *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(told))
        return
    from rich.console import Console

    from streams.explain import view

    Console(highlight=False).print(view.slate(told) if told.asked is None else view.item(told, told.asked))
