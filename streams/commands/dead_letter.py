"""``rillet dead-letter``: what was refused, why, and back with it."""

import sys
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.options import Config, Json, example, new_app, note, print_json, print_table
from streams.errors import InputError

if TYPE_CHECKING:
    from models.ingest.dead_letter import DeadLetter
    from schemas.rejections import Rejection
    from streams.dead_letter import Buried, DeadLetters, Filter, Replayed
    from streams.follow import FollowedRecord
    from streams.settings import KafkaSettings

app = new_app(
    "List, show and replay refused records. They stay in the topic until its retention ends, replayed or not."
)

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SHOWN_BYTES = 4000
DETAIL_CHARACTERS = 100
MAX_TIME_MS = 253_402_300_800_000
"""The end of the year 9999, the last that can be written as a date."""

Reason = Annotated[str | None, typer.Option(metavar="REASON", help="Only those refused for this reason.")]
Source = Annotated[
    str | None, typer.Option("--topic", metavar="TOPIC", help="Only those sent to this topic.")
]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only those refused since: 90s, 15m, 2h, 7d, or 2026-01-31T12:00Z."),
]


@app.callback()
def _group() -> None: ...


@app.command(
    name="list",
    epilog=example(
        "rillet dead-letter list",
        "rillet dead-letter list --reason too_late --since 2h --limit 50",
        "rillet dead-letter list --json | jq .by_reason",
    ),
)
def list_(
    reason: Reason = None,
    topic: Source = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many of the newest to print.")] = 20,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Count refused records by topic and reason, and print the newest."""
    from streams.dead_letter import DeadLetters
    from streams.settings import load

    wanted = _filter(reason, topic, since)
    by_topic: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    newest: dict[int, deque[tuple[int, dict[str, Any]]]] = {}
    with DeadLetters(load(config).kafka) as letters:
        for buried in letters.select(wanted):
            row = _row(buried)
            by_topic[row["topic"]] += 1
            by_reason[row["reason"]] += 1
            newest.setdefault(buried.partition, deque(maxlen=limit)).append((buried.refused_ms, row))
    rows = _newest(newest.values(), limit)
    if as_json:
        print_json({"by_topic": by_topic, "by_reason": by_reason, "newest": rows})
        return
    if not by_topic:
        note("no refused records")
        return
    print_table(("records", "topic"), [(n, name) for name, n in by_topic.most_common()])
    print()
    print_table(("records", "reason"), [(n, name) for name, n in by_reason.most_common()])
    if rows:
        print()
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])


