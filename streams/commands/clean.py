"""``rillet clean``: what a recipe declares, and what it would change."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from models.clean.preview import Preview, StepDone
    from models.ingest.record import Record
    from streams.settings import Settings

app = new_app("What is changed of events and catalogue before anyone learns from them.")

Recipe = Annotated[
    Path | None, typer.Option("--recipe", metavar="FILE", help="A recipe, instead of clean.recipe.")
]
BATCH = 500
"""Events that are taken at once."""


@app.callback()
def _group() -> None: ...


@app.command(epilog=example("rillet clean check", "rillet clean check --recipe recipe.yaml --json"))
def check(recipe: Recipe = None, config: Config = None, as_json: Json = False) -> None:
    """Read a recipe as a worker does at its start: its label, and its steps in their order."""
    found = _settings(recipe, config).path().clean
    steps = [{"step": each.label, "sources": list(each.sources)} for each in found.steps]
    if as_json:
        print_json({"recipe": found.label, "steps": steps})
        return
    print(f"recipe {found.label}, {len(steps)} step{'s' * (len(steps) != 1)}")
    for number, step in enumerate(steps, 1):
        print(f"{number:3}. {step['step']}: {', '.join(step['sources'])}")


@app.command(
    epilog=example(
        "rillet clean preview events.csv.gz --mapping my-shop.toml --recipe recipe.yaml",
        "rillet clean preview --topic events.browse --examples 10",
    )
)
def preview(
    file: Annotated[str | None, typer.Argument(help="A log; or name a topic.")] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What its columns mean; guessed by default."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Take the newest records of this topic of events instead.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Events to look at, at most.")] = 10_000,
    examples: Annotated[int, typer.Option(min=0, help="Changes to show of each step.")] = 5,
    recipe: Recipe = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show on a sample how many events each step changes, and what becomes what. Nothing is written."""
    from models.clean.preview import Preview
    from models.path import Path as PurePath

    if (file is None) == (topic is None):
        raise InputError("A log or a topic is needed.", fix="rillet clean preview events.csv.gz")
    settings = _settings(recipe, config)
    path = PurePath(settings.path()._replace(learn=settings.learn.model_copy(update={"enabled": False})))
    if not path.cleaner.recipe.steps:
        raise InputError("There is no recipe.", fix="Name one with --recipe, or set clean.recipe.")
    found = Preview(path)
    records = _of_log(file, mapping, limit) if file else _of_topic(settings, str(topic), limit)
    for batch in _batches(records):
        found.take(batch)
    if as_json:
        print_json(_as_json(found, path.cleaner.label, examples))
        return
    _print(found, path.cleaner.label, examples)


def _settings(recipe: Path | None, config: Config) -> "Settings":
    from streams.settings import load

    settings = load(config)
    if recipe is None:
        return settings
    return settings.model_copy(update={"clean": settings.clean.model_copy(update={"recipe": str(recipe)})})


def _of_log(file: str, mapping: str | None, limit: int) -> "Iterator[Record]":
    from itertools import islice

    import msgspec

    from models.evaluate.of_path import LoggedRecord
    from streams.log import read_log

    for offset, (topic, event, _) in enumerate(islice(read_log(file, mapping), limit)):
        key, value = event.user_id.encode(), msgspec.json.encode(event)
        yield LoggedRecord(topic, 0, offset, event.time_ms, key, value)


def _of_topic(settings: "Settings", topic: str, limit: int) -> "Sequence[Record]":
    from schemas import topics
    from streams.inventory.cluster import Cluster
    from streams.inventory.sample import samples

    cluster = Cluster(settings.kafka)
    there = cluster.topics()
    if topic not in topics.BEHAVIOUR or topic not in there:
        raise InputError(
            f"There is no topic of events called {topic!r}.",
            fix=f"Take one of {', '.join(topics.BEHAVIOUR)}.",
        )
    partitions = there[topic].partitions
    places = [(topic, partition) for partition in partitions]
    oldest, ends = cluster.oldest(places), cluster.ends(places)
    edges = {place: (oldest[place].offset, ends[place].offset) for place in places if place in ends}
    n = max(1, limit // max(len(partitions), 1))
    found = [
        record
        for _, some in samples(settings.kafka, {topic: partitions}, edges, n, cluster.note)
        for record in some
    ]
    return sorted(found, key=lambda record: (record.partition, record.offset))


def _batches(records: "Iterable[Record]") -> "Iterator[list[Record]]":
    for _, same in groupby(records, key=attrgetter("topic", "partition")):
        batch: list[Record] = []
        for record in same:
            batch.append(record)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _as_json(found: "Preview", label: str, examples: int) -> dict[str, Any]:
    return {
        "recipe": label,
        "events": dict(found.n_events),
        "steps": [
            {
                "step": step.name,
                "events": step.n_events,
                "changes": [{**change._asdict(), "n": n} for change, n in step.changes],
            }
            for step in found.done(examples)
        ],
    }


def _print(found: "Preview", label: str, examples: int) -> None:
    from streams.evaluation_report.words import printable

    n = sum(found.n_events.values())
    note(f"recipe {label}, {n:,} events: " + ", ".join(f"{s} {k:,}" for s, k in found.n_events.items()))
    for step in found.done(examples):
        changed = sum(step.n_events.values())
        print(f"{step.name}: {changed:,} events ({changed / n if n else 0:.1%}){_by_source(step)}")
        for (field, before, after), times in step.changes:
            print(f"    {field} {printable(_said(before))} > {printable(_said(after))}, {times:,} times")


def _by_source(step: "StepDone") -> str:
    parts = ", ".join(f"{source} {n:,}" for source, n in step.n_events.items())
    return f": {parts}" if parts else ""


def _said(value: Any) -> str:
    return "nothing" if value is None else repr(value)
