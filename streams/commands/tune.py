"""``rillet tune``: settings that suit a shop's log."""

from pathlib import Path
from typing import Annotated

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import InputError

app = new_app()


@app.command(
    epilog=example(
        "rillet tune events.csv.gz --mapping my-shop.toml --write tuned.toml",
        "rillet tune events.csv.gz --trials 20 --set rank.filter_viewed=false",
        "rillet evaluate events.csv.gz --from 0.5 --compare tuned.toml",
    )
)
def tune(
    files: Annotated[list[str], typer.Argument(help="One log, or several that are to gain on average.")],
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What the columns mean; guessed by default."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write what was found as a settings file.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Settings of the sources to try; 1 tunes the weights alone.")
    ] = 1,
    weighings: Annotated[int, typer.Option(min=1, help="Weights to try for each.")] = 200,
    until: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the log that is read; the rest stays unseen.")
    ] = 0.5,
    first: Annotated[
        float,
        typer.Option(min=0.0, max=0.99, help="Share of the log that is learned before anything is tried."),
    ] = 0.2,
    k: Annotated[int, typer.Option(min=1, max=200, help="Places of the slate that count.")] = 20,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for this run; may be repeated."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Search weights of merging, and with --trials settings of the sources, on the early part of a log.

    NDCG at k is what is raised. What lies behind --until is never read: evaluate with --from there."""
    from rich.console import Console

    from streams import tuning
    from streams.commands.evaluate import progress_bars
    from streams.evaluation import Log, settings_of

    if first >= until:
        raise InputError("--first is not before --until: nothing would be tried.", fix="Lower --first.")
    settings, _ = settings_of(config, overrides or [])
    tuner = tuning.Tuner(
        [Log(file, mapping) for file in files], settings, tuning.Share(first, until), k, seed
    )
    with progress_bars(Console(stderr=True)) as progress:
        tuned = tuner.run(trials, weighings, progress)
    rows = [
        {"log": file, "before": round(before, 4), "after": round(after, 4)}
        for file, before, after in zip(files, tuned.before, tuned.after, strict=True)
    ]
    if write is not None:
        gains = "; ".join(f"{Path(str(row['log'])).name} {row['before']} to {row['after']}" for row in rows)
        tuning.write(
            write,
            tuned,
            f"Found by rillet tune: NDCG@{k} in the share {first:g} to {until:g} of the log, {gains}.",
        )
        note(
            f"settings written to {write}; try them: rillet evaluate {files[0]} --from {until:g} --compare {write}"
        )
    if as_json:
        print_json({"k": k, "logs": rows, "settings": tuned.settings})
        return
    for row in rows:
        print(f"{row['log']}: NDCG@{k} {row['before']} before, {row['after']} after")
    for name, value in sorted(tuned.settings.items()):
        print(f"{name} = {value}")
