"""``rillet connect``: a shop's own topic, looked into, mapped, and carried into the topics of Rillet."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json
from streams.errors import BrokerRefusedError, InputError

if TYPE_CHECKING:
    from collections import Counter

    from streams.connect.look import Looked
    from streams.connect.run import Connection, Totals
    from streams.settings import KafkaSettings, Settings

SOURCE: Final = "SOURCE_"
"""Variables that begin so are settings of the cluster that the topic is on."""

app = new_app()


class Options(NamedTuple):
    """How a topic is carried."""

    group: str | None
    since: str
    once: bool
    with_catalog: bool
    keep_refused: bool
    metrics_port: int | None
    as_json: bool


@app.command(
    epilog=example(
        "rillet connect shop-events",
        "rillet connect shop-events --write shop.toml",
        "rillet connect shop-events --mapping shop.toml --run",
        "SOURCE_RILLET_BOOTSTRAP_SERVERS=other:9092 rillet connect ga4 --mapping ga4 --run --metrics-port 9108",
    )
)
def connect(
    topic: Annotated[str, typer.Argument(help="A topic of the shop's own, with JSON values.")],
    mapping: Annotated[
        str | None,
        typer.Option(metavar="PRESET|FILE", help="What the records mean; proposed by default."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the proposed mapping, to be checked.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Carry the topic until Ctrl-C.")] = False,
    once: Annotated[bool, typer.Option("--once", help="With --run: end at the end of the topic.")] = False,
    sample: Annotated[
        int, typer.Option(min=1, max=100_000, help="Newest records looked at of each partition.")
    ] = 250,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Consumer group; rillet-connect-TOPIC by default.")
    ] = None,
    since: Annotated[
        str,
        typer.Option(metavar="WHEN", help="Where a new group begins: so long ago (2h, 7d), or beginning."),
    ] = "beginning",
    no_catalog: Annotated[
        bool, typer.Option("--no-catalog", help="Send no entries of the catalogue.")
    ] = False,
    keep_refused: Annotated[
        bool, typer.Option("--keep-refused", help="Copy refused records whole, personal data and all.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Serve /metrics on 127.0.0.1.")
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Tell what a topic holds, propose a mapping to Rillet's events, and carry it.

    Without --run it only reads. Carried records are delivered before they are committed: after a crash the last batch
    comes twice, with the same event ids. Refused records go to events.dead-letter. The topic may be on another cluster,
    given by SOURCE_RILLET_… as the settings are by RILLET_…."""
    from streams.settings import load

    if run and mapping is None and write is None:
        raise InputError(
            "--run needs a mapping that stays the same at every start.",
            fix=f"`rillet connect {topic} --write shop.toml`, look at it, then --mapping shop.toml --run.",
        )
    settings = load(config)
    source = _source(settings)
    if not run or mapping is None:
        _look(settings, source, topic, sample, mapping, write, as_json)
    if run:
        mapping = mapping or str(write)
        options = Options(group, since, once, not no_catalog, keep_refused, metrics_port, as_json)
        _carry(settings, source, topic, mapping, options)


def _source(settings: "Settings") -> "KafkaSettings":
    """The cluster that the topic is on: the settings named ``SOURCE_RILLET_…``, by default Rillet's own."""
    from streams.settings import load

    theirs = {
        name.removeprefix(SOURCE): value
        for name, value in os.environ.items()
        if name.startswith(f"{SOURCE}RILLET_")
    }
    return load(None, theirs).kafka if theirs else settings.kafka


def _look(
    settings: "Settings",
    source: "KafkaSettings",
    topic: str,
    sample: int,
    mapping: str | None,
    write: Path | None,
    as_json: bool,
) -> None:
    from streams.connect.look import look
    from streams.connect.terminal import lines

    looked = look(source, settings.ingest, topic, sample, mapping, note)
    if as_json:
        print_json(_as_json(looked))
    else:
        for line in lines(looked):
            print(line)
    if write is not None:
        _write(looked, write)
    elif looked.toml and not as_json:
        print(f"\n# Mapping, as --write FILE writes it:\n{looked.toml}")


def _write(looked: "Looked", path: Path) -> None:
    if not looked.toml:
        raise InputError(
            f"There is no mapping to write for {looked.topic}.",
            fix="`rillet mapping show segment` is an example to begin with; docs/mapping.md has every key.",
        )
    if path.exists():
        raise InputError(f"{path} exists.", fix="Name another file, or remove it.")
    path.write_text(looked.toml, encoding="utf-8")
    note(f"mapping written to {path}; check it, then --mapping {path} --run")


