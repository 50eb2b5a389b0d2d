"""``rillet settings``: what is in force, and from where."""

from typing import Annotated

import typer

from streams.commands.options import Config, Json, example, new_app, print_json, print_table
from streams.errors import InputError

app = new_app()


@app.command(
    epilog=example(
        "rillet settings",
        "rillet settings --toml > rillet.toml",
        "rillet settings --json | jq -r '.[] | select(.origin != \"default\") | .name'",
    )
)
def settings(
    config: Config = None,
    as_json: Json = False,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print an annotated settings file with the defaults instead.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/settings.md instead.")
    ] = False,
) -> None:
    """Print every setting in force and where it was set: default, file or environment. Secrets are masked."""
    from streams import settings_pages as pages
    from streams.settings import load_with_origins

    if as_json + toml + markdown > 1:
        raise InputError("--json, --toml and --markdown exclude each other.", fix="Give one of them.")
    if toml:
        print(pages.toml(), end="")
    elif markdown:
        print(pages.markdown(), end="")
    else:
        rows = pages.in_force(load_with_origins(config))
        if as_json:
            print_json([row._asdict() for row in rows])
        else:
            print_table(("name", "value", "origin"), [(row.name, row.text, row.origin) for row in rows])
