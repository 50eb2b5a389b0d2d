"""``rillet shadows``: the process that learns a slice of the users without each source, as a cross-check."""

import time
from typing import Annotated

import typer

from streams.commands.dead_letter import since_ms
from streams.commands.options import Config, example, new_app

app = new_app()


@app.command(
    epilog=example(
        "rillet shadows",
        "rillet shadows --since 7d",
        "RILLET_VALUE__SHADOW_SHARE=1 rillet shadows --since beginning",
    )
)
def shadows(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Learn first, and do not count, what was there (90s, 10m, 2h, 7d), or beginning.",
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Learn a slice of the users with all data and without each source, and tell what is lost on metrics.value.

    One is enough. It reads beside the workers and holds no event back; when it cannot keep up it skips to the newest.
    `rillet value` shows it beside its own. All is in memory: started again it begins anew."""
    from streams.settings import load
    from streams.shadows import run

    raise typer.Exit(run(load(config), _start_ms(since)))


def _start_ms(since: str | None) -> int | None:
    if since is None or since == "beginning":
        return None if since is None else 0
    return since_ms(since, now_ms=time.time_ns() // 1_000_000)
