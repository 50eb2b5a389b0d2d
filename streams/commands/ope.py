"""``rillet ope``: what another policy would have earned, from the log of the one that ran."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.commands.options import Json, example, new_app, note, print_json

if TYPE_CHECKING:
    from models.ope.result import OffPolicyEvaluation

app = new_app()


class Estimator(StrEnum):
    """How a value is estimated."""

    IPS = "ips"
    SNIPS = "snips"
    DR = "dr"
    DM = "dm"


@app.command(
    epilog=example(
        "rillet ope slates.jsonl --events events.jsonl --reward click=1 --reward purchase=5",
        "rillet ope slates.jsonl.gz --events browse.jsonl --events feedback.jsonl --window-s 3600 --clip 20",
        "rillet ope random_men.csv.gz --items random_men_item_context.csv.gz --plot men.svg",
        "rillet ope random_men.csv.gz --policy learned --policy learned:0.5 --policy uniform --estimator dr --json",
    )
)
def ope(
    log: Annotated[
        str,
        typer.Argument(help="Slates as JSON lines, or a CSV in the form of Open Bandit Data."),
    ],
    events: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Events after the slates, JSON lines of any events topics; may be repeated."
        ),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Features of the items: catalog.items, or Open Bandit's item context."
        ),
    ] = None,
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME",
            help="logged, uniform, popularity, learned (its best arm) or learned:T (drawn at temperature T); may be "
            "repeated; logged, uniform, popularity, learned and learned:1 by default.",
        ),
    ] = None,
    estimators: Annotated[
        list[Estimator] | None,
        typer.Option("--estimator", help="May be repeated; all by default."),
    ] = None,
    rewards: Annotated[
        list[str] | None,
        typer.Option(
            "--reward",
            metavar="KIND=WORTH",
            help="What a reaction is worth; may be repeated; click=1 by default.",
        ),
    ] = None,
    window_s: Annotated[
        float, typer.Option(min=0.0, help="Event time after an impression within which reactions count.")
    ] = 86_400.0,
    all_seen: Annotated[
        bool, typer.Option("--all-seen", help="Take slates for seen that no impression names.")
    ] = False,
    train: Annotated[
        float, typer.Option(min=0.0, max=0.95, help="Share of the log that is learned from, not judged.")
    ] = 0.5,
    max_arms: Annotated[
        int, typer.Option(min=1, help="Items, the ones shown most, that policies choose among.")
    ] = 500,
    clip: Annotated[float | None, typer.Option(min=1.0, help="Largest weight; none by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 7,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the estimates as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate what other policies would have earned, from a log whose choices were left to chance.

    The log must tell the propensity of what was shown. Policies that learn do so on the first part of the log alone,
    and all are judged on the rest. Intervals are 95%, by a bootstrap over users, or rounds where users are not known.
    """
    from rich.console import Console

    from streams.commands.evaluate import progress_bars
    from streams.ope import evaluation

    plan = evaluation.Plan(
        policies=[evaluation.policy_of(each) for each in dict.fromkeys(policies or evaluation.POLICIES)],
        estimators=[each.value for each in dict.fromkeys(estimators or Estimator)],
        rewards=dict(map(evaluation.reward_of, rewards or ["click=1"])),
        window_s=window_s,
        all_seen=all_seen,
        train_share=train,
        max_arms=max_arms,
        clip=clip,
        seed=seed,
    )
    with progress_bars(Console(stderr=True)) as progress:
        result = evaluation.evaluate(evaluation.Files(log, events or [], items), plan, progress)
    _show(result, plot, as_json=as_json)


def _show(result: "OffPolicyEvaluation", plot: Path | None, *, as_json: bool) -> None:
    if plot is not None:
        from streams.ope.plot import svg

        plot.write_text(svg(result), encoding="utf-8")
        note(f"drawing written to {plot}")
    if as_json:
        print_json(msgspec.to_builtins(result))
        return
    from rich.console import Console

    from streams.ope.report import table

    Console().print(table(result))