def _as_json(looked: "Looked") -> dict[str, object]:
    return {
        "topic": looked.topic,
        "records": looked.n_records,
        "families": dict(looked.families),
        "unreadable": dict(looked.unreadable),
        "mapping": looked.name or None,
        "toml": looked.toml or None,
        "outcome": dict(looked.outcome),
        "events": dict(looked.events),
        "kinds_without_a_meaning": dict(looked.unmapped),
        "personal": looked.personal,
        "examples": [each._asdict() for each in looked.examples],
    }


def _carry(
    settings: "Settings", source: "KafkaSettings", topic: str, mapping: str, options: "Options"
) -> None:
    from prometheus_client import start_http_server

    from schemas import topics
    from streams.broker import ping
    from streams.connect.hearing import Hearing
    from streams.connect.outbox import Outbox
    from streams.connect.run import Connection
    from streams.log.presets import named
    from streams.log.records import Records

    meaning = named(mapping)[1]
    records = Records(meaning, settings.ingest)
    since = _since_ms(options.since)
    ping(source.client_conf())
    _check(source, [topic], "Create it, or start what fills it.")
    if topic in {each.name for each in topics.catalogue()}:
        raise InputError(f"{topic} is a topic of Rillet.", fix="Name a topic of the shop's own.")
    _check(
        settings.kafka,
        [*topics.BEHAVIOUR, topics.ITEMS, topics.DEAD_LETTER],
        "`rillet topics create` does it.",
    )
    if options.metrics_port is not None:
        start_http_server(options.metrics_port, addr="127.0.0.1")
    outbox = Outbox(settings.kafka.producer())
    has_entries = options.with_catalog and meaning.catalog.item is not None
    with _progress() as shown:
        connection = Connection(
            source,
            topic,
            options.group or f"rillet-connect-{topic}",
            records,
            outbox,
            hearing=Hearing(settings.kafka.client_conf(), outbox) if has_entries else None,
            since_ms=since,
            keep_refused=options.keep_refused,
            max_per_user=max(1, settings.interest.max_events // 2),
            on_batch=shown,
        )
        with _stopped_by_signals(connection):
            totals = connection.run(once=options.once)
    _report(topic, totals, records.unmapped, as_json=options.as_json)


def _since_ms(since: str) -> int | None:
    from streams.commands.dead_letter import since_ms

    return None if since == "beginning" else since_ms(since, now_ms=time.time_ns() // 1_000_000)


def _check(kafka: "KafkaSettings", names: list[str], fix: str) -> None:
    """Raises where a topic is missing; on the embedded broker they appear when they are asked for."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({**kafka.client_conf(), "log_level": 0})
    for name in names:
        described = admin.list_topics(name, timeout=10).topics[name]
        if described.error is not None:
            raise BrokerRefusedError(f"The topic {name} cannot be used: {described.error.str()}", fix=fix)


@contextmanager
def _stopped_by_signals(connection: "Connection") -> Iterator[None]:
    """Ctrl-C and a polite kill end in order after the batch at hand; a second one at once."""
    endings = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(ending, lambda *_: connection.stop()) for ending in endings]
    try:
        yield
    except KeyboardInterrupt:
        note("stopped at once; what was not committed is carried again")
    finally:
        for ending, handler in zip(endings, before, strict=True):
            signal.signal(ending, handler)


@contextmanager
def _progress() -> "Iterator[Callable[[Totals], None]]":
    """A line in a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("connecting") as status:
        yield lambda totals: status.update(_said(totals))


def _said(totals: "Totals") -> str:
    return (
        f"{totals.n_records:,} records, {totals.records_per_s:,.0f}/s, {totals.n_left_out:,} left out, "
        f"{totals.refused.total():,} refused, lag {totals.lag:,}"
    )


def _report(topic: str, totals: "Totals", unmapped: "Counter[str]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "topic": topic,
                "records": totals.n_records,
                "left_out": totals.n_left_out,
                "kinds_without_a_meaning": dict(unmapped.most_common()),
                "refused": dict(totals.refused),
                "lost": totals.n_lost,
                "sent": dict(totals.sent),
                "lag": totals.lag,
                "seconds": round(totals.seconds, 3),
            }
        )
        return
    print(f"{topic}: {_said(totals)}")
    for sent_to, n in sorted(totals.sent.items()):
        print(f"  {sent_to:<20} {n:>10,}")
    for kind, n in unmapped.most_common(5):
        print(f"  kind {kind!r} has no meaning in the mapping: {n:,} left out")
    for reason, n in totals.refused.most_common():
        print(f"  refused, {reason}: {n:,}")
    if totals.n_lost:
        print(f"  lost: retention deleted {totals.n_lost:,} records before they were carried")
