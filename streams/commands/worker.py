"""``rillet worker``: one worker process."""

import typer

from streams.commands.options import Config, example, new_app

app = new_app()


@app.command(
    epilog=example("rillet worker", "RILLET_WORKER_ID=worker-2 rillet worker --config /etc/rillet.toml")
)
def worker(config: Config = None) -> None:
    """Run one worker: events in, recommendations and metrics out.

    Add workers to scale, up to one a partition, each with a RILLET_WORKER_ID of its own. Ctrl-C or SIGTERM
    ends it in order; killed or not, it goes on from where it was when started again.
    """
    from streams.settings import load
    from streams.worker import run

    raise typer.Exit(run(load(config)))
