"""``rillet watch``: what comes on a topic, as it comes."""

import json
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.dead_letter import printable, since_ms
from streams.commands.options import Config, example, new_app, note
from streams.errors import InputError

if TYPE_CHECKING:
    from models.ingest.dead_letter import DeadLetter
    from schemas.outputs import RankedItem, Slate
    from streams.client import Record, Since

app = new_app()


@app.command(
    epilog=example(
        "rillet watch recommendations.user --user u17",
        "rillet watch events.dead-letter --since 10m",
        "rillet watch recommendations.trending --from-beginning --json | jq .value.category",
    )
)
def watch(
    topic: Annotated[
        str, typer.Argument(help="A topic of the catalogue, as `rillet topics describe` lists.")
    ],
    user: Annotated[
        str | None, typer.Option(help="Only this user, by reading their partition alone.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="From so long ago on (90s, 10m, 2h, 7d), or from 2026-01-31T12:00Z."
        ),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the oldest record on.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many records.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value a line, for programs.")] = False,
    config: Config = None,
) -> None:
    """Print what comes on a topic until Ctrl-C: new records, unless told to begin earlier."""
    from schemas import topics
    from streams.client import Rillet
    from streams.client.outputs import output
    from streams.settings import load

    output(topic)
    if user is not None and topics.topic(topic).key != "user_id":
        raise InputError(f"{topic} is not keyed by user.", fix="Leave out --user.")
    start = _start(since, from_beginning=from_beginning)
    show = _json_line if as_json else _block
    with Rillet(kafka=load(config).kafka) as rillet:
        feed = rillet.follow(topic, user, since=start)
        until_stopped(lambda: _print(feed.records(), show, limit))
        if feed.n_repeats or feed.n_unreadable:
            note(f"{feed.n_repeats} repeats and {feed.n_unreadable} unreadable records left out")


def _start(since: str | None, *, from_beginning: bool) -> "Since":
    if since is None:
        return "beginning" if from_beginning else "end"
    if from_beginning:
        raise InputError("--since and --from-beginning exclude each other.", fix="Give one of them.")
    return datetime.fromtimestamp(since_ms(since, now_ms=time.time_ns() // 1_000_000) / 1000, UTC)


def until_stopped(run: Callable[[], None]) -> None:
    """Ctrl-C, SIGTERM and a reader that went away are the way to end this."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        run()
    except KeyboardInterrupt:
        note("stopped")
    except BrokenPipeError:
        sys.stdout = None  # nothing is left to flush to
    finally:
        signal.signal(signal.SIGTERM, before)


def _print(records: Any, show: "Callable[[Record[Any]], str]", limit: int | None) -> None:
    for n, record in enumerate(records, start=1):
        print(show(record), flush=True)
        if n == limit:
            return


def _json_line(record: "Record[Any]") -> str:
    import msgspec

    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "time_ms": record.time_ms,
            "key": _text(record.key),
            "value": msgspec.to_builtins(record.value, enc_hook=_text),
        },
        ensure_ascii=False,
    )


def _block(record: "Record[Any]") -> str:
    """A head line, and what is below it indented."""
    moment = datetime.fromtimestamp(record.time_ms / 1000, UTC).isoformat(" ", "milliseconds")[:23]
    head = f"{moment}  {record.topic}/{record.partition}@{record.offset}  {_text(record.key)}"
    return printable("\n  ".join([head, *_lines(record.value)]))


def _lines(value: Any) -> list[str]:
    """What a value tells, in a few lines."""
    from models.ingest.dead_letter import DeadLetter
    from schemas.outputs import Related, Slate, Trending

    match value:
        case None:
            return ["removed"]
        case Slate():
            return _slate_lines(value)
        case Trending() | Related():
            return [_ranked(value.items)]
        case DeadLetter():
            return _letter_lines(value)
        case _:
            return [_compact(value)]


def _slate_lines(slate: "Slate") -> list[str]:
    cold = ", cold start" if slate.cold_start else ""
    head = f"{len(slate.items)} items after event {slate.event_id} ({slate.slate_id}{cold})"
    return [head, *(f"{place:3}. {_item(item)}" for place, item in enumerate(slate.items, start=1))]


def _item(item: Any) -> str:
    reasons = (
        f"{reason.source} {reason.share:.0%}" + (f" by {reason.because}" if reason.because else "")
        for reason in item.reasons
    )
    return f"{item.item_id}  {item.score:.4g}  {', '.join(reasons)}".rstrip()


def _ranked(items: "list[RankedItem]") -> str:
    return ", ".join(f"{item.item_id} {item.score:.4g}" for item in items) or "empty"


def _letter_lines(letter: "DeadLetter") -> list[str]:
    place = f"{letter.topic}/{letter.partition}@{letter.offset}, attempt {letter.attempt}"
    return [f"{letter.reason}: {letter.detail}", f"from {place}"]


def _compact(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode(errors="replace")


def _text(value: object) -> str | None:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else None
