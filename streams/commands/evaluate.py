"""``rillet evaluate``: what the recommendations would have been worth over a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import InputError

if TYPE_CHECKING:
    from models.evaluate.result import Evaluation
    from streams.evaluation import Plan, Progress

app = new_app()


class Protocol(StrEnum):
    """How a log is tried."""

    PREQUENTIAL = "prequential"
    SESSIONS = "sessions"


@app.command(
    epilog=example(
        "rillet evaluate events.csv.gz --mapping my-shop.toml",
        "rillet evaluate events.csv.gz --html report.html --set rank.filter_viewed=false",
        "rillet evaluate events.csv.gz --compare bold.toml --compare timid.toml --no-baselines",
        "rillet evaluate --protocol sessions --train train.tsv.gz --test test.tsv.gz --online --json",
    )
)
def evaluate(
    file: Annotated[str | None, typer.Argument(help="The log, for --protocol prequential.")] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What its columns mean; guessed by default."),
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(help="Every event is tried, then learned; or the split of the session literature."),
    ] = Protocol.PREQUENTIAL,
    train: Annotated[str | None, typer.Option(metavar="FILE", help="Training sessions.")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="Test sessions.")] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Learn from each test session once it is over.")
    ] = False,
    ks: Annotated[
        str, typer.Option("--ks", help="Cut-offs, the largest being the slate's length.")
    ] = "5,10,20",
    from_share: Annotated[
        float,
        typer.Option(
            "--from", min=0.0, max=0.99, help="Share of the log that is learned first, not counted."
        ),
    ] = 0.0,
    batch: Annotated[
        int,
        typer.Option(
            min=1, max=1_000, help="Events of different users that are tried before they are learned."
        ),
    ] = 1,
    update_every_s: Annotated[
        float,
        typer.Option(min=0.0, help="Event time between updates of the shared knowledge; 0 for each event."),
    ] = 0.0,
    repeats: Annotated[
        bool,
        typer.Option(
            "--repeats", help="Let viewed and bought items through, ordered by score: as the baselines do."
        ),
    ] = False,
    baselines: Annotated[bool, typer.Option(help="Run the baselines beside.")] = True,
    compare: Annotated[
        list[Path] | None,
        typer.Option(metavar="SETTINGS", help="Another settings file to run beside; may be repeated."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for this run; may be repeated."),
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report with plots.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Try the recommendations over a log: HR, MRR, NDCG, recall, precision, F1, coverage, novelty, diversity.

    The very code of the workers follows the log without Kafka. Each event is tried against the slate that its user had
    by then, and only then learned. Intervals are 95%, by a bootstrap over users."""
    from rich.console import Console

    from streams import evaluation

    overrides = list(overrides or [])
    if repeats or protocol is Protocol.SESSIONS:
        overrides = [f"{name}={value}" for name, value in evaluation.REPEATS.items()] + overrides
    plan = _plan(config, overrides, compare or [], _ks(ks), baselines, batch, update_every_s, from_share)
    screen = Console(stderr=True)
    with progress_bars(screen) as progress:
        if protocol is Protocol.SESSIONS:
            if not (train and test):
                raise InputError("--protocol sessions needs two logs.", fix="Give --train FILE --test FILE.")
            result = evaluation.by_sessions(
                evaluation.Log(train, mapping), evaluation.Log(test, mapping), plan, progress, online=online
            )
        else:
            if not file:
                raise InputError(
                    "There is no log to evaluate.", fix="Name a file: rillet evaluate events.csv.gz"
                )
            result = evaluation.prequential(evaluation.Log(file, mapping), plan, progress)
    _show(result, html, as_json=as_json)


def _plan(
    config: Path | None,
    overrides: list[str],
    compare: list[Path],
    ks: list[int],
    baselines: bool,
    batch: int,
    update_every_s: float,
    from_share: float,
) -> "Plan":
    from streams.evaluation import Plan, settings_of

    overrides = [f"publish.slate_length={max(ks)}", *overrides]
    settings, changed = settings_of(config, overrides)
    named = {"rillet": settings}
    for path in compare:
        named[path.stem] = settings_of(path, overrides)[0]
    return Plan(named, changed, ks, baselines, batch, update_every_s, from_share)


def _ks(text: str) -> list[int]:
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    if not ks or not 1 <= ks[0] <= ks[-1] <= 200:
        raise InputError(f"--ks {text} makes no sense.", fix="Write numbers from 1 to 200, as in 5,10,20.")
    return ks


@contextmanager
def progress_bars(screen: object) -> "Iterator[Progress]":
    """A bar for each file that is read."""
    from rich import progress as bars

    with bars.Progress(console=screen, transient=True) as shown:  # type: ignore[arg-type]
        tasks: dict[str, bars.TaskID] = {}

        def tell(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=of)
            shown.update(tasks[name], completed=done)

        yield tell


def _show(result: "Evaluation", html: Path | None, *, as_json: bool) -> None:
    if html is not None:
        from streams.evaluation_report import html as page

        html.write_text(page(result), encoding="utf-8")
        note(f"report written to {html}")
    if as_json:
        print_json(msgspec.to_builtins(result))
        return
    from rich.console import Console

    from streams.evaluation_report import table

    Console().print(table(result))
