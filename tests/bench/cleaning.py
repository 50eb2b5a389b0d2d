"""What cleaning gains on a log that was soiled on purpose, and what it costs: ``python tests/bench/cleaning.py``.

The rees46 sample, as it is, and with each fault put into it: labels in other cases and with spaces, half of the
categories renamed halfway, prices in cents halfway, a fifth of the looks under ids of variants, a sixth of the looks
sent twice under other ids, and bots that look at anything with a third as many events as all others. Each soiled log
is followed twice side by side, with and without the recipe; the trials are those of the clean log's second half, by
its own ids, so that nothing that was put in is counted. Intervals are a bootstrap over users, paired.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_result import write
from msgspec.structs import replace
from xxhash import xxh32_intdigest

from models.clean.cleaner import Cleaner
from models.clean.recipe import recipe
from models.evaluate.apart import apart
from models.evaluate.of_path import OfPath, Take
from models.evaluate.prequential import Prequential
from models.evaluate.result import differences, scores
from models.knowledge.base import KnowledgeBase
from models.path import Path as PurePath
from schemas import topics
from schemas.events import AnyEvent, Browse, Purchase
from streams.evaluation import REPEATS, settings_of
from streams.log import read_log

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOG = DATA / "rees46-sample" / "events.csv.gz"
BATCH, K = 8, 20
BOT, COPY = "bot-", "copy-"
FAULTS = ("labels", "renames", "cents", "variants", "copies", "bots")


def share(event: AnyEvent, salt: str) -> float:
    """A number from 0 to 1 that is the event's own."""
    return float(xxh32_intdigest(f"{salt} {event.event_id}".encode()) / 2**32)


def with_more(events: list[AnyEvent]) -> Iterator[AnyEvent]:
    """The log with copies of looks, and bots that look at anything seen so far."""
    rng, items = np.random.default_rng(7), []
    for number, event in enumerate(events):
        yield event
        if isinstance(event, Browse):
            items.append(event.item_id)
            if share(event, COPY) < 1 / 6:
                yield replace(event, event_id=f"{COPY}{event.event_id}")
        if items and rng.random() < 1 / 3:
            item = items[rng.integers(len(items))]
            yield Browse(
                event_id=f"{BOT}{number}", user_id=f"{BOT}{number % 3}", time_ms=event.time_ms, item_id=item
            )


def changed(event: AnyEvent, **fields: Any) -> AnyEvent:
    """The event, and its lines, with ``fields`` made of their own values."""

    def of(part: Any) -> Any:
        new = {name: change(getattr(part, name)) for name, change in fields.items() if hasattr(part, name)}
        return replace(part, **{name: value for name, value in new.items() if value is not None})

    event = of(event)
    return replace(event, lines=[of(line) for line in event.lines]) if isinstance(event, Purchase) else event


def renamed(category: str | None) -> str | None:
    """Half of the categories have another name."""
    return f"{category} (new)" if category and xxh32_intdigest(category.encode()) % 2 else category


def soiled(faults: frozenset[str], half_ms: int) -> Take:
    """What comes of an event under these faults; None of what would not have come."""

    def take(event: AnyEvent) -> AnyEvent | None:
        if event.event_id.startswith(BOT) and "bots" not in faults:
            return None
        if event.event_id.startswith(COPY) and "copies" not in faults:
            return None
        later, at = event.time_ms >= half_ms, share(event, "fault")
        if "renames" in faults and later:
            event = changed(event, category=renamed)
        if "labels" in faults and at < 0.4:
            loud = lambda label: f" {label.upper()} " if label else None  # noqa: E731
            event = changed(event, category=loud, brand=loud)
        if "cents" in faults and later and isinstance(event, Browse):
            event = changed(event, price=lambda price: None if price is None else price * 100)
        if "variants" in faults and isinstance(event, Browse) and share(event, "variant") < 0.2:
            event = changed(
                event, item_id=lambda item: f"{item}-v{xxh32_intdigest(event.event_id.encode()) % 3}"
            )
        return event

    return take


