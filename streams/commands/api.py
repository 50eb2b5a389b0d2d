"""``rillet api``: recommendations over HTTP."""

import typer

from streams.commands.options import Config, example, new_app

app = new_app()


@app.command(
    epilog=example("rillet api", "RILLET_API__PORT=8081 RILLET_API__DATADIR=.rillet/api-2 rillet api")
)
def api(config: Config = None) -> None:
    """Serve recommendations over HTTP, from a read model that follows the topics.

    Add replicas to scale, each with a folder of its own (api.datadir). Ctrl-C or SIGTERM ends it in order; killed or
    not, it goes on from where it was when started again."""
    from streams.api.server import run
    from streams.settings import load

    raise typer.Exit(run(load(config)))
