"""What the monitor finds, how soon, and how often it cries wolf: ``python tests/bench/quality_faults.py [SEED...]``.

A simulated shop runs for a clean week of event time with the rhythm of a day, over four partitions and windows of
twenty minutes, through ingest and the quality stage as a worker has them. Alerts of that week are false. Then a fault
is put into the sixth day from noon on, in a copy of the state of then, for four hours. Delay counts windows from
the first with the fault, and events of the source until that window closed; a window is judged two windows later.
Thresholds are the defaults; they were set on seeds 11 to 22, after looks at 7 to 9, 31 to 33 and 41 to 43; 51 to 53
are fresh.
"""

import copy
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from bench_result import write

from models.ingest import Ingest, IngestCatalog
from models.ingest.settings import IngestSettings
from models.knowledge.base import KnowledgeBase
from models.knowledge.settings import KnowledgeSettings
from models.quality.agreement import agreement
from models.quality.monitor.monitor import Judged, Monitor
from models.quality.monitor.settings import MonitorSettings
from models.quality.observe import NO, NOT_APPLICABLE, YES, QualityBatch, observe
from models.quality.partition import PartitionProfiles, close, watermark
from models.quality.settings import QualitySettings
from models.retrieve.settings import RetrieveSettings
from models.simulate.settings import SimulateSettings
from models.simulate.shop import Shop
from schemas import topics
from schemas.checks import Status
from schemas.events import AnyEvent, Purchase
from streams.log import read_log

START_MS = 1_699_833_600_000  # a midnight
WINDOW_S, N_PARTITIONS, DAYS, HOURS = 1_200, 4, 7, 4
FAULTY_FROM_S = 5 * 86_400 + 12 * 3_600
RATE = 0.5
MAX_LOGGED = 150_000
DATA = Path(__file__).parents[3] / "shared" / "data"


