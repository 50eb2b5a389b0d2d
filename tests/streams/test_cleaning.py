"""A recipe at work: read at the start, followed by a worker on a broker, shown by the commands."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from chaos import WorkerProcess, read_all, wait_for
from command import rillet
from confluent_kafka import Producer

from models.knowledge import facts
from schemas import headers, topics
from schemas.events import AnyEvent, Browse
from schemas.quality import QualityReport
from streams import broker
from streams.cleaning import declared
from streams.errors import SettingsError

RECIPE = """
version: "7"
steps:
  - {do: normalise, fields: [category, brand]}
  - {do: alias, file: variants.csv}
  - {do: merge, within_s: 2}
  - {do: cap, events: 30}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe")
    (path / "recipe.yaml").write_text(RECIPE)
    (path / "variants.csv").write_text("shoe-red,shoe\n")
    return path


def test_a_list_of_two_columns_is_part_of_the_recipe(folder: Path) -> None:
    found = declared(str(folder / "recipe.yaml"), 128)
    assert found.steps[1].model_dump()["values"] == {"shoe-red": "shoe"}
    assert declared(None, 128).steps == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: '1'\nsteps: [{do: polish}]", "steps[0]"),
        ("version: '1'\nsteps: [{do: alias, file: nowhere.csv}]", "nowhere.csv"),
        ("version: '1'\nsteps: [{do: alias, file: bad.csv}]", "line 1: two columns are expected"),
        ("version: '1'\nsteps: [{do: cap, events: 500}]", "a state remembers 128 events"),
        ("version: [", "while parsing"),
        ("[" * 5_000, "cannot be followed"),
        ("just words", "a version and steps are expected"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_way_out(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.csv").write_text("one\n")
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        declared(str(tmp_path / "recipe.yaml"), 128)
    assert said in str(refused.value)
    assert "docs/cleaning.md" in str(refused.value)


def test_a_worker_does_not_start_by_a_recipe_that_makes_no_sense(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("version: '1'\nsteps: [{do: polish}]")
    (tmp_path / "rillet.toml").write_text(f"[clean]\nrecipe = '{tmp_path / 'recipe.yaml'}'\n")
    done = rillet("worker", "--config", tmp_path / "rillet.toml")
    assert done.returncode == 2
    assert "steps[0]" in done.stderr


def test_check_tells_the_label_and_the_steps(folder: Path) -> None:
    done = rillet("clean", "check", "--recipe", folder / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recipe 7-")
    assert "  3. merge: events.browse, events.search, events.purchase, events.feedback" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("x.csv", "--topic", "events.browse"), ("x.csv",)])
def test_a_preview_says_what_it_needs(arguments: tuple[str, ...]) -> None:
    done = rillet("clean", "preview", *arguments)
    assert done.returncode == 2
    assert "fix:" in done.stderr


def test_a_preview_of_a_log_shows_what_becomes_what(folder: Path, tmp_path: Path) -> None:
    rows = [f"2020-09-01 10:00:{n:02} UTC,view,shoe-red,1, Shoes,ACME,5.0,u{n},s{n}" for n in range(9)]
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
    (tmp_path / "log.csv").write_text("\n".join([head, *rows]) + "\n")
    recipe = ("--recipe", folder / "recipe.yaml", "--mapping", "rees46-sample")
    done = rillet("clean", "preview", tmp_path / "log.csv", *recipe, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    normalised, alias = told["steps"][:2]
    assert told["events"] == {"events.browse": 9}
    assert normalised["events"] == {"events.browse": 9}
    assert {"field": "brand", "before": "ACME", "after": "acme", "n": 9} in normalised["changes"]
    assert alias["changes"] == [{"field": "item_id", "before": "shoe-red", "after": "shoe", "n": 9}]
    assert (
        "item_id 'shoe-red' > 'shoe', 9 times"
        in rillet("clean", "preview", tmp_path / "log.csv", *recipe).stdout
    )


class Cluster(NamedTuple):
    servers: str
    worker: WorkerProcess
    recipe: str
    """Its label."""


@pytest.fixture(scope="module")
def cluster(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A worker that has followed the recipe over 60 events."""
    path = tmp_path_factory.mktemp("worker")
    with broker.embedded() as servers:
        extra = {
            "RILLET_CLEAN__RECIPE": str(folder / "recipe.yaml"),
            "RILLET_QUALITY__WINDOW_S": "1",
            "RILLET_QUALITY__ALLOWED_LATENESS_S": "1",
            "RILLET_QUALITY__QUIET_S": "1",
        }
        with WorkerProcess(servers, "app", "w1", path, extra).start() as worker:
            wait_for(worker.ready, "the worker is ready", worker=worker)
            send(servers, events(int(time.time() * 1_000)))
            taken = f'rillet_records_total{{topic="{topics.BROWSE}"}}'
            wait_for(lambda: worker.metrics().get(taken) == 80, "all events are taken", worker=worker)
            yield Cluster(servers, worker, declared(str(folder / "recipe.yaml"), 128).label)


def events(now_ms: int) -> list[AnyEvent]:
    """Twenty shoppers look twice at a variant, under two ids; a bot looks at forty items."""
    found: list[AnyEvent] = []
    bucket_ms = now_ms // 2_000 * 2_000 - 60_000
    for n in range(20):
        head: dict[str, Any] = {
            "user_id": f"u{n}",
            "category": f" Shoes{' ' * (n % 3)}",
            "item_id": "shoe-red",
        }
        found.append(Browse(event_id=f"a{n}", time_ms=bucket_ms, **head))
        found.append(Browse(event_id=f"b{n}", time_ms=bucket_ms + 500, **head))
    bot = (
        Browse(event_id=f"c{n}", user_id="bot", time_ms=bucket_ms + 1_000 * n, item_id=f"i{n}")
        for n in range(40)
    )
    return [*found, *bot]


def send(servers: str, found: list[AnyEvent]) -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    for event in found:
        producer.produce(topics.BROWSE, msgspec.json.encode(event), event.user_id.encode())
    assert producer.flush(20) == 0


def test_what_all_workers_learn_is_clean_and_says_by_which_recipe(cluster: Cluster) -> None:
    def told() -> list[Any]:
        return read_all(cluster.servers, topics.INTERACTIONS)

    wait_for(lambda: sum(len(facts.decode(m.value()).column("item")) for m in told()) >= 50, "all is learned")
    records = told()
    hints = {hint.item_id: hint.category for m in records for hint in facts.decode(m.value()).items}
    n = sum(len(facts.decode(m.value()).column("item")) for m in records)
    assert n == 20 + 30, "a look by each of twenty shoppers, and those of the bot up to the cap"
    assert hints["shoe"] == "shoes"
    assert "shoe-red" not in hints
    assert {dict(m.headers())[headers.RECIPE].decode() for m in records} == {cluster.recipe}
    slates = read_all(cluster.servers, topics.SLATES)
    assert {dict(m.headers())[headers.RECIPE].decode() for m in slates} == {cluster.recipe}
    assert any(m.key() == b"bot" for m in slates), "a bot is served as ever"


def test_quality_is_of_what_arrived_and_counts_what_was_cleaned(cluster: Cluster) -> None:
    def reports() -> list[QualityReport]:
        values = (m.value() for m in read_all(cluster.servers, topics.QUALITY))
        return [msgspec.json.decode(value, type=QualityReport) for value in values]

    wait_for(lambda: sum(each.n_accepted for each in reports()) == 80, "all windows are closed")
    total: dict[str, int] = {}
    for each in reports():
        for step, n in {**each.cleaned, **each.recipes}.items():
            total[step] = total.get(step, 0) + n
    assert total == {
        "normalise category brand": 40,
        "alias item_id": 40,
        "merge": 20,
        "cap": 10,
        cluster.recipe: 80,
    }
    counted = cluster.worker.metrics()
    assert counted[f'rillet_cleaned_total{{step="merge",topic="{topics.BROWSE}"}}'] == 20


def test_a_preview_of_a_topic_and_the_lineage_show_the_recipe(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "rillet.toml").write_text(
        f"[kafka]\nbootstrap_servers = '{cluster.servers}'\n[clean]\nrecipe = '{folder / 'recipe.yaml'}'\n"
    )
    done = rillet(
        "clean", "preview", "--topic", topics.BROWSE, "--config", tmp_path / "rillet.toml", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["recipe"] == cluster.recipe
    assert {step["step"]: sum(step["events"].values()) for step in told["steps"]} == {
        "normalise category brand": 40,
        "alias item_id": 40,
        "merge": 20,
        "cap": 10,
    }
    out = tmp_path / "lineage.jsonl"
    done = rillet("inventory", "--openlineage", out, "--config", tmp_path / "rillet.toml")
    assert done.returncode in (0, 1), done.stderr
    jobs = [each["job"] for each in map(json.loads, out.read_text().splitlines()) if "job" in each]
    (clean,) = [job for job in jobs if job["name"] == "clean"]
    assert clean["facets"]["sourceCode"]["sourceCode"].splitlines()[:2] == [
        cluster.recipe,
        "1. normalise category brand: " + ", ".join((*topics.BEHAVIOUR, topics.ITEMS, topics.PROMOTIONS)),
    ]
