"""``rillet value``: what each source of data is worth to the recommendations."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.dead_letter import UNITS_S
from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.commands.since import Since, start_of
from streams.errors import FOUND, InputError

if TYPE_CHECKING:
    from models.value.weaker import Marginal
    from schemas.value import ValueReport
    from streams.valuation import Asked

app = new_app()

SHOWN_POINTS = 10
"""Most and least valuable points that are listed."""


@app.command(
    epilog=example(
        "rillet value",
        "rillet value --since 1d --metric hit_rate",
        "rillet value --by signal",
        "rillet value events.csv.gz --mapping my-shop.toml --from 0.5",
        "rillet value events.csv.gz --anew --json > value.json",
        "rillet value events.csv.gz --late browse=1m,1h,1d --volume 0.5,0.1",
        "rillet value events.csv.gz --points users",
        "rillet value --by signal --since 1d --propose",
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
    late: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SOURCE=]TIMES", help="Of a log: learn also with a source late: browse=1m,1h,1d."
        ),
    ] = None,
    volume: Annotated[
        list[str] | None,
        typer.Option(metavar="[SOURCE=]SHARES", help="Of a log: learn also with a source thinned: 0.5,0.1."),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(help="Of a log: the value of its users, items, days or hours as neighbours."),
    ] = None,
    from_share: Annotated[
        float | None,
        typer.Option(
            "--from",
            min=0.0,
            max=0.99,
            help="Share of the log that is learned, not counted; 0, of --points 0.8.",
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=1_000, help="Events of different users that are learned together.")
    ] = 8,
    propose: Annotated[
        bool,
        typer.Option("--propose", help="Only what is worth nothing, or harms. Exit code 1 where any is."),
    ] = False,
    since: Since = "1h",
    by: Annotated[str, typer.Option(help="source of data, or signal made of them.")] = "source",
    metric: Annotated[
        str,
        typer.Option(help="ndcg, hit_rate, mrr, precision, recall, f1, click_through or conversion."),
    ] = "ndcg",
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
    if points is not None:
        _show_points(points, file, mapping, config, overrides or [], from_share, as_json=as_json)
        return
    from models.value.report import METRICS, with_multiples

    if metric not in METRICS:
        raise InputError(f"There is no metric {metric!r}.", fix=f"Take one of {', '.join(METRICS)}.")
    if by not in ("source", "signal"):
        raise InputError(f"There is no value by {by!r}.", fix="Take source or signal.")
    from streams.valuation import Asked

    asked = Asked(anew, _each("--late", late, _late_s), _each("--volume", volume, _share))
    if any(asked) and by != "source":
        raise InputError("Only sources of data can be left out of learning.", fix="Leave out --by.")
    if file is None and any(asked):
        raise InputError("Only a log can be learned anew.", fix="rillet value events.csv.gz --anew")
    apart: list[Marginal] = []
    shadow: ValueReport | None = None
    if file is None:
        found, shadow = _of_workers(config, by, since)
    else:
        found, apart = _of_log(
            by, file, mapping, config, overrides or [], asked, at=(from_share or 0.0, batch)
        )
    if propose:
        _propose(found, config, overrides or [], as_json=as_json)
        return
    from streams import value_tables

    found, shadow = with_multiples(found), with_multiples(shadow) if shadow else None
    if metric not in found.all_in:
        raise InputError(value_tables.seen_slates(found), fix="Send impressions, as docs/value.md says.")
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins({"report": found, "anew": apart, "shadow": shadow}))
        return
    from rich.console import Console

    console = Console()
    console.print(value_tables.values(found, apart, metric, shadow))
    if shadow and metric in shadow.all_in:
        from models.value.agreement import agreement

        tau = agreement(found.values, value_tables.seen_by(shadow), metric)
        console.print(value_tables.check(tau, shadow))
    console.print(value_tables.summary(found, metric))
    console.print(value_tables.seen_slates(found))
    for beside in (value_tables.weaker(apart, metric, found.k), value_tables.costs(found, metric)):
        if beside:
            console.print(beside)


def _propose(found: "ValueReport", config: Any, overrides: list[str], *, as_json: bool) -> None:
    """Say what is not worth having, by the settings of the selection."""
    from models.value.selection import not_worth_having
    from streams.evaluation import settings_of

    settings = settings_of(config, overrides)[0].value.selection
    proposed = not_worth_having(found, settings)
    if as_json:
        print_json([{**each._asdict(), "harms": each.harms} for each in proposed])
    for each in () if as_json else proposed:
        print(f"{each.player} {'harms' if each.harms else 'is worth nothing'}: {each.told()}")
    if proposed:
        raise typer.Exit(FOUND)
    too_few = f"; it takes {settings.min_lists:,}" if found.n < settings.min_lists else ""
    note(f"No {found.of} is surely worth less than {settings.worth:g}, by {found.n:,} lists{too_few}.")


def _show_points(
    of: str,
    file: str | None,
    mapping: str | None,
    config: Any,
    overrides: list[str],
    known_share: float | None,
    *,
    as_json: bool,
) -> None:
    from rich.console import Console

    from streams import value_tables
    from streams.commands.evaluate import progress_bars
    from streams.evaluation import Log, settings_of
    from streams.value_points import KNOWN_SHARE, POINTS, points_of

    if of not in POINTS:
        raise InputError(f"There is no value of {of!r}.", fix=f"Take one of {', '.join(POINTS)}.")
    if file is None:
        raise InputError("Points are those of a log.", fix="rillet value events.csv.gz --points users")
    settings, _ = settings_of(config, overrides)
    with progress_bars(Console(stderr=True)) as progress:
        share = KNOWN_SHARE if known_share is None else known_share
        found = points_of(of, Log(file, mapping), settings, progress, share)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(found))
        return
    console = Console()
    console.print(value_tables.points(found, SHOWN_POINTS))
    console.print(
        f"Together {found.n_sessions:,} sessions are worth {found.total:.4f}, by {found.n_questions:,} questions."
    )
    console.print(value_tables.removals(found))


def _of_workers(config: Any, by: str, since: str) -> "tuple[ValueReport, ValueReport | None]":
    """Of sources, what shadow learners say as well."""
    from models.value.games import SHADOWS
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
    if by != "source":
        return found, None
    return found, combined([each for each in told if each.of == SHADOWS.name and each.k == found.k])


def _of_log(
    by: str,
    file: str,
    mapping: str | None,
    config: Any,
    overrides: list[str],
    asked: "Asked",
    *,
    at: tuple[float, int],
) -> "tuple[ValueReport, list[Marginal]]":
    from rich.console import Console

    from models.value.games import GAMES
    from streams.commands.evaluate import progress_bars
    from streams.evaluation import Log, settings_of
    from streams.valuation import valued

    settings, _ = settings_of(config, overrides)
    with progress_bars(Console(stderr=True)) as progress:
        found = valued(
            GAMES[by], Log(file, mapping), settings, progress, asked, from_share=at[0], batch=at[1]
        )
    note(f"{found.n_events:,} events, {found.report.n:,} lists valued")
    return found.report, found.marginals


def _each(
    option: str, texts: list[str] | None, number: Callable[[str], float]
) -> list[tuple[str | None, float]]:
    """Of ``browse=1m,1h``, or ``1m,1h`` for all sources."""
    from models.value.withheld import WITHHELD

    found: list[tuple[str | None, float]] = []
    for text in texts or []:
        source, equals, numbers = text.rpartition("=")
        if equals and source not in WITHHELD:
            raise InputError(
                f"{option} {text}: no source {source!r}.", fix=f"Take one of {', '.join(WITHHELD)}."
            )
        found += [(source or None, number(each.strip())) for each in numbers.split(",")]
    return found


def _late_s(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS_S or not (number.isascii() and number.isdigit()) or not int(number):
        raise InputError(f"--late {text!r} is no time.", fix="Give 90s, 15m, 2h or 1d.")
    return float(int(number) * UNITS_S[unit])


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.0 < share < 1.0:
        raise InputError(f"--volume {text!r} is no share.", fix="Give 0.5, or 0.5,0.25,0.1.")
    return share
