"""``rillet replay``: the event log of a real shop, sent to the topics."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import FOUND, BrokerRefusedError

if TYPE_CHECKING:
    from streams.log import Log, Logged
    from streams.replay.bookmark import Place
    from streams.replay.run import Replay, Replayed
    from streams.settings import KafkaSettings

SHARE_REMEMBERED: Final = 0.5
"""Of the events that a worker remembers of a user, how many may be sent twice after a crash."""

app = new_app()


@app.command(
    epilog=example(
        "rillet replay events.csv.gz --mapping rees46-sample",
        "rillet replay clicks.parquet --mapping shop.toml --speed 60x --shift now",
        "rillet replay s3://bucket/clicks.jsonl.zst --mapping shop.toml --restart --json",
    )
)
def replay(
    file: Annotated[
        str, typer.Argument(help="Path or URL: CSV, TSV, JSON lines, Parquet; plain, .gz, .zst.")
    ],
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What the columns mean; guessed by default."),
    ] = None,
    speed: Annotated[
        str, typer.Option(metavar="max|realtime|60x", help="How fast the log's clock goes.")
    ] = "max",
    shift: Annotated[
        Literal["keep", "now"],
        typer.Option(help="Keep event times, or shift all so that the last event happens when it is sent."),
    ] = "keep",
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on where the last run stopped, or begin again.")
    ] = True,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Send a shop's event log to the topics, each event confirmed by the broker.

    Interrupted, it goes on where it stopped, without duplicates. Record timestamps are the event times, so that
    old events are not late. The topics must exist. Exit code 1 when it was stopped before the end."""
    from streams.broker import is_embedded, ping
    from streams.log import Log
    from streams.replay.bookmark import Place, bookmark, key_of
    from streams.replay.confirmed import ConfirmedSender
    from streams.replay.pace import Pace, speed_of
    from streams.replay.run import Replay
    from streams.settings import load

    settings = load(config)
    pace = speed_of(speed)
    with _progress() as bar:
        log = Log(file, mapping, bar.on_bytes)
        cluster = ping(settings.kafka.client_conf())
        if is_embedded(cluster):
            cluster = f"{cluster} {settings.kafka.bootstrap_servers}"
        _check_topics(settings.kafka, embedded=is_embedded(cluster))
        with bookmark(key_of(log, shift, cluster)) as mark:
            place = mark.read() if resume else Place()
            if not place.done:
                place = _placed(log, place, shift, pace)
            run = Replay(
                ConfirmedSender(settings.kafka.producer()),
                mark,
                place,
                Pace(pace),
                max_per_user=max(2, int(settings.interest.max_events * SHARE_REMEMBERED)),
                on_sent=bar.on_sent,
            )
            if not place.done:
                with _stopped_by_signals(run):
                    events = iter(log)
                    run.run(events if shift == "now" or is_embedded(cluster) else _told_if_old(events))
    _report(log, place, run.replayed, as_json=as_json)
    if not (place.done or run.replayed.complete):
        raise typer.Exit(FOUND)


def _placed(log: "Log", place: "Place", shift: str, speed: float | None) -> "Place":
    """The place with its shift, found once and then the same for every run that goes on."""
    import msgspec

    from streams.replay.pace import shift_ms

    if place.shift_ms is None:
        shifted_ms = 0
        if shift == "now" and (span := log.span_ms(to_the_end=speed != 1.0)):
            shifted_ms = shift_ms(*span, speed, int(time.time() * 1_000))
        place = msgspec.structs.replace(place, shift_ms=shifted_ms)
    return msgspec.structs.replace(place, log=log.path)


def _check_topics(kafka: "KafkaSettings", *, embedded: bool) -> None:
    """Raises where a topic is missing; on the embedded broker they appear when they are asked for."""
    from confluent_kafka.admin import AdminClient

    from schemas.topics import BEHAVIOUR

    admin = AdminClient({**kafka.client_conf(), "log_level": 0})
    if embedded:
        for topic in BEHAVIOUR:
            admin.list_topics(topic, timeout=10)
        return
    there = admin.list_topics(timeout=10).topics
    missing = [topic for topic in BEHAVIOUR if topic not in there]
    if missing:
        raise BrokerRefusedError(
            f"There is no topic {missing[0]}.", fix="Create the topics with `rillet topics create`."
        )


def _told_if_old(events: "Iterator[Logged]") -> "Iterator[Logged]":
    """The same, with a warning when Kafka will soon delete what it is given."""
    from itertools import chain

    from schemas.topics import BROWSE, DAY_MS, topic

    retention_ms = topic(BROWSE).retention_ms
    first = next(events, None)
    if first is None:
        return events
    if time.time() * 1_000 - first.event.time_ms > retention_ms:
        note(
            f"events are older than the topics keep them, {retention_ms // DAY_MS} days by default: Kafka deletes "
            "them within minutes. Have a worker running, or shift the times with --shift now."
        )
    return chain((first,), events)


@contextmanager
def _stopped_by_signals(run: "Replay") -> Iterator[None]:
    """Ctrl-C and a polite kill end the replay in order; a second one ends it at once."""
    endings = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(ending, lambda *_: run.stop()) for ending in endings]
    try:
        yield
    except KeyboardInterrupt:
        note("stopped at once")
    finally:
        for ending, handler in zip(endings, before, strict=True):
            signal.signal(ending, handler)


class _Bar:
    """Shows nothing: nobody watches."""

    on_bytes: Callable[[int, int], None] | None = None

    def on_sent(self, replayed: "Replayed") -> None:
        """A parcel was sent."""


class _ShownBar(_Bar):
    """Share of the file, events and events a second."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=None)
        self.on_bytes = self._read

    def _read(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total or None)

    def on_sent(self, replayed: "Replayed") -> None:
        """A parcel was sent."""
        said = f"{replayed.n_sent:,} events, {replayed.events_per_s:,.0f}/s"
        self._progress.update(self._task, description=said)


@contextmanager
def _progress() -> Iterator[_Bar]:
    if not sys.stderr.isatty():
        yield _Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _ShownBar(progress)


def _report(log: "Log", place: "Place", replayed: "Replayed", *, as_json: bool) -> None:
    complete = place.done or replayed.complete
    if as_json:
        print_json(
            {
                "log": log.path,
                "mapping": log.name,
                "events": replayed.n_sent,
                "events_before": replayed.n_before,
                "seconds": round(replayed.seconds, 3),
                "events_per_s": round(replayed.events_per_s, 1),
                "by_topic": dict(sorted(replayed.by_topic.items())),
                "shift_ms": place.shift_ms,
                "complete": complete,
                "rows": log.tally.summary(),
            }
        )
        return
    if place.done:
        print(f"{log.path} was sent before, {replayed.n_before:,} events; --restart sends it again")
        return
    before = f", after {replayed.n_before:,} sent before" if replayed.n_before else ""
    print(
        f"{replayed.n_sent:,} events in {replayed.seconds:.1f} s, {replayed.events_per_s:,.0f}/s{before}, "
        f"by the mapping {log.name}"
    )
    for topic, n in sorted(replayed.by_topic.items()):
        print(f"  {topic:<20} {n:>10,}")
    tally = log.tally
    if tally.n_unreadable or tally.n_left_out:
        print(f"  {tally.n_left_out:,} rows left out, {tally.n_unreadable:,} unreadable")
    for kind, n in tally.unmapped_kinds.most_common(5):
        print(f"  kind {kind!r} has no meaning in the mapping: {n:,} rows left out")
    if not complete:
        print("stopped; run it again and it goes on from here")
