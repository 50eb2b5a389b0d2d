"""One look at a cluster: ask, sample, ask again for what grew meanwhile, and put the assets together."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import msgspec
from confluent_kafka import KafkaException

from models.inventory import scoring, worth
from models.inventory.asset import Context, Inferred, Observed, asset, infer
from models.inventory.content import contents
from models.inventory.history import continued
from models.inventory.lineage import Lineage, Process, is_own, of_groups, of_rillet
from schemas import topics
from schemas.inventory import Asset, Reader
from schemas.quality import QualityReport
from schemas.value import ValueReport
from streams.errors import BrokerRefusedError
from streams.follow import FollowedRecord
from streams.inventory import groups, ledger
from streams.inventory.cluster import Cluster, Described, Place, matching
from streams.inventory.proposal import proposal
from streams.inventory.sample import samples
from streams.kafka_admin import wanted
from streams.settings import Settings

RECENT_MS: Final = 300_000
"""Records so young make the rate of now."""
LOOK_S: Final = 1.0
"""Least time between the two looks at the ends."""
REPORTS: Final = 500
"""Newest reports on quality, and on values, that are read."""

T = TypeVar("T")

Tell = Callable[[str, int, int], None]
"""Called with a name, how many topics are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What one look found. ``notes`` tell what could not be seen."""

    servers: str
    cluster: str
    time_ms: int
    assets: list[Asset]
    processes: list[Process]
    notes: list[str]
    known: dict[str, Asset]
    """As the last inventory that was published had them."""
    has_ledger: bool
    """Whether there is a topic to publish to."""

    @property
    def unknown(self) -> list[Asset]:
        """Topics that the catalogue does not name."""
        return [each for each in self.assets if not each.known]


class _Offsets:
    """Of all partitions, by time: what is there, what is young, and what came while we looked."""

    def __init__(self, cluster: Cluster, places: Sequence[Place]) -> None:
        self._cluster = cluster
        self._places = places
        self._oldest = cluster.oldest(places)
        self._looked_at = time.monotonic()
        self._ends = cluster.ends(places)
        self.now_ms = time.time_ns() // 1_000_000
        self._recent = cluster.since(places, self.now_ms - RECENT_MS)
        self._of_today = cluster.since(places, self.now_ms - topics.DAY_MS)
        self._later = self._ends
        self._between_s = math.inf

    def look_again(self) -> None:
        """See what came since the first look, which is at least ``LOOK_S`` ago."""
        time.sleep(max(0.0, LOOK_S - (time.monotonic() - self._looked_at)))
        self._later = self._cluster.ends(self._places)
        self._between_s = time.monotonic() - self._looked_at

    @property
    def edges(self) -> dict[Place, tuple[int, int]]:
        """The oldest offset and the end of each partition that has both."""
        return {place: (self._low(place), self._end(place)) for place in self._places}

    def n_records(self, places: Sequence[Place]) -> int:
        """Offsets from the oldest to the end."""
        return sum(self._end(place) - self._low(place) for place in places)

    def behind(self, place: Place, committed: int | None) -> int:
        """Records that are there and not committed as read; 0 for a partition that is gone."""
        return max(0, self._end(place) - max(self._low(place), committed or 0))

    def per_s(self, places: Sequence[Place]) -> float:
        """By the times of the records; by growth where the newest are of the past, as in a log that is replayed."""
        young = [(place, self._recent[place]) for place in places if place in self._recent]
        n = sum(self._end(place) - at.offset for place, at in young)
        if n > 0:
            is_older = any(at.offset > self._low(place) for place, at in young)
            first_ms = min(at.timestamp_ms for _, at in young)
            span_ms = RECENT_MS if is_older else max(1_000, min(RECENT_MS, self.now_ms - first_ms))
            return n * 1000 / span_ms
        grown = sum(self._later[place].offset - self._end(place) for place in places if place in self._later)
        return max(0, grown) / self._between_s

    def of_last_day(self, places: Sequence[Place]) -> int | None:
        """Records of the last day, None where the broker knows no times."""
        if self._cluster.embedded:
            return None
        return sum(
            self._end(place) - self._of_today[place].offset for place in places if place in self._of_today
        )

    def _end(self, place: Place) -> int:
        return self._ends[place].offset if place in self._ends else self._low(place)

    def _low(self, place: Place) -> int:
        return self._oldest[place].offset if place in self._oldest else 0


def look(
    settings: Settings, *, pattern: str | None = None, n_sampled: int = 250, tell: Tell | None = None
) -> Inventory:
    """All topics whose name fits the pattern, each with a sample of the newest ``n_sampled`` records a partition.

    Raises:
        BrokerUnreachableError: no broker answers.
        BrokerRefusedError: it does not list its topics.
    """
    try:
        return _look(settings, pattern, n_sampled, tell or _nobody)
    except KafkaException as error:
        raise BrokerRefusedError(
            f"The topics cannot be listed: {error.args[0].str()}.",
            fix="Grant the user Describe on the cluster, the topics and the groups.",
        ) from error


def _look(settings: Settings, pattern: str | None, n_sampled: int, tell: Tell) -> Inventory:
    cluster = Cluster(settings.kafka)
    there = cluster.topics()
    chosen = {name: each for name, each in there.items() if matching(pattern)(name)}
    catalogue = {each.name: each for each in wanted(settings)}
    known = ledger.before(settings) if topics.ASSETS in there else {}
    config = cluster.settings(list(chosen))
    told = _told(settings, cluster)
    offsets = _Offsets(cluster, _places(there))
    readers = _readers(told, offsets)
    lineage = _lineage(settings, there, told)
    reported = partial(_newest, settings, there, offsets, cluster.note)

    inferred: dict[str, Inferred] = {}
    partitions = {name: each.partitions for name, each in chosen.items()}
    sizes = _record_bytes(chosen, told, offsets)
    for name, records in samples(settings.kafka, partitions, offsets.edges, n_sampled, cluster.note, sizes):
        n_records = offsets.n_records(_places({name: chosen[name]}))
        inferred[name] = _inferred(settings, records, n_records, is_known=name in catalogue)
        tell("topics", len(inferred), len(chosen))
    offsets.look_again()

    context = Context(
        now_ms=offsets.now_ms,
        catalogue=catalogue,
        lineage=lineage,
        reports=scoring.of_reports(reported(topics.QUALITY, QualityReport)),
        values=worth.of_values(reported(topics.VALUE, ValueReport)),
        lag_of_all=sum(each.lag for some in readers.values() for each in some),
    )
    assets = []
    for name, each in chosen.items():
        places = _places({name: each})
        n_records, n_last_day = offsets.n_records(places), offsets.of_last_day(places)
        observed = Observed(
            name=name,
            n_partitions=len(each.partitions),
            replication=each.replication,
            n_records=n_records,
            config=config.get(name, {}),
            size_bytes=None if told.size_bytes is None else told.size_bytes.get(name),
            records_per_s=offsets.per_s(places),
            n_last_day=n_last_day,
            is_older=n_last_day is not None and n_last_day < n_records,
            readers=readers.get(name, ()),
        )
        assets.append(asset(observed, inferred[name], context))
    return Inventory(
        servers=settings.kafka.bootstrap_servers,
        cluster=cluster.id,
        time_ms=offsets.now_ms,
        assets=continued(assets, known),
        processes=lineage.processes,
        notes=cluster.notes,
        known=known,
        has_ledger=topics.ASSETS in there,
    )


def _inferred(
    settings: Settings, records: Sequence[FollowedRecord], n_records: int, *, is_known: bool
) -> Inferred:
    looked_into = contents([each.value for each in records])
    found = None if is_known else proposal(records)
    return infer(
        records,
        looked_into,
        n_records,
        found,
        timely_ms=settings.quality.timely_s * 1000,
        future_ms=settings.ingest.future_tolerance_ms,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Of consumer groups: state, what they read now, and what they have committed."""

    states: Mapping[str, tuple[str, set[Place]]]
    committed: Mapping[str, Mapping[Place, int]]
    size_bytes: Mapping[str, int] | None

    def reads(self, group: str) -> set[Place]:
        """Partitions that a group reads, or has read; its own changelogs are its state, and no reading."""
        places = self.states[group][1] | set(self.committed.get(group, ()))
        return {place for place in places if not is_own(group, place[0])}


