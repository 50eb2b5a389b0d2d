"""``rillet mapping``: what the columns of a log mean, guessed, listed and shown."""

from itertools import islice
from typing import Annotated, Final

import typer

from streams.commands.options import Json, example, new_app, print_json, print_table

N_SHOWN: Final = 10

app = new_app("Guess, list and show what the columns of a log mean.")
File = Annotated[str, typer.Argument(help="Path or URL of a log: CSV, TSV, JSON lines or Parquet.")]


@app.callback()
def _mapping() -> None: ...


@app.command(epilog=example("rillet mapping guess events.csv.gz > shop.toml"))
def guess(file: File, as_json: Json = False) -> None:
    """Propose a mapping for a log, as a TOML file, with ten events as it would make them.

    From the names of the columns and the first 10,000 rows. Check it, above all what are users and items."""
    import msgspec

    from streams.log import Log
    from streams.log.presets import names, text_of
    from streams.log.propose import to_toml

    log = Log(file)
    toml = text_of(log.name) if log.name in names() else to_toml(log.mapping)
    events = [(each.topic, msgspec.json.encode(each.event).decode()) for each in islice(log, N_SHOWN)]
    if as_json:
        shown = [{"topic": topic, "event": msgspec.json.decode(event)} for topic, event in events]
        print_json({"mapping": log.mapping.model_dump(exclude_defaults=True), "events": shown})
        return
    print(toml)
    print(f"# The first {len(events)} events:")
    for topic, event in events:
        print(f"# {topic} {event}")


@app.command("list", epilog=example("rillet mapping list"))
def list_presets(as_json: Json = False) -> None:
    """List the presets: mappings of public logs."""
    from streams.log.presets import names, preset

    rows = [(name, preset(name).about) for name in names()]
    if as_json:
        print_json([{"name": name, "about": about} for name, about in rows])
    else:
        print_table(("name", "about"), rows)


@app.command(epilog=example("rillet mapping show serenade", "rillet mapping show rees46-sample > shop.toml"))
def show(
    preset: Annotated[str, typer.Argument(help="Name of a preset, as `rillet mapping list` has it.")],
) -> None:
    """Print a preset, to start a mapping of one's own from."""
    from streams.log.presets import text_of

    print(text_of(preset), end="")
