"""``rillet model``: what the ranking has learned, read from the topic that the workers share; no worker is needed."""

from typing import Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json, print_table

app = new_app(
    "Show what the ranking has learned; start a scorer over, or let another one serve. Snapshots of the embedding "
    "model, which proposes candidates, are another matter: `rillet models`."
)

Scorer = Annotated[str, typer.Argument(help="Name of a scorer, such as listwise or ftrl.")]


@app.callback()
def _group() -> None: ...


@app.command(
    epilog=example(
        "rillet model show", "rillet model show ftrl --all", "rillet model show --json > model.json"
    )
)
def show(
    scorer: Annotated[str, typer.Argument(help="Name of a scorer; by default the one that serves.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All features, not the strongest 20.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print which scorer serves, how many lists each has learned, and the weights of one, with deviations."""
    from streams.learned import known_scorer, learned
    from streams.settings import load

    learning = learned(load(config))
    name = known_scorer(learning, scorer or learning.champion)
    estimator = learning.estimators[name]
    weights = {
        feature: (float(weight), float(deviation))
        for feature, weight, deviation in zip(
            learning.names, estimator.weights, estimator.spread(), strict=True
        )
    }
    told: dict[str, Any] = {
        "champion": learning.champion,
        "model_version": learning.model_version,
        "learned": {each: learning.ledger.n_learned(each) for each in learning.estimators},
        "examination": [round(float(chance), 4) for chance in learning.examination.chances[:20]],
        "scorer": name,
        "weights": {feature: {"weight": w, "deviation": d} for feature, (w, d) in weights.items()},
    }
    if as_json:
        print_json(told)
        return
    for each, n in told["learned"].items():
        print(f"{each}{' serves' if each == learning.champion else ''}: {n:,} lists learned")
    print(f"chance that a place is looked at: {', '.join(f'{c:.2f}' for c in told['examination'][:10])} …\n")
    strongest = sorted(weights.items(), key=lambda item: -abs(item[1][0]))
    rows = [(feature, f"{w:+.3f}", f"± {d:.3f}") for feature, (w, d) in strongest]
    print_table((f"feature of {name}", "weight", "deviation"), rows if everything else rows[:20])


@app.command(epilog=example("rillet model reset ftrl"))
def reset(scorer: Scorer, config: Config = None) -> None:
    """Let a scorer forget all that it has learned, in every worker, and start from the settings' weights."""
    from streams.learned import decide, known_scorer, learned
    from streams.settings import load

    settings = load(config)
    learning = learned(settings)
    learning.restart(known_scorer(learning, scorer))
    decide(settings, learning, "reset", scorer)
    note(f"{scorer} starts over; running workers do so within a second")


@app.command(epilog=example("rillet model promote ftrl"))
def promote(scorer: Scorer, config: Config = None) -> None:
    """Let a scorer serve, in every worker, whatever the contest says; the contest goes on from there."""
    from streams.learned import decide, known_scorer, learned
    from streams.settings import load

    settings = load(config)
    learning = learned(settings)
    learning.promote(known_scorer(learning, scorer))
    decide(settings, learning, "promotion", scorer)
    note(f"{scorer} serves from now on; running workers follow within a second")