def _told(settings: Settings, cluster: Cluster) -> _Told:
    if cluster.embedded:
        cluster.note("the embedded broker tells no consumer groups, sizes on disk, settings or times")
        return _Told({}, {}, None)
    states = cluster.groups()
    answer = groups.ask(settings.kafka, states)
    for note in answer.notes:
        cluster.note(note)
    return _Told(states, answer.committed, answer.size_bytes)


def _record_bytes(chosen: Mapping[str, Described], told: _Told, offsets: _Offsets) -> dict[str, float]:
    """Mean size of a record on disk, of the topics where the brokers tell it."""
    found = {}
    for name, each in chosen.items():
        n_records = offsets.n_records(_places({name: each})) * each.replication
        if told.size_bytes is not None and n_records:
            found[name] = told.size_bytes.get(name, 0) / n_records
    return found


def _readers(told: _Told, offsets: _Offsets) -> dict[str, list[Reader]]:
    """Of each topic the groups that read it, with their lag."""
    found: dict[str, list[Reader]] = {}
    for group, (state, _) in sorted(told.states.items()):
        lag: Counter[str] = Counter()
        committed = told.committed.get(group, {})
        for place in told.reads(group):
            lag[place[0]] += offsets.behind(place, committed.get(place))
        for name, n in lag.items():
            found.setdefault(name, []).append(Reader(group=group, state=state, lag=n))
    return found


def _lineage(settings: Settings, there: Mapping[str, Described], told: _Told) -> Lineage:
    """Rillet's own processes where its topics are; its workers' consumer group is what those processes are."""
    app_id = settings.worker.app_id
    reads = {group: {name for name, _ in told.reads(group)} for group in told.states if group != app_id}
    own = of_rillet(app_id, settings.path().clean)
    return Lineage([*own, *of_groups(reads, there)], there)


def _newest(
    settings: Settings,
    there: Mapping[str, Described],
    offsets: _Offsets,
    note: Callable[[str], None],
    topic: str,
    kind: type[T],
) -> list[T]:
    """The newest reports on a topic of ours; none where it is not there."""
    if topic not in there:
        return []
    decode = msgspec.json.Decoder(kind).decode
    found = []
    partitions = {topic: there[topic].partitions}
    for _, records in samples(settings.kafka, partitions, offsets.edges, REPORTS, note):
        for record in records:
            with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
                found.append(decode(record.value or b""))
    return found


def _places(described: Mapping[str, Described]) -> list[Place]:
    return [(name, partition) for name, each in described.items() for partition in each.partitions]


def _nobody(_: str, __: int, ___: int) -> None:
    """Nobody watches."""
