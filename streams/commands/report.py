"""``rillet report``: a page for people on the data of a running cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.options import Config, example, new_app, note
from streams.commands.since import Since, start_of
from streams.errors import InputError

if TYPE_CHECKING:
    from models.value.weaker import Marginal

app = new_app()


@app.command(
    epilog=example(
        "rillet report report.html",
        "rillet report report.html --since 7d --curves value.json",
        "rillet report reports/ --every 1h --keep 24",
    )
)
def report(
    to: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="Where to; a folder gets a dated file.")],
    since: Since = "1d",
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Write again so often, until Ctrl-C: 15m, 1h.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Dated files that stay in the folder, the newest.")] = 24,
    curves: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `rillet value LOG --late … --volume … --json` found."),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, max=100_000, help="Newest records looked at of each partition.")
    ] = 250,
    config: Config = None,
) -> None:
    """Write one page of HTML: what the data are worth and cost, how good they are, what there is.

    It fetches nothing and needs nothing but itself. A file is whole or is not there."""
    from streams.commands.inventory import again_and_again, progress, seconds
    from streams.report.gathered import gathered
    from streams.report.page import page
    from streams.report.written import write, write_into
    from streams.settings import load

    every_s = seconds("--every", every) if every else None
    into_folder = to.is_dir() or every_s is not None or not to.suffix
    marginals = _marginals(curves) if curves else []
    settings = load(config)
    if into_folder:
        to.mkdir(parents=True, exist_ok=True)

    def once() -> None:
        with progress() as tell:
            found = gathered(settings, start_of(since), sample, tell)
        made = page(found, marginals)
        if into_folder:
            note(f"report written to {write_into(made, to, found.inventory.time_ms, keep)}")
        else:
            write(made, to)
            note(f"report written to {to}")

    if every_s is None:
        once()
    else:
        again_and_again(once, every_s)


def _marginals(path: Path) -> "list[Marginal]":
    import msgspec

    from models.value.weaker import Marginal

    class Found(msgspec.Struct):
        anew: list[Marginal]

    try:
        return msgspec.json.decode(path.read_bytes(), type=Found).anew
    except (msgspec.MsgspecError, OSError) as error:
        raise InputError(
            f"{path} tells no curves: {error}.", fix="rillet value LOG --late 1h --json > value.json"
        ) from error
