"""``rillet trainer``: the process that learns the embedding model."""

import typer

from streams.commands.options import Config, example, new_app

app = new_app()


@app.command(epilog=example("RILLET_EMBED__ENABLED=true rillet trainer", "rillet trainer --config shop.toml"))
def trainer(config: Config = None) -> None:
    """Learn the embedding model from what the workers count, and tell them of new versions.

    One is enough. It uses a GPU where torch finds one, and never holds an event back. Workers whose settings have
    embed.enabled = true serve what it promotes; `rillet models` shows and changes that. Killed or not, it goes on from
    its last snapshot when started again."""
    from streams.errors import InputError
    from streams.settings import load

    try:
        from streams.trainer_process import run
    except ModuleNotFoundError as error:
        raise InputError(
            f"The trainer needs a package that is not installed: {error.name}.",
            fix="Install it: pip install 'rillet[embed]'.",
        ) from error
    raise typer.Exit(run(load(config)))