class Sent(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


Raw = dict[str, Any]


class Stage:
    """Ingest, what is known of items, the quality stage and the monitor, as one value that can be copied."""

    def __init__(self, window_s: int) -> None:
        settings = QualitySettings(window_s=window_s)
        self.ingest, self.settings = Ingest(IngestSettings()), settings
        self.books: dict[tuple[str, int], PartitionProfiles] = {}
        self.monitor = Monitor(MonitorSettings())
        self.seen: set[str] = set()
        self.viewed: dict[str, set[str]] = defaultdict(set)
        self.offsets: Counter[tuple[str, int]] = Counter()

    def copy(self) -> "Stage":
        """All of it anew, but for what has no state."""
        other = copy.copy(self)
        other.books, other.monitor = copy.deepcopy((self.books, self.monitor))
        other.seen, other.offsets = set(self.seen), Counter(self.offsets)
        other.viewed = defaultdict(set, {user: set(items) for user, items in self.viewed.items()})
        return other

    def take(self, records: Iterable[Sent], knowledge: KnowledgeBase) -> Iterator[Judged]:
        by_place: dict[tuple[str, int], list[Sent]] = {}
        now_ms = 0
        for record in records:
            now_ms = max(now_ms, record.timestamp)
            place = record.topic, record.partition
            by_place.setdefault(place, []).append(record._replace(offset=self.offsets[place]))
            self.offsets[place] += 1
        for place, given in by_place.items():
            book = self.books.setdefault(place, PartitionProfiles(*place, self.settings))
            observe(book, self._batch(place, given, knowledge))
        for _, book in sorted(self.books.items()):
            for profile in close(book, watermark(book, now_ms)):
                yield from self.monitor.add(profile)

    def _batch(self, place: tuple[str, int], given: list[Sent], knowledge: KnowledgeBase) -> QualityBatch:
        ingested = self.ingest(given)
        events = [accepted.event for accepted in ingested.accepted]
        duplicate, known, viewed = [], [], []
        for event in events:
            duplicate.append(event.event_id in self.seen)
            self.seen.add(event.event_id)
            items = _items(event)
            known.append((YES if knowledge.all_catalogued(items) else NO) if items else NOT_APPLICABLE)
            mine = self.viewed[event.user_id]
            bought = isinstance(event, Purchase)
            viewed.append((YES if mine.issuperset(items) else NO) if bought else NOT_APPLICABLE)
            mine.update(items)
        now_ms = max(each.timestamp for each in given)
        return QualityBatch(
            *place,
            ingested,
            np.array([accepted.timestamp for accepted in ingested.accepted], np.int64),
            np.array(duplicate, np.bool_),
            np.array(known, np.int8),
            np.array(viewed, np.int8),
            agreement(events, knowledge),
            now_ms,
        )


def _items(event: AnyEvent) -> list[str]:
    if isinstance(event, Purchase):
        return [line.item_id for line in event.lines]
    return [event.item_id] if hasattr(event, "item_id") else list(getattr(event, "item_ids", ()))


class World:
    """The clean week, made once: events by window, and the catalogue."""

    def __init__(self, seed: int) -> None:
        settings = SimulateSettings(
            seed=seed,
            events_per_s=RATE,
            n_shoppers=5_000,
            slice_events=2_000,
            oracle_share=0.0,
            bot_share=0.0,
        )
        rng = np.random.default_rng(seed)
        shop = Shop(settings, rng, START_MS)
        self.knowledge = KnowledgeBase(KnowledgeSettings(), RetrieveSettings())
        catalog = IngestCatalog(IngestSettings())
        entries = [
            Sent(topics.ITEMS, 0, i, START_MS, entry.item_id.encode(), msgspec.json.encode(entry))
            for i, entry in enumerate(each for each in shop.catalogue() if hasattr(each, "item_id"))
        ]
        self.knowledge.describe([(change.id, change.entry) for change in catalog(entries).changes])
        self.steps: list[list[Sent]] = []
        for until_s in range(WINDOW_S, DAYS * 86_400 + 1, WINDOW_S):
            batch = shop.advance(float(until_s), START_MS + until_s * 1_000)
            lags = np.exp(rng.normal(np.log(120), 0.5, batch.n)).astype(int).tolist()
            self.steps.append(
                [
                    Sent(topic, sum(key) % N_PARTITIONS, 0, at_ms + lag, key, value)
                    for topic, key, value, at_ms, lag in zip(
                        batch.topics, batch.keys, batch.values, batch.time_ms, lags, strict=True
                    )
                    if topic in topics.BEHAVIOUR
                ]
            )


def changed(record: Sent, change: Callable[[Raw], Raw]) -> Sent:
    assert record.value is not None
    return record._replace(value=msgspec.json.encode(change(msgspec.json.decode(record.value))))


def on_parts(event: Raw, change: Callable[[Raw], Raw]) -> Raw:
    """The event and its lines changed."""
    event = change(event)
    return event | {"lines": [change(line) for line in event["lines"]]} if "lines" in event else event


class Faulty:
    """Each fault as a change of a window's records."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def nulls(self, records: list[Sent]) -> list[Sent]:
        """Price and brand are left out of 20% of the events."""
        without = lambda part: {k: v for k, v in part.items() if k not in ("price", "brand")}  # noqa: E731
        return [changed(r, lambda e: on_parts(e, without)) if self._hit(0.2) else r for r in records]

    def duplicates(self, records: list[Sent]) -> list[Sent]:
        """10% are sent twice."""
        return [each for r in records for each in ([r, r] if self._hit(0.1) else [r])]

    def clock_behind(self, records: list[Sent]) -> list[Sent]:
        """The clocks of a fifth of the senders are five minutes behind."""
        return [self._moved(r, -300_000) if sum(r.key or b"") // 7 % 5 == 0 else r for r in records]

    def clock_ahead(self, records: list[Sent]) -> list[Sent]:
        """The clocks of two fifths of the senders are ten seconds ahead."""
        return [self._moved(r, 10_000) if sum(r.key or b"") // 7 % 5 < 2 else r for r in records]

    def _moved(self, record: Sent, by_ms: int) -> Sent:
        return changed(record, lambda e: e | {"time_ms": e["time_ms"] + by_ms})

    def cents(self, records: list[Sent]) -> list[Sent]:
        """Prices are in cents."""
        cents = lambda part: part | ({"price": part["price"] * 100} if "price" in part else {})  # noqa: E731
        return [changed(r, lambda e: on_parts(e, cents)) for r in records]

    def renames(self, records: list[Sent]) -> list[Sent]:
        """A quarter of the categories have new names."""

        def renamed(part: Raw) -> Raw:
            name = part.get("category")
            return part | ({"category": f"{name} 2"} if name and sum(name.encode()) % 4 == 0 else {})

        return [changed(r, lambda e: on_parts(e, renamed)) for r in records]

    def dropped_partition(self, records: list[Sent]) -> list[Sent]:
        """Nothing comes from partition 2."""
        return [r for r in records if r.partition != 2]

    def bot(self, records: list[Sent]) -> list[Sent]:
        """One user more, with a quarter as many events of browsing as all others."""
        browsed = [r for r in records if r.topic == topics.BROWSE]
        taken = [browsed[i] for i in self._rng.choice(len(browsed), len(browsed) // 4, replace=False)]
        told = [
            changed(r, lambda e: e | {"user_id": "crawler", "event_id": f"c{e['event_id']}"})._replace(
                key=b"crawler", partition=sum(b"crawler") % N_PARTITIONS
            )
            for r in taken
        ]
        return sorted([*records, *told], key=lambda r: r.timestamp)

    def shuffled_category(self, records: list[Sent]) -> list[Sent]:
        """The categories of a window's events are exchanged at random; each is as frequent as ever."""
        raw = [msgspec.json.decode(r.value or b"") for r in records]
        at = [i for i, each in enumerate(raw) if "category" in each]
        moved = dict(zip(at, (raw[i]["category"] for i in self._rng.permutation(at)), strict=True))
        return [
            r._replace(value=msgspec.json.encode(raw[i] | {"category": moved[i]})) if i in moved else r
            for i, r in enumerate(records)
        ]

    def _hit(self, share: float) -> bool:
        return bool(self._rng.random() < share)


FAULTS = (
    "nulls", "duplicates", "clock_behind", "clock_ahead", "cents", "renames", "dropped_partition", "bot",
    "shuffled_category",
)  # fmt: skip


def run(seed: int) -> dict[str, Any]:
    world = World(seed)
    stage, first = Stage(WINDOW_S), FAULTY_FROM_S // WINDOW_S
    wrong: list[Judged] = []
    n_checks, before = 0, stage
    for i, records in enumerate(world.steps):
        if i == first:
            before = stage.copy()
        for judged in stage.take(records, world.knowledge):
            n_checks += len(judged.report.checks)
            wrong.append(judged)
    alerts = [a for judged in wrong for a in judged.alerts if a.result.status != Status.PASS]
    names = Counter(f"{a.source} {a.result.check} {a.result.field} {a.result.status}".strip() for a in alerts)
    found = {fault: fault_found(world, before.copy(), fault, seed, first) for fault in FAULTS}
    return {
        "seed": seed,
        "events": sum(map(len, world.steps)),
        "windows": len(world.steps),
        "checks": n_checks,
        "false_alarms": dict(names),
        "faults": found,
    }


def fault_found(world: World, stage: Stage, fault: str, seed: int, first: int) -> dict[str, Any]:
    spoil = getattr(Faulty(seed), fault)
    begins_ms = START_MS + first * WINDOW_S * 1_000
    alerts = []
    counts: Counter[str] = Counter()
    spoilt_steps = []
    for i in range(first, first + HOURS * 3_600 // WINDOW_S):
        spoilt_steps.append(spoil(world.steps[i]))
        for judged in stage.take(spoilt_steps[-1], world.knowledge):
            alerts += [
                a for a in judged.alerts if a.result.status != Status.PASS and a.window_start_ms >= begins_ms
            ]
    if not alerts:
        return {"detected": False}
    earliest = min(alerts, key=lambda a: (a.window_start_ms, a.result.status != Status.FAIL))
    n_windows = (earliest.window_end_ms - begins_ms) // (WINDOW_S * 1_000)
    for step in spoilt_steps[:n_windows]:
        counts.update(r.topic for r in step)
    checks = Counter(
        f"{a.source.removeprefix('events.')} {a.result.check} {a.result.field}".strip() for a in alerts
    )
    return {
        "detected": True,
        "windows": n_windows,
        "events": counts[earliest.source],
        "first": f"{earliest.source} {earliest.result.check} {earliest.result.field} {earliest.result.status}",
        "evidence": earliest.result.evidence,
        "checks": sorted(checks),
    }


def real(name: str, file: str, window_s: int) -> dict[str, Any]:
    """Alerts over a log of a real shop; nobody knows whether they are false."""
    path = DATA / name / file
    if not path.exists():
        return {"missing": str(path.name)}
    stage = Stage(window_s)
    knowledge = KnowledgeBase(KnowledgeSettings(), RetrieveSettings())
    n_windows = n_checks = n_events = 0
    names: Counter[str] = Counter()
    step: list[Sent] = []
    began_ms: int | None = None
    for event in (logged.event for logged in islice(read_log(path, name), MAX_LOGGED)):
        began_ms = event.time_ms if began_ms is None else began_ms
        key = event.user_id.encode()
        step.append(
            Sent(
                topics.of_event(event),
                sum(key) % N_PARTITIONS,
                0,
                event.time_ms + 100,
                key,
                msgspec.json.encode(event),
            )
        )
        n_events += 1
        if event.time_ms - began_ms >= window_s * 1_000:
            for judged in stage.take(step, knowledge):
                n_windows, n_checks = n_windows + 1, n_checks + len(judged.report.checks)
                names.update(
                    f"{a.source} {a.result.check} {a.result.field} {a.result.status}".strip()
                    for a in judged.alerts
                    if a.result.status != Status.PASS
                )
            step, began_ms = [], event.time_ms
    return {
        "events": n_events,
        "windows": n_windows,
        "checks": n_checks,
        "window_s": window_s,
        "alerts": dict(names),
    }


def main(seeds: list[int]) -> None:
    figures: dict[str, Any] = {"shops": [run(seed) for seed in seeds]}
    figures["logs"] = {
        "serenade": real("serenade", "train.tsv.gz", 3_600),
        "taobao-slice": real("taobao-slice", "events.csv.gz", 60),
        "rees46-sample": real("rees46-sample", "events.csv.gz", 60),
    }
    write("quality_faults", figures)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [7, 8, 9, 51, 52, 53])