@app.command(
    epilog=example(
        "rillet dead-letter show 2 1045",
        "rillet dead-letter show 2 1045 --raw > record.bin",
        "rillet dead-letter show 2 1045 --json",
    )
)
def show(
    partition: Annotated[int, typer.Argument(min=0, help="Partition of the dead letter.")],
    offset: Annotated[int, typer.Argument(min=0, help="Offset of the dead letter.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the value's bytes, nothing else.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print one refused record: where it came from, why it was refused, headers, key and value."""
    from streams.dead_letter import DeadLetters
    from streams.settings import load

    with DeadLetters(load(config).kafka) as letters:
        record, letter = letters.find(partition, offset)
    if raw:
        sys.stdout.buffer.write(record.value or b"")
        sys.stdout.buffer.flush()
    elif as_json:
        print_json(_details(record, letter))
    else:
        details = _details(record, letter)
        headers = details.pop("headers")
        value = details.pop("value_text")
        details.pop("value_base64")
        print_table(("what", "is"), [*details.items(), *((f"header {name}", text) for name, text in headers)])
        print(f"\n{value}")


@app.command(
    epilog=example(
        "rillet dead-letter replay --reason unknown_version --since 2h --dry-run",
        "rillet dead-letter replay --topic events.browse --yes",
    )
)
def replay(
    reason: Reason = None,
    topic: Source = None,
    since: Since = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, max=1000, help="Leave those that were refused this often already.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send refused records back to their source topics, as they were, after the cause was mended.

    An event that was accepted in the meantime, or is replayed twice, is counted once.
    """
    from streams.dead_letter import DeadLetters
    from streams.settings import load

    wanted = _filter(reason, topic, since)
    kafka = load(config).kafka
    with DeadLetters(kafka) as letters:
        total = sum(1 for _ in letters.select(wanted))
        if total and not (dry_run or yes or _confirmed(total)):
            raise InputError("Not confirmed, so nothing was sent.", fix="Answer y, or give --yes.")
        outcome = _replay(kafka, letters, wanted, total, max_attempts=max_attempts, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "sent": outcome.sent,
                "exhausted": outcome.exhausted,
                "homeless": outcome.homeless,
            }
        )
    else:
        _tell(outcome, max_attempts, dry_run=dry_run)


def _confirmed(total: int) -> bool:
    try:
        return typer.confirm(f"Send {total} records back?", err=True)
    except typer.Abort:  # no terminal to ask
        return False


def _replay(
    kafka: "KafkaSettings",
    letters: "DeadLetters",
    wanted: "Filter",
    total: int,
    *,
    max_attempts: int,
    dry_run: bool,
) -> "Replayed":
    from rich.console import Console
    from rich.progress import Progress

    from streams.dead_letter import replay as send_back

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replay", total=total)
        return send_back(
            kafka,
            (buried.letter for buried in letters.select(wanted)),
            max_attempts=max_attempts,
            dry_run=dry_run,
            on_each=lambda: progress.advance(task),
        )


def _tell(outcome: "Replayed", max_attempts: int, *, dry_run: bool) -> None:
    verb = "would be sent" if dry_run else "sent"
    for name, n_sent in sorted(outcome.sent.items()):
        print(f"{n_sent} {verb} to {name}")
    if outcome.exhausted:
        print(f"{outcome.exhausted} left: refused {max_attempts} times or more (--max-attempts)")
    if outcome.homeless:
        print(f"{outcome.homeless} left: not from a topic that shops write to")
    if not (outcome.sent or outcome.exhausted or outcome.homeless):
        note("no refused records")


def _filter(reason: str | None, topic: str | None, since: str | None) -> "Filter":
    from schemas.rejections import Reason as Known
    from streams.dead_letter import Filter

    known = [each.value for each in Known]
    if reason is not None and reason not in known:
        raise InputError(f"There is no reason {reason!r}.", fix=f"Known are: {', '.join(known)}.")
    return Filter(
        reason, topic, None if since is None else since_ms(since, now_ms=time.time_ns() // 1_000_000)
    )


def since_ms(text: str, *, now_ms: int) -> int:
    """A moment in milliseconds since 1970: so long ago (``15m``), or ISO 8601, UTC where no zone is given."""
    number, unit = text[:-1], text[-1:]
    if unit in UNITS_S and number.isascii() and number.isdigit():
        return max(0, now_ms - int(number) * UNITS_S[unit] * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"--since {text!r} is no time.",
            fix="Give 90s, 15m, 2h, 7d, or a date and time: 2026-01-31T12:00Z.",
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _newest(partitions: Iterable[Iterable[tuple[int, dict[str, Any]]]], limit: int) -> list[dict[str, Any]]:
    rows = [each for rows in partitions for each in rows]
    rows.sort(key=lambda each: (-each[0], each[1]["partition"], -each[1]["offset"]))
    return [row for _, row in rows[:limit]]


def _row(buried: "Buried") -> dict[str, Any]:
    from schemas.rejections import Rejection

    letter = buried.letter
    topic, reason, attempt = "-", "-", 0
    if not isinstance(letter, Rejection):
        topic, reason, attempt = letter.topic, letter.reason, letter.attempt
    return {
        "partition": buried.partition,
        "offset": buried.offset,
        "refused": _iso(buried.refused_ms),
        "topic": printable(topic),
        "reason": printable(reason),
        "attempt": attempt,
        "detail": printable(letter.detail)[:DETAIL_CHARACTERS],
    }


def _details(record: "FollowedRecord", letter: "DeadLetter | Rejection") -> dict[str, Any]:
    from schemas.rejections import Rejection
    from streams.dead_letter import Buried

    value = record.value or b""
    told = _row(Buried(record.partition, record.offset, record.timestamp, letter))
    if not isinstance(letter, Rejection):
        source = {"source_partition": letter.partition, "source_offset": letter.offset}
        told |= source | {"source_time": _iso(letter.timestamp_ms)}
    headers = record.headers if isinstance(letter, Rejection) else letter.headers
    return told | {
        "detail": printable(letter.detail),
        "key": None if record.key is None else printable(record.key.decode(errors="backslashreplace")),
        "value_bytes": len(value),
        "headers": [
            (name, printable((each or b"").decode(errors="backslashreplace"))) for name, each in headers
        ],
        "value_text": printable(value[:SHOWN_BYTES].decode(errors="backslashreplace")),
        "value_base64": b64encode(value).decode(),
    }


def printable(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _iso(time_ms: int) -> str:
    if not 0 <= time_ms < MAX_TIME_MS:
        return "-"
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