def mended(events: list[AnyEvent], half_ms: int) -> dict[str, Any]:
    """The recipe that a shop would declare that knows of its faults."""
    items = {event.item_id for event in events if isinstance(event, Browse)}
    categories = {event.category for event in events if isinstance(event, Browse) and event.category}
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(half_ms // 1000))
    return {
        "version": "bench",
        "steps": [
            {"do": "normalise", "fields": ["category", "brand"]},
            {"do": "map", "field": "category", "values": {f"{c} (new)": c for c in sorted(categories)}},
            {"do": "scale", "field": "price", "factor": 0.01, "sources": [topics.BROWSE], "from": since},
            {"do": "alias", "values": {f"{item}-v{n}": item for item in sorted(items) for n in range(3)}},
            {"do": "merge", "within_s": 5},
            {"do": "cap", "events": 60, "within_s": 3600},
        ],
    }


def followed(events: list[AnyEvent]) -> dict[str, Any]:
    """Hit rate and NDCG with and without cleaning, for each fault and for all of them."""
    half_ms = events[len(events) // 2].time_ms // 1000 * 1000
    plain, _ = settings_of(None, [f"{name}={value}" for name, value in REPEATS.items()])
    settings = plain.path()
    declared = mended(events, half_ms)
    arms = {"clean": (frozenset[str](), settings)}
    arms["clean, with the recipe but for prices"] = (
        frozenset(),
        settings._replace(
            clean=recipe(declared | {"steps": [s for s in declared["steps"] if s["do"] != "scale"]})
        ),
    )
    for name in (*FAULTS, "all"):
        faults = frozenset(FAULTS) if name == "all" else frozenset({name})
        steps = [s for s in declared["steps"] if s["do"] != "scale" or "cents" in faults]
        arms[name] = faults, settings
        arms[f"{name}, cleaned"] = faults, settings._replace(clean=recipe(declared | {"steps": steps}))
    recommenders = [
        OfPath(PurePath(path), name, take=soiled(faults, half_ms)) for name, (faults, path) in arms.items()
    ]
    follower, order = Prequential(recommenders), []
    for batch in apart(with_more(events), BATCH):
        order += [event.event_id for event in batch]
        follower.take(batch)
    put_in = np.array([each.startswith((BOT, COPY)) for each in order])
    at = follower.events.column("at")
    keep = ~put_in[at] & (follower.events.column("time_ms") >= half_ms)
    names, found = list(arms), dict(zip(arms, follower.found, strict=True))
    figures: dict[str, Any] = {"events": len(events), "put_in": int(put_in.sum()), "trials": int(keep.sum())}
    for name in names:
        overall = scores(name, follower.events, found[name], keep, len(follower.items), [K]).overall
        figures[name] = {measure: round(interval.mean, 5) for measure, interval in overall.items()}
    figures["cleaned less soiled"] = {
        name: {
            each.measure: [round(v, 5) for v in (each.interval.mean, each.interval.low, each.interval.high)]
            for each in differences(
                ["cleaned", "soiled"], follower.events, [found[f"{name}, cleaned"], found[name]], keep, K
            )
        }
        for name in (*FAULTS, "all")
    }
    return figures


def cost(events: list[AnyEvent]) -> dict[str, Any]:
    """Microseconds an event by the recipe, in batches of one and of many; best of five."""
    half_ms = events[len(events) // 2].time_ms // 1000 * 1000
    plain, _ = settings_of(None, [])
    knowledge = KnowledgeBase(plain.knowledge, plain.retrieve)
    steps = [*mended(events, half_ms)["steps"][:-1], {"do": "fill", "fields": ["category", "brand", "price"]}]
    cleaner = Cleaner(recipe({"version": "bench", "steps": steps}), knowledge)
    take = soiled(frozenset(FAULTS), half_ms)
    dirty = [event for event in map(take, events[:5_000]) if event is not None]
    found = {}
    for size in (1, 16, 500):
        best = min(_cleaned(cleaner, dirty, size) for _ in range(5))
        found[f"batches of {size}"] = round(best / len(dirty) * 1e6, 2)
    return {"us_per_event": found, "steps": len(steps), "changed_share": round(_changed(cleaner, dirty), 3)}


def _cleaned(cleaner: Cleaner, events: list[AnyEvent], size: int) -> float:
    started = time.perf_counter()
    for first in range(0, len(events), size):
        some = events[first : first + size]
        sources, marking = [topics.of_event(event) for event in some], cleaner.marking(len(some))
        cleaner.fill(sources, cleaner.tidy(sources, some, marking), marking)
        marking.marks()
    return time.perf_counter() - started


def _changed(cleaner: Cleaner, events: list[AnyEvent]) -> float:
    sources, marking = [topics.of_event(event) for event in events], cleaner.marking(len(events))
    cleaner.fill(sources, cleaner.tidy(sources, events, marking), marking)
    return float(np.count_nonzero(marking.marks().bits) / len(events))


def main() -> None:
    if not LOG.exists():
        raise SystemExit(f"{LOG} is missing: set BENCH_DATA to the folder of the logs")
    events = [logged.event for logged in read_log(LOG, "rees46-sample")]
    started = time.monotonic()
    figures = {"cost": cost(events), **followed(events)}
    write("cleaning", figures | {"seconds": round(time.monotonic() - started, 1)})


if __name__ == "__main__":
    main()
