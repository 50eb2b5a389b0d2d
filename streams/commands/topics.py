"""``rillet topics``: the topics of the catalogue."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json, print_table
from streams.errors import FOUND

app = new_app("Create, compare and describe the topics. Nothing is ever deleted or changed.")


@app.callback()
def _group() -> None: ...


@app.command(epilog=example("rillet topics create", "rillet topics create --config production.toml --json"))
def create(config: Config = None, as_json: Json = False) -> None:
    """Create the topics that are missing. Run it again at will."""
    from streams.kafka_admin import ensure
    from streams.settings import load

    created = ensure(load(config))
    if as_json:
        print_json({"created": created})
    else:
        for name in created:
            print(name)
        note(f"{len(created)} created" if created else "nothing to create: every topic is there")


@app.command(epilog=example("rillet topics diff", "rillet topics diff --json || echo differs"))
def diff(config: Config = None, as_json: Json = False) -> None:
    """Compare the broker's topics with the catalogue. Exit code 1 when they differ."""
    from streams.kafka_admin import differences
    from streams.settings import load

    found = differences(load(config))
    if as_json:
        print_json([difference._asdict() for difference in found])
    elif found:
        print_table(("topic", "what", "wanted", "found"), found)
        note("Missing topics: `rillet topics create`. Settings: `kafka-configs.sh --alter`.")
    else:
        note("as the catalogue has them")
    if found:
        raise typer.Exit(FOUND)


@app.command(
    epilog=example(
        "rillet topics describe",
        "rillet topics describe --json | jq -r '.[].name'",
        "rillet topics describe --write .",
    )
)
def describe(
    write: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Write docs/topics.md and the schemas below this folder instead."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print the catalogue: what each topic holds, its key, and how long it is kept. Asks no broker."""
    from streams.kafka_admin import topic_config, wanted
    from streams.settings import load

    if write:
        return _write_documents(write)
    settings = load(config)
    rows: list[dict[str, Any]] = [
        {
            "name": topic.name,
            "key": topic.key,
            "value": getattr(topic.value_type, "__name__", str(topic.value_type)),
            "owner": topic.owner,
            "partitions": topic.partitions,
            "replication": settings.topics.replication,
            "config": topic_config(topic, settings.topics),
            "description": topic.description,
        }
        for topic in wanted(settings)
    ]
    if as_json:
        print_json(rows)
    else:
        columns = ("name", "key", "owner", "partitions")
        print_table(
            (*columns, "clean-up", "kept"),
            [
                (*(row[column] for column in columns), row["config"]["cleanup.policy"], _kept(row["config"]))
                for row in rows
            ],
        )


def _write_documents(root: Path) -> None:
    from schemas.documents import write

    for path in write(root):
        print(path)


def _kept(config: dict[str, str]) -> str:
    retention_ms = int(config["retention.ms"])
    return "for ever" if retention_ms < 0 else f"{retention_ms / 86_400_000:g} days"
