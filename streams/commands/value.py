"""``rillet value``: what each source of data is worth to the recommendations."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.commands.since import Since, start_of
from streams.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from models.evaluate.result import Difference
    from schemas.value import Value, ValueReport

app = new_app()

BAR = 20
"""Characters of the longest bar."""
Z = 1.96
"""Standard errors on both sides of an interval of 95%."""


@app.command(
    epilog=example(
        "rillet value",
        "rillet value --since 1d --metric hit_rate",
        "rillet value --by signal",
        "rillet value events.csv.gz --mapping my-shop.toml --from 0.5",
        "rillet value events.csv.gz --anew --json > value.json",
    )
)
def value(
    file: Annotated[str | None, typer.Argument(help="A log; without one, what running workers tell.")] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What its columns mean; guessed by default."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Of a log: learn everything once more without each source as well.")
    ] = False,
    from_share: Annotated[
        float,
        typer.Option("--from", min=0.0, max=0.99, help="Share of the log that is learned, not counted."),
    ] = 0.0,
    batch: Annotated[
        int, typer.Option(min=1, max=1_000, help="Events of different users that are learned together.")
    ] = 8,
    since: Since = "1h",
    by: Annotated[str, typer.Option(help="source of data, or signal made of them.")] = "source",
    metric: Annotated[str, typer.Option(help="ndcg, hit_rate or mrr.")] = "ndcg",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for this run; may be repeated."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what browsing, searches, purchases, feedback, attributes, words and promotions are worth.

    Values are Shapley's shares of what the ranking gains by all of them, and add up to it; beside stands what is lost
    where one alone is left out. Intervals are 95%."""
    if metric not in ("ndcg", "hit_rate", "mrr"):
        raise InputError(f"There is no metric {metric!r}.", fix="Take ndcg, hit_rate or mrr.")
    if by not in ("source", "signal"):
        raise InputError(f"There is no value by {by!r}.", fix="Take source or signal.")
    if anew and by != "source":
        raise InputError("Only sources of data can be left out of learning.", fix="Leave out --by.")
    if file is None and anew:
        raise InputError("--anew needs a log to learn.", fix="rillet value events.csv.gz --anew")
    apart: list[Difference] = []
    if file is None:
        found = _of_workers(config, by, since)
    else:
        found, apart = _of_log(by, file, mapping, config, overrides or [], anew=anew, at=(from_share, batch))
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins({"report": found, "anew": apart}))
        return
    from rich.console import Console

    console = Console()
    console.print(table(found, apart, metric))
    console.print(_summary(found, metric))


def _of_workers(config: Any, by: str, since: str) -> "ValueReport":
    from models.value.report import combined
    from streams.client import Rillet
    from streams.settings import load

    with Rillet(kafka=load(config).kafka) as rillet:
        records = rillet.values(since=start_of(since), follow=False).records()
        told = [record.value for record in records if record.value is not None]
    found = combined([each for each in told if each.of == by])
    if found is None:
        raise InputError(
            f"No worker has told a value since {since}.",
            fix="Look further back with --since beginning; values need slates, and shoppers who take what they show.",
        )
    return found


def _of_log(
    by: str,
    file: str,
    mapping: str | None,
    config: Any,
    overrides: list[str],
    *,
    anew: bool,
    at: tuple[float, int],
) -> "tuple[ValueReport, list[Difference]]":
    from rich.console import Console

    from models.value.games import GAMES
    from streams.commands.evaluate import progress_bars
    from streams.evaluation import Log, settings_of
    from streams.valuation import valued

    settings, _ = settings_of(config, overrides)
    with progress_bars(Console(stderr=True)) as progress:
        found = valued(
            GAMES[by], Log(file, mapping), settings, progress, anew=anew, from_share=at[0], batch=at[1]
        )
    note(f"{found.n_events:,} events, {found.report.n:,} lists valued")
    return found.report, found.withheld


def table(found: "ValueReport", apart: "list[Difference]", metric: str) -> "Table":
    """A row for each source, the most valuable first."""
    from rich.table import Table

    shown = Table(title=f"Value of each {found.of}: {metric}@{found.k}", title_justify="left")
    shown.add_column(found.of)
    shown.add_column("value", justify="right")
    shown.add_column("")
    shown.add_column("left out", justify="right")
    if apart:
        shown.add_column("left out of learning", justify="right")
    values = sorted((each for each in found.values if each.metric == metric), key=lambda each: -each.value)
    most = max((abs(each.value) for each in values), default=0.0)
    for each in values:
        row = [
            each.player,
            _interval(each.value, each.value_error),
            _bar(each, most),
            _interval(each.left_out, each.left_out_error),
        ]
        shown.add_row(*row, *([_anew(apart, each.player, metric)] if apart else []))
    return shown


def _summary(found: "ValueReport", metric: str) -> str:
    both, none = found.all_in.get(metric, 0.0), found.none_in.get(metric, 0.0)
    hit = {each.player: each.value for each in found.values if each.metric == "hit_rate"}
    recall = found.all_in.get("hit_rate", 0.0)
    best = max(hit, key=lambda source: hit[source], default="")
    return (
        f"{metric} with all {both:.4f}, with none {none:.4f}; {found.n:,} lists. At {found.k} places, "
        f"recall {recall:.4f}, precision {recall / found.k:.4f}, F1 {2 * recall / (found.k + 1):.4f}; "
        f"most of it comes from {best}."
    )


def _interval(value: float, error: float) -> str:
    return f"{value:+.4f} ± {Z * error:.4f}"


def _bar(each: "Value", most: float) -> str:
    n = round(BAR * abs(each.value) / most) if most else 0
    return ("█" if each.value >= 0 else "░") * n


def _anew(apart: "list[Difference]", source: str, metric: str) -> str:
    """How much learning from all sources is above learning without this one."""
    measure = {"hit_rate": "hr"}.get(metric, metric)
    for each in apart:
        if each.b == f"without {source}" and each.measure.startswith(f"{measure}@"):
            return f"{each.interval.mean:+.4f} ({each.interval.low:+.4f} to {each.interval.high:+.4f})"
    return ""
