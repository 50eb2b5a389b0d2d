"""What feeds what: a graph of assets and the processes between them.

Of Rillet's own processes the topology is known; of other consumer groups what they read, and of those that keep tables
by the naming of Faust and Kafka Streams (``<group>-<store>-changelog``, ``-repartition``) what they write there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from models.clean.recipe import SOURCES, Recipe
from schemas import topics

CHANGELOG: Final = "-changelog"
OF_GROUP: Final = (CHANGELOG, "-repartition")
RECOMMENDATIONS: Final = "recommendations."


class Process(NamedTuple):
    """Something that reads assets and writes others."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    description: str = ""
    recipe: str = ""
    """What it does by, in words: a label, then a line for each step."""


class Lineage:
    """The graph over the assets that are there; names of others are passed over."""

    def __init__(self, processes: Iterable[Process], assets: Collection[str]) -> None:
        there = set(assets)
        self.processes = [
            each._replace(reads=reads, writes=writes)
            for each in processes
            if (reads := _known(each.reads, there)) or each.writes
            if (writes := _known(each.writes, there)) or reads
        ]
        self._down: dict[str, set[str]] = {name: set() for name in assets}
        self._up: dict[str, set[str]] = {name: set() for name in assets}
        for process in self.processes:
            for source in process.reads:
                self._down[source] |= {each for each in process.writes if each != source}
            for target in process.writes:
                self._up[target] |= {each for each in process.reads if each != target}

    def upstream(self, asset: str) -> list[str]:
        """What it is made from."""
        return sorted(self._up[asset])

    def downstream(self, asset: str) -> list[str]:
        """What is made from it."""
        return sorted(self._down[asset])

    def reaches(self, asset: str) -> list[str]:
        """The topics of recommendations below it, at any distance."""
        passed, waiting = {asset}, [asset]
        while waiting:
            new = self._down[waiting.pop()] - passed
            passed |= new
            waiting += new
        return sorted(each for each in passed - {asset} if each.startswith(RECOMMENDATIONS))


def of_rillet(app_id: str, cleaning: Recipe | None = None) -> tuple[Process, ...]:
    """What the parts of Rillet read and write. A test holds that every topic of the catalogue is in it."""
    tables = {each.name.removesuffix(CHANGELOG).removeprefix(f"{app_id}-"): each.name
              for each in topics.changelogs(app_id)}  # fmt: skip
    catalog = (topics.ITEMS, topics.PROMOTIONS)
    shared = (topics.INTERACTIONS, topics.PARAMETERS, topics.VERSIONS)
    return (
        *_cleaning(cleaning, tables["interest"]),
        Process("ingest", (*topics.BEHAVIOUR, *catalog), (topics.DEAD_LETTER,), "Refuses what is no event."),
        Process(
            "interest",
            topics.BEHAVIOUR,
            (tables["interest"], topics.INTERACTIONS),
            "Keeps each user's state, and tells all workers what was done.",
        ),
        Process(
            "serve",
            (*topics.BEHAVIOUR, tables["interest"], *catalog, *shared),
            (topics.SLATES,),
            "Retrieves and ranks a slate for each event.",
        ),
        Process(
            "publish",
            (*catalog, topics.INTERACTIONS),
            (topics.TRENDING, topics.RELATED),
            "Writes leaderboards and related items.",
        ),
        Process(
            "learn",
            (*topics.BEHAVIOUR, topics.PARAMETERS),
            (topics.PARAMETERS, topics.MODEL, topics.AUDIT),
            "Learns the order of slates from what comes of them.",
        ),
        Process("value", topics.BEHAVIOUR, (topics.VALUE,), "Tells what each source of data is worth."),
        Process(
            "shadows", topics.BEHAVIOUR, (topics.VALUE,), "Learns a slice of the users without each source."
        ),
        Process(
            "quality", topics.BEHAVIOUR, (tables["quality"], topics.QUALITY), "Measures each source of data."
        ),
        Process(
            "monitor",
            (topics.QUALITY,),
            (topics.CHECKS, topics.ALERTS, topics.AUDIT),
            "Judges the windows of each source, and acts on those that fail.",
        ),
        Process(
            "selection",
            (topics.VALUE, topics.AUDIT),
            (topics.AUDIT, topics.ALERTS),
            "Proposes to drop what is worth nothing; where it may, lets challengers compete that do without.",
        ),
        Process(
            "trainer",
            (topics.ITEMS, topics.INTERACTIONS, topics.VERSIONS),
            (topics.VERSIONS, topics.AUDIT),
            "Learns the embedding model.",
        ),
        Process(
            "inventory",
            (topics.QUALITY, topics.VALUE, topics.ASSETS),
            (topics.ASSETS,),
            "Lists what there is.",
        ),
    )


def _cleaning(recipe: Recipe | None, states: str) -> Iterator[Process]:
    """What is cleaned on its way to states, shared knowledge and scorers, where anything is."""
    if recipe is None or not recipe.steps:
        return
    named = {source for step in recipe.steps for source in step.sources}
    lines = [
        f"{number}. {step.label}: {', '.join(step.sources)}" for number, step in enumerate(recipe.steps, 1)
    ]
    yield Process(
        "clean",
        tuple(source for source in SOURCES if source in named),
        (states, topics.INTERACTIONS, topics.PARAMETERS),
        f"Cleans by recipe {recipe.label}, before anyone learns.",
        "\n".join([recipe.label, *lines]),
    )


def is_own(group: str, name: str) -> bool:
    """Whether a topic is one that a consumer group keeps for itself, by its name."""
    return name.startswith(f"{group}-") and name.endswith(OF_GROUP)


def of_groups(reads: Mapping[str, Collection[str]], there: Collection[str]) -> Iterator[Process]:
    """A process for each consumer group, by what it reads and which of the topics there are bear its name."""
    for group, read in sorted(reads.items()):
        own = tuple(name for name in sorted(there) if is_own(group, name))
        yield Process(group, tuple(sorted(read)), own, "Consumer group.")


def _known(names: Iterable[str], there: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in there)
